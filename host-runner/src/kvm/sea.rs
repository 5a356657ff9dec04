//! A synchronous external abort that the host took on the guest's behalf, and what the guest is to see of it.
//!
//! `KVM_EXIT_ARM_SEA` gives the syndrome as EL2 saw it. The guest is to see it as EL1 would have [Arm ARM D24.2.45]:
//! - EC says where it came from: to EL2 everything of the guest's is from a lower level (0x20, 0x24); to EL1 what ran
//!   there is of the same level (0x21, 0x25).
//! - IL is 1: that of an instruction abort, and of a data abort whose ISV is 0; KVM shows no ISV.
//! - FnV, EA, CM and WnR stay. SET stays with FSC 0x10, the only code that it means something for.
//! - FSC 0x10 and 0x18 (an external abort, a parity or ECC error, on the access) stay.
//! - FSC of a walk (0x12 to 0x17, 0x1b to 0x1f) becomes that of the access, 0x10 or 0x18. KVM keeps to itself the aborts
//!   that have S1PTW; what it shows is a walk of its own stage 2, or the last step of a walk of the guest's, and
//!   the syndrome does not tell which. A table of stage 2 is none of the guest's: a walk's code would have it retire
//!   a sound table, and level -1 of it may not even exist in its own. Where the table was the guest's after all, the
//!   abort is charged to the same task all the same. KVM says 0x10 too when it is left to make the abort
//!   [Linux `arch/arm64/kvm/inject_fault.c`, `kvm_vcpu_abt_iss1tw`].
//! - What KVM does not show (ISS2, ISV and the fields with it, VNCR, S1PTW) is zero, whatever comes.
//! - FAR_EL1 is the guest's virtual address; where FnV is 1 it means nothing and is left as it was.

use seawall_replay::entry::{self, Access};

use super::uapi::ArmSea;

// ESR_ELx of an abort [Arm ARM D24.2.45].
const IL: u64 = 1 << 25;
const SET: u64 = 0b11 << 11;
const FNV: u64 = 1 << 10;
const EA: u64 = 1 << 9;
const CM: u64 = 1 << 8;
const WNR: u64 = 1 << 6;
const FSC: u64 = 0x3f;
const EXTERNAL: u64 = 0x10;
const PARITY: u64 = 0x18;

/// How the guest is given the abort.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Replay {
    /// By `ext_dabt_pending`: KVM gives exactly this data abort, with the FAR_EL2 that it took.
    Events,
    /// By the registers, which express what KVM's own injection cannot.
    Registers {
        /// ESR_EL1.
        esr: u64,
        /// FAR_EL1; `None` leaves it as it was.
        far: Option<u64>,
    },
}

/// Whether the abort came on a walk, so that it may be a table of the guest's own that cannot be read.
pub(crate) const fn is_on_walk(sea: ArmSea) -> bool {
    matches!(sea.esr & FSC, 0x12..=0x17 | 0x1b..=0x1f)
}

/// The syndrome {0:#x} is no synchronous external abort from a lower level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NoSea(pub(crate) u64);

impl core::fmt::Display for NoSea {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "KVM_EXIT_ARM_SEA with ESR {:#x}, which is no synchronous external abort from a lower level",
            self.0
        )
    }
}

