//! The CPU: set up for a guest once, then read and written at each trap.
#![expect(unsafe_code, reason = "system registers are read and written by asm")]

use seawall_replay::entry::{self, After, Before};
use seawall_replay::walk::Regime;
use seawall_shim::trap::Snapshot;

use super::registers::{read, read_guest, write, write_guest};

// HCR_EL2 [Arm ARM D24.2.57].
const VM: u64 = 1 << 0;
const SWIO: u64 = 1 << 1;
const AMO: u64 = 1 << 5;
const VSE: u64 = 1 << 8;
const TSC: u64 = 1 << 19;
const RW: u64 = 1 << 31;
const E2H: u64 = 1 << 34;
const APK: u64 = 1 << 40;
const API: u64 = 1 << 41;
const ATA: u64 = 1 << 56;
// IMO and FMO stay 0: interrupts and the GIC are the guest's own. AMO = 1 is what lets VSE work, and physical SErrors,
// of which QEMU has none, come to EL2. SMC comes to EL2, lest the guest talk to QEMU's PSCI behind the shim's back.
const HCR: u64 = VM | SWIO | AMO | TSC | RW | APK | API;

// MDCR_EL2: EL2's own instructions are not counted, so that the guest's figures are the guest's.
const HPMD: u64 = 1 << 17;
const HCCD: u64 = 1 << 23;

// SCTLR_EL1 at reset: the bits that are RES1 in Armv8.0, everything else off.
const SCTLR_RESET: u64 = 0x30d0_0800;

// VTCR_EL2: 39 bits of IPA, from level 1, 4 KiB, write-back and inner shareable walks [Arm ARM D24.2.207].
const VTCR: u64 = 25 | (1 << 6) | (1 << 8) | (1 << 10) | (3 << 12) | (1 << 31);

/// What the guest's memory map needs at least: PARange 2 is 40 bits.
const LEAST_PARANGE: u64 = 2;

/// What the shim has to know of the CPU.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu {
    e2h: bool,
    ras: bool,
    mte: bool,
    /// ID_AA64PFR1_EL1 and ID_AA64MMFR1_EL1.
    pfr1: u64,
    mmfr1: u64,
}

/// The four-bit field of an identification register at `shift`.
const fn field(register: u64, shift: u32) -> u64 {
    (register >> shift) & 0xf
}

