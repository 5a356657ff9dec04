//! The architecture's exception entry to EL1, as a pure function of registers.
//!
//! [Arm ARM D1.3, AArch64.TakeException] A replayer that writes what comes out into the vCPU has given the guest what a
//! PE would have, for any syndrome. Three things are not followed: PSTATE.EXLOCK, which FEAT_GCS sets on entry from EL1
//! where GCSCR_EL1.EXLOCKEN is 1, and PSTATE.PM, which FEAT_EBEP sets, are zero; and SCTLR_EL1.IESB synchronises no
//! errors.

/// Which half of a vector group is entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Synchronous, offset 0x000 in its group.
    Synchronous,
    /// SError, offset 0x180 in its group. Also a SEA where SCTLR2_EL1.EASE is set [Arm ARM D24.2.139].
    SError,
}

/// What the vCPU holds before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Before {
    /// PC: the instruction that aborted, or the next one for an SError.
    pub pc: u64,
    /// PSTATE, in the layout of SPSR_EL1.
    pub pstate: u64,
    /// VBAR_EL1.
    pub vbar: u64,
    /// SCTLR_EL1, as [`sctlr_of`] gives it.
    pub sctlr: u64,
    /// Whether the vCPU has FEAT_MTE: then PSTATE.TCO is set on entry.
    pub mte: bool,
}

/// What is to be written, beside ESR_EL1 and FAR_EL1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct After {
    /// PC: the vector.
    pub pc: u64,
    /// PSTATE: EL1h, exceptions masked.
    pub pstate: u64,
    /// ELR_EL1.
    pub elr: u64,
    /// SPSR_EL1.
    pub spsr: u64,
}

// PSTATE as SPSR_EL1 holds it [Arm ARM C5.2.19].
const NZCV: u64 = 0xf << 28;
const TCO: u64 = 1 << 25;
const DIT: u64 = 1 << 24;
const PAN: u64 = 1 << 22;
const ALLINT: u64 = 1 << 13;
const SSBS: u64 = 1 << 12;
const DAIF: u64 = 0xf << 6;
const AARCH32: u64 = 1 << 4;
const MODE: u64 = 0xf;
const EL0T: u64 = 0b0000;
const EL1T: u64 = 0b0100;
const EL1H: u64 = 0b0101;

// SCTLR_EL1 [Arm ARM D24.2.138].
const SCTLR_SPINTMASK: u64 = 1 << 62;
const SCTLR_DSSBS: u64 = 1 << 44;
const SCTLR_SPAN: u64 = 1 << 23;

/// SCTLR_EL1 as exception entry must see it: its bits for features that the CPU lacks do nothing, by SSBS and NMI of
/// ID_AA64PFR1_EL1 and PAN of ID_AA64MMFR1_EL1 [Arm ARM D24.2.84, D24.2.90]. SPAN and SPINTMASK do nothing as 1.
#[must_use]
pub const fn sctlr_of(sctlr: u64, pfr1: u64, mmfr1: u64) -> u64 {
    let ssbs = if (pfr1 >> 4) & 0xf == 0 { SCTLR_DSSBS } else { 0 };
    let span = if (mmfr1 >> 20) & 0xf == 0 { SCTLR_SPAN } else { 0 };
    let spintmask = if (pfr1 >> 36) & 0xf == 0 {
        SCTLR_SPINTMASK
    } else {
        0
    };
    (sctlr | span | spintmask) & !ssbs
}

/// Whether this PSTATE is EL0's.
#[must_use]
pub const fn is_el0(pstate: u64) -> bool {
    pstate & MODE == EL0T
}

/// Enters EL1.
#[must_use]
pub const fn enter(before: Before, kind: Kind) -> After {
    let group = if before.pstate & AARCH32 != 0 {
        0x600
    } else if is_el0(before.pstate) {
        0x400
    } else if before.pstate & MODE == EL1T {
        0x000
    } else {
        0x200
    };
    let offset = match kind {
        Kind::Synchronous => group,
        Kind::SError => group | 0x180,
    };
    let mut pstate = EL1H | DAIF | (before.pstate & (NZCV | DIT | PAN));
    if before.sctlr & SCTLR_SPAN == 0 {
        pstate |= PAN;
    }
    if before.sctlr & SCTLR_DSSBS != 0 {
        pstate |= SSBS;
    }
    // Whatever SCTLR_EL1.NMI is.
    if before.sctlr & SCTLR_SPINTMASK == 0 {
        pstate |= ALLINT;
    }
    if before.mte {
        pstate |= TCO;
    }
    // UAO, SS, IL and BTYPE are zero on entry, and so are PPEND, PACM and UINJ above bit 31.
    After {
        pc: before.vbar.wrapping_add(offset),
        pstate,
        elr: before.pc,
        spsr: before.pstate,
    }
}

/// What a synchronous external abort was taken on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// A load or a store.
    Data,
    /// An instruction fetch.
    Instruction,
}

