//! What came from the guest: ESR_EL2, FAR_EL2 and HPFAR_EL2 as one value [Arm ARM D24.2.46].

use seawall_replay::entry::Access;

/// The registers of an exception, each read once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// ESR_EL2.
    pub esr: u64,
    /// FAR_EL2: a virtual address of the guest's.
    pub far: u64,
    /// HPFAR_EL2.
    pub hpfar: u64,
    /// ELR_EL2.
    pub elr: u64,
    /// SPSR_EL2: the guest's PSTATE.
    pub spsr: u64,
}

/// One load or store of one general register, as the syndrome describes it (ISV = 1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// A store.
    pub write: bool,
    /// 1, 2, 4 or 8 bytes.
    pub width: usize,
    /// The register's number; 31 is XZR.
    pub register: usize,
    /// A load fills the register's upper part with the value's sign.
    pub sign_extend: bool,
    /// The register is 64 bits wide.
    pub wide: bool,
}

impl Transfer {
    /// What a store of a register that holds `register` puts on the bus.
    #[must_use]
    pub const fn stored(self, register: u64) -> u64 {
        register & self.mask()
    }

    /// What a load leaves in the register when the bus gave `value`.
    #[must_use]
    pub const fn loaded(self, value: u64) -> u64 {
        let value = value & self.mask();
        let sign = (self.mask() >> 1) + 1;
        let extended = if self.sign_extend && value & sign != 0 {
            value | !self.mask()
        } else {
            value
        };
        if self.wide {
            extended
        } else {
            extended & 0xffff_ffff
        }
    }

    const fn mask(self) -> u64 {
        match self.width {
            1 => 0xff,
            2 => 0xffff,
            4 => 0xffff_ffff,
            _ => u64::MAX,
        }
    }
}

/// A stage-2 fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Abort {
    /// A load or store, or an instruction fetch.
    pub access: Access,
    /// The IPA that stage 2 did not give. Its lowest twelve bits are zero for a stage-1 walk, where nothing holds them.
    pub ipa: u64,
    /// The access was a stage-1 walk's own read or write of a descriptor.
    pub walk: bool,
    /// The instruction was cache maintenance (but not DC ZVA) or address translation.
    pub maintenance: bool,
    /// What the instruction was, when the syndrome says it: never for pairs, writeback, atomics and walks.
    pub transfer: Option<Transfer>,
}

/// Why the guest left for EL2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trap {
    /// A stage-2 fault.
    Abort(Abort),
    /// HVC: ELR_EL2 is already behind it.
    HypervisorCall,
    /// SMC, trapped by HCR_EL2.TSC: ELR_EL2 is still at it.
    SecureMonitorCall,
    /// Anything else; the shim asks for no other trap.
    Other,
}

impl Snapshot {
    /// Decodes the exception. Total.
    #[must_use]
    pub const fn decode(&self) -> Trap {
        match (self.esr >> 26) & 0x3f {
            0x16 => Trap::HypervisorCall,
            0x17 => Trap::SecureMonitorCall,
            0x20 if self.is_stage2() => Trap::Abort(self.abort(Access::Instruction)),
            0x24 if self.is_stage2() => Trap::Abort(self.abort(Access::Data)),
            _ => Trap::Other,
        }
    }

    /// Address size, translation, access flag and permission faults, levels 0 to 3: what a stage 2 can say of itself.
    const fn is_stage2(&self) -> bool {
        self.esr & 0x30 == 0
    }

    const fn abort(&self, access: Access) -> Abort {
        let walk = self.esr & (1 << 7) != 0;
        // FIPA, bits 43:4, is IPA 51:12 [Arm ARM D24.2.61].
        let page = (self.hpfar & 0x0000_0fff_ffff_fff0) << 8;
        let data = matches!(access, Access::Data);
        Abort {
            access,
            ipa: if walk { page } else { page | (self.far & 0xfff) },
            walk,
            maintenance: data && self.esr & (1 << 8) != 0,
            transfer: if data && !walk { self.transfer() } else { None },
        }
    }