impl Cpu {
    /// Sets EL2 up for a guest whose stage 2 begins at `root`; the reason when this CPU cannot.
    pub(crate) fn set_up(root: u64) -> Result<Self, &'static str> {
        let (pfr0, pfr1) = (read!("id_aa64pfr0_el1"), read!("id_aa64pfr1_el1"));
        let (mmfr0, mmfr1) = (read!("id_aa64mmfr0_el1"), read!("id_aa64mmfr1_el1"));
        let range = field(mmfr0, 0);
        if range < LEAST_PARANGE {
            return Err("the CPU has fewer than 40 bits of physical address");
        }
        let mte = field(pfr1, 8) >= 2;
        write!("hcr_el2", if mte { HCR | ATA } else { HCR });
        write!("vtcr_el2", VTCR | (range.min(5) << 16));
        write!("vttbr_el2", root);
        let cpu = Self {
            // Read back: without FEAT_E2H0 it cannot be cleared.
            e2h: read!("hcr_el2") & E2H != 0,
            ras: field(pfr0, 28) != 0,
            mte,
            pfr1,
            mmfr1,
        };
        cpu.open_traps();
        super::fine::open();
        if cpu.ras {
            // VSESR_EL2 and VDISR_EL2.
            write!("S3_4_C5_C2_3", 0);
            write!("S3_4_C12_C1_1", 0);
        }
        if field(pfr0, 24) != 0 {
            // ICC_SRE_EL2: SRE, DFB, DIB, Enable; then ICH_HCR_EL2.
            write!("S3_4_C12_C9_5", 0xf);
            write!("S3_4_C12_C11_0", 0);
        }
        write!("vpidr_el2", read!("midr_el1"));
        write!("vmpidr_el2", read!("mpidr_el1"));
        write_guest!(cpu.e2h, "C1_C0_0", SCTLR_RESET);
        Ok(cpu)
    }

    /// Has the guest begin at `entry` as after a reset: EL1h, everything masked, its MMU off, no error and no timer pending.
    pub(crate) fn reset(self, entry: u64) {
        const EL1H_MASKED: u64 = 0x3c5;
        write!("hcr_el2", read!("hcr_el2") & !VSE);
        if self.ras {
            write!("S3_4_C5_C2_3", 0);
            write!("S3_4_C12_C1_1", 0);
        }
        write_guest!(self.e2h, "C1_C0_0", SCTLR_RESET);
        // CNTV_CTL_EL0 and CNTP_CTL_EL0, which have the other names where E2H is 1: neither runs.
        if self.e2h {
            write!("S3_5_C14_C3_1", 0);
            write!("S3_5_C14_C2_1", 0);
        } else {
            write!("cntv_ctl_el0", 0);
            write!("cntp_ctl_el0", 0);
        }
        write!("elr_el2", entry);
        write!("spsr_el2", EL1H_MASKED);
        super::tables::forget_guest();
    }

    /// Floating point, counters and timers are the guest's; nothing of them traps.
    fn open_traps(self) {
        // CPTR_EL2 and CNTHCTL_EL2 have other layouts where E2H is 1 [Arm ARM D24.2.36, D24.10.3].
        if self.e2h {
            write!("cptr_el2", (3 << 16) | (3 << 20) | (3 << 24));
            write!("cnthctl_el2", 3 << 10);
        } else {
            // RES1 bits 13, 9 and 7:0 but neither TSM nor TZ.
            write!("cptr_el2", 0x22ff);
            write!("cnthctl_el2", 3);
        }
        write!("cntvoff_el2", 0);
        write!("hstr_el2", 0);
        let pmu = field(read!("id_aa64dfr0_el1"), 8);
        let counted = match pmu {
            // 15 is an implementation's own, of which nothing is known.
            0 | 15 => 0,
            // HPMN is PMCR_EL0.N: all counters are EL1's.
            1..=3 => (read!("pmcr_el0") >> 11) & 0x1f,
            4 | 5 => ((read!("pmcr_el0") >> 11) & 0x1f) | HPMD,
            _ => ((read!("pmcr_el0") >> 11) & 0x1f) | HPMD | HCCD,
        };
        write!("mdcr_el2", counted);
    }

    /// The registers of the exception that was taken to EL2.
    pub(crate) fn snapshot() -> Snapshot {
        Snapshot {
            esr: read!("esr_el2"),
            far: read!("far_el2"),
            hpfar: read!("hpfar_el2"),
            elr: read!("elr_el2"),
            spsr: read!("spsr_el2"),
        }
    }

    /// The guest's VBAR_EL1.
    pub(crate) fn vbar(self) -> u64 {
        read_guest!(self.e2h, "C12_C0_0")
    }

    /// What the guest's stage-1 walks start from.
    pub(crate) fn regime(self) -> Regime {
        Regime {
            ttbr0: read_guest!(self.e2h, "C2_C0_0"),
            ttbr1: read_guest!(self.e2h, "C2_C0_1"),
            tcr: read_guest!(self.e2h, "C2_C0_2"),
        }
    }

    /// What an exception entry at EL1 starts from.
    pub(crate) fn before(self, snapshot: &Snapshot) -> Before {
        Before {
            pc: snapshot.elr,
            pstate: snapshot.spsr,
            vbar: self.vbar(),
            sctlr: entry::sctlr_of(read_guest!(self.e2h, "C1_C0_0"), self.pfr1, self.mmfr1),
            mte: self.mte,
        }
    }

    /// Writes an exception entry: the guest goes on in its vector. Without `far`, FAR_EL1 stays as it is.
    pub(crate) fn enter(self, after: After, esr: u64, far: Option<u64>) {
        write_guest!(self.e2h, "C5_C2_0", esr);
        if let Some(far) = far {
            write_guest!(self.e2h, "C6_C0_0", far);
        }
        write_guest!(self.e2h, "C4_C0_1", after.elr);
        write_guest!(self.e2h, "C4_C0_0", after.spsr);
        write!("elr_el2", after.pc);
        write!("spsr_el2", after.pstate);
    }

    /// The guest's FAR_EL1.
    pub(crate) fn far(self) -> u64 {
        read_guest!(self.e2h, "C6_C0_0")
    }

    /// The trapped instruction is done: the guest goes on behind it.
    pub(crate) fn advance(snapshot: &Snapshot, bytes: u64) {
        // An instruction that was carried out clears PSTATE.BTYPE.
        const BTYPE: u64 = 3 << 10;
        write!("elr_el2", snapshot.elr.wrapping_add(bytes));
        write!("spsr_el2", snapshot.spsr & !BTYPE);
    }

    /// Whether a virtual SError is pending that nobody has taken.
    pub(crate) fn is_serror_pending() -> bool {
        read!("hcr_el2") & VSE != 0
    }

    /// Pends a virtual SError. Without FEAT_RAS it comes without a syndrome.
    pub(crate) fn pend_serror(self, syndrome: u64) {
        if self.ras {
            write!("S3_4_C5_C2_3", syndrome);
        }
        write!("hcr_el2", read!("hcr_el2") | VSE);
    }
}