/// The ESR_EL1 of a synchronous external abort as KVM gives it: EC, IL and FSC alone, so SET = 0 (recoverable),
/// FnV = 0, WnR = 0, EA = 0 [Linux `arch/arm64/kvm/inject_fault.c`]. `walk_level` is the level of the stage-1 walk that
/// aborted, -2 to 3; a level outside of that counts as no walk.
#[must_use]
pub const fn sea_syndrome(access: Access, from_el0: bool, walk_level: Option<i8>) -> u64 {
    // EC: 0x20 and 0x24 from a lower exception level, 0x21 and 0x25 from the same [Arm ARM D24.2.45].
    let class: u64 = match (access, from_el0) {
        (Access::Instruction, true) => 0x20,
        (Access::Instruction, false) => 0x21,
        (Access::Data, true) => 0x24,
        (Access::Data, false) => 0x25,
    };
    let fault: u64 = match walk_level {
        Some(-2) => 0x12,
        Some(-1) => 0x13,
        Some(0) => 0x14,
        Some(1) => 0x15,
        Some(2) => 0x16,
        Some(3) => 0x17,
        Some(_) | None => 0x10,
    };
    (class << 26) | (1 << 25) | fault
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Before = Before {
        pc: 0x40_1000,
        pstate: 0,
        vbar: 0xffff_8000_0000_0800,
        sctlr: SCTLR_SPAN | SCTLR_SPINTMASK,
        mte: false,
    };

    #[test]
    fn each_state_enters_its_own_vector() {
        for (pstate, kind, offset) in [
            (0x0000_0000, Kind::Synchronous, 0x400),
            (0x0000_0000, Kind::SError, 0x580),
            (0x0000_03c4, Kind::Synchronous, 0x000),
            (0x0000_03c4, Kind::SError, 0x180),
            (0x0000_03c5, Kind::Synchronous, 0x200),
            (0x0000_03c5, Kind::SError, 0x380),
            (0x0000_0010, Kind::Synchronous, 0x600),
            (0x0000_0010, Kind::SError, 0x780),
        ] {
            let after = enter(Before { pstate, ..BASE }, kind);
            assert_eq!(after.pc, 0xffff_8000_0000_0800 + offset, "{pstate:#x} {kind:?}");
            assert_eq!((after.elr, after.spsr), (0x40_1000, pstate));
        }
    }

    #[test]
    fn entry_masks_everything_and_keeps_the_flags() {
        // N and C set, SS, UAO, IL, BTYPE and ALLINT set before: only the flags stay.
        let after = enter(
            Before {
                pstate: 0xa0b0_2c00,
                ..BASE
            },
            Kind::Synchronous,
        );
        assert_eq!(after.pstate, 0xa000_03c5);
        // Bits 23 (SPAN), 44 (DSSBS), 61 (NMI) and 62 (SPINTMASK).
        for (sctlr, pstate, why) in [
            (1 << 62, 0x0040_03c5, "PAN by SPAN = 0"),
            ((1 << 62) | (1 << 23) | (1 << 44), 0x13c5, "SSBS by DSSBS"),
            (1 << 23, 0x23c5, "ALLINT by SPINTMASK = 0"),
            ((1 << 23) | (1 << 61), 0x23c5, "with SCTLR_EL1.NMI too"),
            (
                (1 << 62) | (1 << 61) | (1 << 23),
                0x03c5,
                "no ALLINT by SPINTMASK = 1",
            ),
        ] {
            let after = enter(Before { sctlr, ..BASE }, Kind::Synchronous);
            assert_eq!(after.pstate, pstate, "{why}");
        }
        assert_eq!(
            enter(Before { mte: true, ..BASE }, Kind::Synchronous).pstate,
            0x0200_03c5,
            "TCO by MTE"
        );
        assert_eq!(
            enter(
                Before {
                    pstate: 1 << 24,
                    ..BASE
                },
                Kind::Synchronous
            )
            .pstate,
            0x0100_03c5,
            "DIT stays"
        );
    }

    #[test]
    fn features_that_the_cpu_lacks_do_nothing_on_entry() {
        // ID_AA64PFR1_EL1.SSBS and .NMI, ID_AA64MMFR1_EL1.PAN; SCTLR_EL1.DSSBS, .SPAN and .SPINTMASK.
        let (ssbs, nmi, pan) = (1 << 4, 1 << 36, 1 << 20);
        let (dssbs, span, spintmask) = (1 << 44, 1 << 23, 1 << 62);
        assert_eq!(sctlr_of(dssbs, ssbs | nmi, pan), dssbs);
        assert_eq!(sctlr_of(dssbs, ssbs | nmi, 0), dssbs | span);
        assert_eq!(sctlr_of(dssbs, ssbs, pan), dssbs | spintmask);
        assert_eq!(sctlr_of(dssbs, !(0xf << 4), pan), 0);
        assert_eq!(sctlr_of(dssbs, !(0xf << 36), pan), dssbs | spintmask);
        assert_eq!(sctlr_of(spintmask, nmi, pan), spintmask);
        assert_eq!(sctlr_of(1, 0, 0), 1 | span | spintmask);
        // So a CPU without FEAT_NMI has no PSTATE.ALLINT after an entry.
        let before = Before {
            sctlr: sctlr_of(span, ssbs, pan),
            ..BASE
        };
        assert_eq!(enter(before, Kind::Synchronous).pstate, 0x03c5);
    }

    #[test]
    fn syndromes_are_the_ones_kvm_gives() {
        for (access, el0, level, esr) in [
            (Access::Data, true, None, 0x9200_0010),
            (Access::Data, false, None, 0x9600_0010),
            (Access::Instruction, true, None, 0x8200_0010),
            (Access::Instruction, false, None, 0x8600_0010),
            (Access::Data, true, Some(3), 0x9200_0017),
            (Access::Data, true, Some(0), 0x9200_0014),
            (Access::Instruction, true, Some(-1), 0x8200_0013),
            (Access::Data, false, Some(-2), 0x9600_0012),
            (Access::Data, false, Some(4), 0x9600_0010),
        ] {
            assert_eq!(
                sea_syndrome(access, el0, level),
                esr,
                "{access:?} {el0} {level:?}"
            );
        }
    }
}
