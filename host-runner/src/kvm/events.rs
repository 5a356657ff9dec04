//! `KVM_SET_VCPU_EVENTS`, with every argument checked first.
//!
//! The call is not atomic: KVM takes the data abort before it looks at the SError's syndrome, so a bad syndrome gives
//! EINVAL with the abort already delivered. So whatever KVM would refuse is refused here, by name, before the call; and
//! an abort that KVM would take but calls a programming error [Linux `Documentation/virt/kvm/api.rst` §4.32] too.
//! The rules are plain code without KVM, tested on every host.

use seawall_replay::plan::SERROR_SYNDROME_MASK;

use super::uapi::VcpuEvents;

/// What the host can do, and what the vCPU is at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Circumstance {
    /// `KVM_ARM_VCPU_INIT` was called.
    pub(crate) initialised: bool,
    /// `KVM_CAP_ARM_INJECT_SERROR_ESR`.
    pub(crate) syndromes: bool,
    /// `KVM_CAP_ARM_INJECT_EXT_DABT`.
    pub(crate) data_aborts: bool,
    /// What the vCPU left for.
    pub(crate) left_for: LeftFor,
}

/// What a vCPU that stands still left the guest for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LeftFor {
    /// Nothing that is still to be completed.
    Nothing,
    /// An access that a device of ours takes: KVM completes it on the next entry.
    DeviceAccess,
    /// An access that nothing takes (MMIO, NISV or LDST64B exit): an abort may be its answer.
    UnansweredAccess,
    /// An access that met poison: a SIGBUS came for it, and no exit. An abort is its answer.
    PoisonedAccess,
    /// An access that was a synchronous external abort for the host (`KVM_EXIT_ARM_SEA`). The documentation names this
    /// exit among none that an abort may answer; KVM's own test does so [Linux `selftests/kvm/arm64/sea_to_user.c`].
    HostAbort,
}

/// Why events are not given to KVM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EventsError {
    /// The vCPU is not initialised (KVM: ENOEXEC).
    NotInitialised,
    /// Padding byte {0} is not zero (KVM: EINVAL).
    Padding(usize),
    /// Reserved word {0} is not zero (KVM: EINVAL).
    Reserved(usize),
    /// The SError syndrome {0:#x} has bits outside of ISS (KVM: EINVAL, after it took the data abort).
    SyndromeBits(u64),
    /// The host cannot choose an SError's syndrome (KVM: EINVAL, after it took the data abort).
    NoSyndromes,
    /// The host cannot inject data aborts.
    NoDataAborts,
    /// A data abort needs an access that it answers.
    NothingToAbort,
    /// A data abort would undo a device's access that is not yet complete.
    DeviceAccessIncomplete,
    /// An SError would be taken before a device's access is complete, and the access be made twice.
    SErrorBeforeCompletion,
}

impl core::fmt::Display for EventsError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotInitialised => f.write_str("the vCPU is not initialised"),
            Self::Padding(at) => write!(f, "padding byte {at} is not zero"),
            Self::Reserved(at) => write!(f, "reserved word {at} is not zero"),
            Self::SyndromeBits(bits) => write!(f, "the SError syndrome {bits:#x} has bits outside of ISS"),
            Self::NoSyndromes => {
                f.write_str("the host cannot choose an SError's syndrome (KVM_CAP_ARM_INJECT_SERROR_ESR)")
            }
            Self::NoDataAborts => {
                f.write_str("the host cannot inject data aborts (KVM_CAP_ARM_INJECT_EXT_DABT)")
            }
            Self::NothingToAbort => f.write_str("a data abort needs an access that it answers"),
            Self::DeviceAccessIncomplete => {
                f.write_str("a data abort would undo a device's access that is not yet complete")
            }
            Self::SErrorBeforeCompletion => {
                f.write_str("an SError would be taken before a device's access is complete")
            }
        }
    }
}

impl core::error::Error for EventsError {}

/// Events that KVM will take whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "events that are not given to KVM never come"]
pub(crate) struct Checked(VcpuEvents);

impl Checked {
    /// The events.
    pub(crate) const fn events(&self) -> &VcpuEvents {
        &self.0
    }
}

/// A synchronous external data abort, and nothing else.
pub(crate) fn data_abort() -> VcpuEvents {
    VcpuEvents {
        ext_dabt_pending: 1,
        ..VcpuEvents::default()
    }
}

/// An SError, and nothing else; `None` leaves the syndrome to KVM (IDS = 1).
pub(crate) fn serror(syndrome: Option<u32>) -> VcpuEvents {
    VcpuEvents {
        serror_pending: 1,
        serror_has_esr: u8::from(syndrome.is_some()),
        serror_esr: syndrome.map_or(0, u64::from),
        ..VcpuEvents::default()
    }
}

/// A synchronous external data abort and an SError with this syndrome, by one call.
pub(crate) fn both(syndrome: u32) -> VcpuEvents {
    VcpuEvents {
        ext_dabt_pending: 1,
        ..serror(Some(syndrome))
    }
}