/// How the guest is given this abort, which it took in EL0 or in EL1.
///
/// # Errors
/// [`NoSea`] when the syndrome is of something else.
pub(crate) fn replay(sea: ArmSea, from_el0: bool) -> Result<Replay, NoSea> {
    let (access, kept) = match (sea.esr >> 26) & 0x3f {
        0x20 => (Access::Instruction, FNV | EA),
        0x24 => (Access::Data, FNV | EA | CM | WNR),
        _ => return Err(NoSea(sea.esr)),
    };
    let (code, set) = match sea.esr & FSC {
        EXTERNAL => (EXTERNAL, sea.esr & SET),
        0x12..=0x17 => (EXTERNAL, 0),
        PARITY | 0x1b..=0x1f => (PARITY, 0),
        _ => return Err(NoSea(sea.esr)),
    };
    let plain = entry::sea_syndrome(access, from_el0, None);
    let esr = (plain & !FSC) | IL | (sea.esr & kept) | set | code;
    // KVM's injection is that of a data abort with nothing in ISS but FSC 0x10.
    let is_kvms = access == Access::Data && esr == plain && sea.gva.is_some();
    Ok(if is_kvms {
        Replay::Events
    } else {
        Replay::Registers { esr, far: sea.gva }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of `kvm_run`'s union, typed in from the ABI: four little-endian words, and what lies behind them.
    fn decoded(words: [[u8; 8]; 4]) -> ArmSea {
        ArmSea::from_words(words.map(u64::from_le_bytes))
    }

    #[test]
    fn the_unions_bytes_are_what_the_abi_says() {
        // Flags 1; a load's abort in a walk of stage 2; GVA 0x50000040; GPA 0x83fff000.
        let all = decoded([
            [1, 0, 0, 0, 0, 0, 0, 0],
            [0x17, 0, 0, 0x92, 0, 0, 0, 0],
            [0x40, 0, 0, 0x50, 0, 0, 0, 0],
            [0, 0xf0, 0xff, 0x83, 0, 0, 0, 0],
        ]);
        assert_eq!(
            (all.esr, all.gva, all.gpa),
            (0x9200_0017, Some(0x5000_0040), Some(0x83ff_f000))
        );
        // No flag: the GPA is not looked at, even where there is one. FnV: nor is the GVA.
        let none = decoded([
            [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            [0x10, 0x04, 0, 0x92, 0, 0, 0, 0],
            [0x40, 0, 0, 0x50, 0, 0, 0, 0],
            [0, 0xf0, 0xff, 0x83, 0, 0, 0, 0],
        ]);
        assert_eq!((none.esr, none.gva, none.gpa), (0x9200_0410, None, None));
        // Flags that do not exist yet say nothing about the one that does.
        let more = decoded([
            [3, 0, 0, 0, 0, 0, 0, 0x80],
            [0; 8],
            [0; 8],
            [0, 0x10, 0, 0, 0, 0, 0, 0],
        ]);
        assert_eq!((more.gva, more.gpa), (Some(0), Some(0x1000)));
    }

    fn sea(esr: u64) -> ArmSea {
        ArmSea::from_words([0, esr, 0x5000_0040, 0])
    }

    #[test]
    fn a_plain_data_abort_is_left_to_kvm() {
        for el0 in [true, false] {
            for esr in [0x9200_0010, 0x9200_0012, 0x9200_0013, 0x9200_0014, 0x9200_0017] {
                assert_eq!(replay(sea(esr), el0), Ok(Replay::Events), "{esr:#x}");
            }
            // The same with everything that KVM does not show, S1PTW among it.
            assert_eq!(replay(sea(0x00ff_ffff_93ff_e097), el0), Ok(Replay::Events));
            // SET means nothing with the code of a walk, and is not made to mean something with 0x10.
            assert_eq!(replay(sea(0x9200_1817), el0), Ok(Replay::Events));
        }
    }

    #[test]
    fn what_kvm_cannot_express_goes_by_the_registers() {
        let far = Some(0x5000_0040);
        for (esr, el0, expected) in [
            // Instruction aborts, of the access and of a walk.
            (0x8200_0010, true, (0x8200_0010, far)),
            (0x8200_0017, true, (0x8200_0010, far)),
            (0x8200_0010, false, (0x8600_0010, far)),
            // A store; cache maintenance; SET UC and UEO; EA.
            (0x9200_0057, true, (0x9200_0050, far)),
            (0x9200_0150, false, (0x9600_0150, far)),
            (0x9200_1010, true, (0x9200_1010, far)),
            (0x8200_1810, true, (0x8200_1810, far)),
            (0x9200_0210, true, (0x9200_0210, far)),
            // FAR is not valid: no address is made up.
            (0x9200_0410, true, (0x9200_0410, None)),
            (0x8200_0610, false, (0x8600_0610, None)),
            // Parity or ECC, on the access and on walks of level -1 and 3.
            (0x9200_0018, true, (0x9200_0018, far)),
            (0x9200_001b, true, (0x9200_0018, far)),
            (0x8200_001f, true, (0x8200_0018, far)),
            // WnR and CM mean nothing in an instruction abort.
            (0x8200_0150, true, (0x8200_0010, far)),
        ] {
            let (esr_el1, far) = expected;
            assert_eq!(
                replay(sea(esr), el0),
                Ok(Replay::Registers { esr: esr_el1, far }),
                "{esr:#x}"
            );
        }
    }

    #[test]
    fn the_codes_of_walks_are_known() {
        let found: Vec<u64> = (0..0x40)
            .filter(|code| is_on_walk(sea(0x9200_0000 | code)))
            .collect();
        assert_eq!(
            found,
            [0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f]
        );
    }

    #[test]
    fn what_is_no_such_abort_is_refused_by_its_syndrome() {
        for esr in [
            0,
            u64::MAX,
            // A permission and a translation fault, the reserved codes beside the walks', an SError, a call, and aborts of
            // EL2's own.
            0x9200_000f,
            0x9200_0007,
            0x9200_0011,
            0x9200_0019,
            0x9200_001a,
            0xbe00_0011,
            0x5600_0000,
            0x9600_0010,
            0x8600_0010,
        ] {
            assert_eq!(replay(sea(esr), true), Err(NoSea(esr)), "{esr:#x}");
        }
        assert!(NoSea(0x5600_0000).to_string().contains("0x56000000"));
    }

    #[test]
    fn every_syndrome_is_refused_or_becomes_an_abort_of_the_guests_own_level() {
        use seawall_replay::plan::is_abort_in;
        use seawall_replay::port::Window;
        let mut state = 1_u64;
        for _ in 0..100_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Half of them of the two classes.
            let class = if state & 1 == 0 {
                state >> 58
            } else {
                0x20 | ((state >> 8) & 4)
            };
            let esr = (state.rotate_left(17) & !(0x3f << 26)) | (class << 26);
            for (el0, window) in [(true, Window::User), (false, Window::Kernel)] {
                if let Ok(Replay::Registers { esr, far }) = replay(sea(esr), el0) {
                    assert!(is_abort_in(window, esr), "{esr:#x}");
                    assert_eq!(far.is_none(), esr & (1 << 10) != 0);
                }
            }
        }
    }
}