    const fn transfer(&self) -> Option<Transfer> {
        // ISV; and AArch32 code has rules of its own for the next PC, which nothing here needs.
        if self.esr & (1 << 24) == 0 || self.spsr & (1 << 4) != 0 {
            return None;
        }
        Some(Transfer {
            write: self.esr & (1 << 6) != 0,
            width: 1 << ((self.esr >> 22) & 3),
            register: ((self.esr >> 16) & 0x1f) as usize,
            sign_extend: self.esr & (1 << 21) != 0,
            wide: self.esr & (1 << 15) != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(esr: u64, far: u64, hpfar: u64, spsr: u64) -> Trap {
        Snapshot {
            esr,
            far,
            hpfar,
            elr: 0,
            spsr,
        }
        .decode()
    }

    fn abort(esr: u64, far: u64, hpfar: u64) -> Abort {
        match decode(esr, far, hpfar, 0) {
            Trap::Abort(abort) => abort,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_store_of_x3_is_decoded() {
        // EC 0x24, IL, ISV, SAS = 8 bytes, SRT = 3, SF, WnR, translation fault level 3.
        let a = abort(0x93c3_8047, 0xffff_0000_0000_1020, 0x000b_0000);
        assert_eq!(
            (a.access, a.ipa, a.walk, a.maintenance),
            (Access::Data, 0x0b00_0020, false, false)
        );
        let t = a.transfer.unwrap();
        assert_eq!(
            (t.write, t.width, t.register, t.sign_extend, t.wide),
            (true, 8, 3, false, true)
        );
    }

    #[test]
    fn what_has_no_syndrome_has_no_transfer() {
        assert_eq!(abort(0x9200_0047, 0, 0).transfer, None, "ISV = 0");
        assert_eq!(abort(0x93c3_80c7, 0x123, 0x10).transfer, None, "S1PTW");
        assert_eq!(
            abort(0x93c3_80c7, 0x123, 0x10).ipa,
            0x1000,
            "the walk's offset is not FAR's"
        );
        let Trap::Abort(aarch32) = decode(0x93c3_8047, 0, 0, 0x10) else {
            panic!()
        };
        assert_eq!(aarch32.transfer, None);
    }

    #[test]
    fn the_highest_ipa_comes_whole() {
        assert_eq!(
            abort(0x9200_0004, 0xfff, 0x0000_0fff_ffff_fff0).ipa,
            0x000f_ffff_ffff_ffff
        );
        assert_eq!(abort(0x9200_0004, 0, 1 << 63).ipa, 0, "NS is not part of it");
    }

    #[test]
    fn classes_and_fault_codes_are_told_apart() {
        assert_eq!(decode(0x5a00_0000, 0, 0, 0), Trap::HypervisorCall);
        assert_eq!(decode(0x5e00_0000, 0, 0, 0), Trap::SecureMonitorCall);
        assert_eq!(abort(0x8200_0007, 0x4, 0x0050_0000).access, Access::Instruction);
        assert!(abort(0x9200_0147, 0, 0).maintenance);
        for esr in [
            0x9200_0010,
            0x9200_0030,
            0x9200_0021,
            0x8200_0010,
            0x6200_0000,
            0,
            0x9600_0007,
        ] {
            assert_eq!(decode(esr, 0, 0, 0), Trap::Other, "{esr:#x}");
        }
    }

    #[test]
    fn loads_extend_as_the_instruction_says() {
        let base = Transfer {
            write: false,
            width: 1,
            register: 0,
            sign_extend: false,
            wide: false,
        };
        for (transfer, value, expected) in [
            (base, 0x1ff, 0xff),
            (
                Transfer {
                    sign_extend: true,
                    ..base
                },
                0x80,
                0xffff_ff80,
            ),
            (
                Transfer {
                    sign_extend: true,
                    wide: true,
                    ..base
                },
                0x80,
                0xffff_ffff_ffff_ff80,
            ),
            (
                Transfer {
                    sign_extend: true,
                    wide: true,
                    ..base
                },
                0x7f,
                0x7f,
            ),
            (
                Transfer {
                    sign_extend: true,
                    wide: true,
                    width: 4,
                    ..base
                },
                0x8000_0000,
                0xffff_ffff_8000_0000,
            ),
            (
                Transfer {
                    wide: true,
                    width: 8,
                    ..base
                },
                u64::MAX,
                u64::MAX,
            ),
        ] {
            assert_eq!(transfer.loaded(value), expected, "{transfer:?}");
        }
        assert_eq!(Transfer { width: 2, ..base }.stored(0x12_3456), 0x3456);
        assert_eq!(Transfer { width: 8, ..base }.stored(u64::MAX), u64::MAX);
    }
}