/// Checks events in the order in which KVM would.
///
/// # Errors
/// See [`EventsError`].
pub(crate) fn check(events: VcpuEvents, now: Circumstance) -> Result<Checked, EventsError> {
    use EventsError as E;
    if !now.initialised {
        return Err(E::NotInitialised);
    }
    if let Some(at) = events.pad.iter().position(|byte| *byte != 0) {
        return Err(E::Padding(at));
    }
    if let Some(at) = events.reserved.iter().position(|word| *word != 0) {
        return Err(E::Reserved(at));
    }
    if events.ext_dabt_pending != 0 {
        match now.left_for {
            _ if !now.data_aborts => return Err(E::NoDataAborts),
            LeftFor::Nothing => return Err(E::NothingToAbort),
            LeftFor::DeviceAccess => return Err(E::DeviceAccessIncomplete),
            LeftFor::UnansweredAccess | LeftFor::PoisonedAccess | LeftFor::HostAbort => {}
        }
    }
    if events.serror_pending != 0 {
        if events.serror_has_esr != 0 {
            if !now.syndromes {
                return Err(E::NoSyndromes);
            }
            if events.serror_esr & !SERROR_SYNDROME_MASK != 0 {
                return Err(E::SyndromeBits(events.serror_esr));
            }
        }
        if now.left_for == LeftFor::DeviceAccess {
            return Err(E::SErrorBeforeCompletion);
        }
    }
    Ok(Checked(events))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIT: Circumstance = Circumstance {
        initialised: true,
        syndromes: true,
        data_aborts: true,
        left_for: LeftFor::UnansweredAccess,
    };

    #[test]
    fn what_kvm_takes_is_taken_unchanged() {
        for events in [
            VcpuEvents::default(),
            data_abort(),
            both(0xc11),
            serror(None),
            serror(Some(0)),
            serror(Some(0x01ff_ffff)),
            VcpuEvents {
                ext_dabt_pending: 0xff,
                serror_pending: 2,
                ..VcpuEvents::default()
            },
            // The syndrome counts only with both flags, as in KVM.
            VcpuEvents {
                serror_esr: u64::MAX,
                serror_pending: 1,
                ..VcpuEvents::default()
            },
            VcpuEvents {
                serror_esr: u64::MAX,
                serror_has_esr: 1,
                ..VcpuEvents::default()
            },
        ] {
            for left_for in [
                LeftFor::UnansweredAccess,
                LeftFor::PoisonedAccess,
                LeftFor::HostAbort,
            ] {
                let taken = check(events, Circumstance { left_for, ..FIT });
                assert_eq!(taken.map(|checked| *checked.events()), Ok(events));
            }
        }
    }

    #[test]
    fn each_padding_byte_and_reserved_word_is_refused_by_its_place() {
        for at in 0..5 {
            let mut events = data_abort();
            events.pad[at] = 1;
            assert_eq!(check(events, FIT), Err(EventsError::Padding(at)));
        }
        for at in 0..12 {
            let mut events = data_abort();
            events.reserved[at] = 1 << 31;
            assert_eq!(check(events, FIT), Err(EventsError::Reserved(at)));
        }
    }

    #[test]
    fn each_syndrome_bit_outside_of_iss_is_refused_even_beside_an_abort() {
        for bit in 0..64 {
            let events = VcpuEvents {
                serror_pending: 1,
                serror_has_esr: 1,
                serror_esr: 1 << bit,
                ext_dabt_pending: 1,
                ..VcpuEvents::default()
            };
            let refused = check(events, FIT) == Err(EventsError::SyndromeBits(1 << bit));
            assert_eq!(refused, bit >= 25, "{bit}");
        }
    }

    #[test]
    fn what_the_host_or_the_vcpu_cannot_do_is_refused_by_name() {
        use EventsError as E;
        use LeftFor::{DeviceAccess, Nothing};
        for (events, now, error) in [
            (
                VcpuEvents::default(),
                Circumstance {
                    initialised: false,
                    ..FIT
                },
                E::NotInitialised,
            ),
            (
                serror(Some(1)),
                Circumstance {
                    syndromes: false,
                    ..FIT
                },
                E::NoSyndromes,
            ),
            (
                data_abort(),
                Circumstance {
                    data_aborts: false,
                    ..FIT
                },
                E::NoDataAborts,
            ),
            (
                data_abort(),
                Circumstance {
                    left_for: Nothing,
                    ..FIT
                },
                E::NothingToAbort,
            ),
            (
                data_abort(),
                Circumstance {
                    left_for: DeviceAccess,
                    ..FIT
                },
                E::DeviceAccessIncomplete,
            ),
            (
                serror(None),
                Circumstance {
                    left_for: DeviceAccess,
                    ..FIT
                },
                E::SErrorBeforeCompletion,
            ),
        ] {
            assert_eq!(check(events, now), Err(error));
            assert!(!error.to_string().is_empty());
        }
        let without_ras = Circumstance {
            syndromes: false,
            left_for: Nothing,
            ..FIT
        };
        assert!(
            check(serror(None), without_ras).is_ok(),
            "KVM has a default without FEAT_RAS"
        );
    }
}
