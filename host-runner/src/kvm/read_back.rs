//! Whether KVM has what it was given: what `KVM_GET_VCPU_EVENTS` says after `KVM_SET_VCPU_EVENTS`.
//!
//! [Linux `arch/arm64/kvm/guest.c`] A pending SError is read back with its syndrome; a data abort never is; and since
//! Linux 6.17 an SError that is not masked is taken inside the call, and then ESR_EL1 has it. An SError that was pending
//! before cannot be called back, so nothing else may come of events that ask for none.

use super::uapi::VcpuEvents;

/// PSTATE.A, in SPSR's layout.
const MASKED: u64 = 1 << 8;
/// What KVM makes of an SError without a syndrome: IDS = 1.
const DEFAULT: u64 = 1 << 24;
/// The class of an SError, ESR_EL1 bits 31:26.
const SERROR: u64 = 0x2f;
const ISS: u64 = 0x01ff_ffff;

/// How the vCPU stood before the call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stood {
    /// What was pending.
    pub(crate) events: VcpuEvents,
    /// PSTATE.
    pub(crate) pstate: u64,
}

/// Holds what is read back against what was given. `esr` is ESR_EL1 after the call; `syndromes` is
/// `KVM_CAP_ARM_INJECT_SERROR_ESR`.
///
/// # Errors
/// A sentence that says what KVM has made of it.
pub(crate) fn check(
    given: &VcpuEvents,
    before: Stood,
    after: &VcpuEvents,
    esr: u64,
    syndromes: bool,
) -> Result<(), String> {
    if after.ext_dabt_pending != 0 {
        return Err("a data abort is read back, which never is".into());
    }
    let wanted = match (given.serror_pending, before.events.serror_pending) {
        (0, 0) if after.serror_pending == 0 => return Ok(()),
        (0, 0) => return Err("an SError is pending that nobody pended".into()),
        (0, _) => before.events.serror_esr,
        (..) if given.serror_has_esr != 0 => given.serror_esr,
        (..) if syndromes => DEFAULT,
        (..) => 0,
    };
    if after.serror_pending != 0 {
        let read = after.serror_esr;
        return if read == wanted {
            Ok(())
        } else {
            Err(format!(
                "an SError of syndrome {wanted:#x} is read back with {read:#x}"
            ))
        };
    }
    let could_be_taken =
        given.serror_pending != 0 && given.ext_dabt_pending == 0 && before.pstate & MASKED == 0;
    let was_taken = esr >> 26 == SERROR && (!syndromes || esr & ISS == wanted);
    if could_be_taken && was_taken {
        Ok(())
    } else {
        Err(format!(
            "an SError of syndrome {wanted:#x} is lost: it is neither pending nor taken (ESR_EL1 {esr:#x})"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::events::{data_abort, serror};
    use super::*;

    const NOTHING: VcpuEvents = VcpuEvents {
        serror_pending: 0,
        // [Linux kvm_arm_vcpu_get_events] Set with FEAT_RAS, whether or not anything is pending.
        serror_has_esr: 1,
        ext_dabt_pending: 0,
        pad: [0; 5],
        serror_esr: 0,
        reserved: [0; 12],
    };
    const EL0: u64 = 0;
    const EL1_MASKED: u64 = 0x3c5;

    fn pending(serror_esr: u64) -> VcpuEvents {
        VcpuEvents {
            serror_pending: 1,
            serror_esr,
            ..NOTHING
        }
    }

    fn of(given: VcpuEvents, was: VcpuEvents, pstate: u64, after: VcpuEvents, esr: u64) -> bool {
        let before = Stood { events: was, pstate };
        check(&given, before, &after, esr, true).is_ok()
    }

    #[test]
    fn an_serror_is_read_back_with_its_syndrome_and_no_other() {
        let given = serror(Some(0x1811));
        assert!(of(given, NOTHING, EL1_MASKED, pending(0x1811), 0));
        assert!(!of(given, NOTHING, EL1_MASKED, pending(0x1810), 0));
        assert!(of(serror(None), NOTHING, EL1_MASKED, pending(0x0100_0000), 0));
        assert!(!of(serror(None), NOTHING, EL1_MASKED, pending(0), 0));
        assert!(
            of(given, pending(0xc11), EL1_MASKED, pending(0x1811), 0),
            "the second takes the place of the first"
        );
        let with_bits = VcpuEvents {
            ext_dabt_pending: 1,
            ..pending(0x1811)
        };
        assert!(!of(given, NOTHING, EL1_MASKED, with_bits, 0));
    }

    #[test]
    fn an_serror_that_is_not_masked_may_be_taken_at_once_and_must_then_be_in_esr() {
        let given = serror(Some(0x1811));
        assert!(of(given, NOTHING, EL0, NOTHING, 0xbe00_1811));
        assert!(
            of(given, NOTHING, EL0, pending(0x1811), 0),
            "or on the next entry"
        );
        assert!(!of(given, NOTHING, EL0, NOTHING, 0xbe00_0c11), "another one");
        assert!(!of(given, NOTHING, EL0, NOTHING, 0x9200_0010), "not an SError");
        assert!(!of(given, NOTHING, EL1_MASKED, NOTHING, 0xbe00_1811), "masked");
    }

    #[test]
    fn beside_an_abort_an_serror_stays_pending_for_the_entry_masks_it() {
        let both = VcpuEvents {
            ext_dabt_pending: 1,
            ..serror(Some(0xc11))
        };
        assert!(of(both, NOTHING, EL0, pending(0xc11), 0x9200_0010));
        assert!(!of(both, NOTHING, EL0, NOTHING, 0xbe00_0c11));
        assert!(of(data_abort(), NOTHING, EL0, NOTHING, 0x9200_0010));
        assert!(
            !of(data_abort(), NOTHING, EL0, pending(0), 0x9200_0010),
            "from nowhere"
        );
        let was = pending(0x1811);
        assert!(of(data_abort(), was, EL1_MASKED, was, 0x9600_0010));
        assert!(
            !of(data_abort(), was, EL1_MASKED, NOTHING, 0x9600_0010),
            "called back"
        );
    }

    #[test]
    fn without_ras_there_is_no_syndrome_to_read_back() {
        let nothing = VcpuEvents {
            serror_has_esr: 0,
            ..NOTHING
        };
        let before = |pstate| Stood {
            events: nothing,
            pstate,
        };
        let after = VcpuEvents {
            serror_pending: 1,
            ..nothing
        };
        assert!(check(&serror(None), before(EL1_MASKED), &after, 0, false).is_ok());
        assert!(check(&serror(None), before(EL0), &nothing, 0xbe00_0000, false).is_ok());
        assert!(check(&serror(None), before(EL1_MASKED), &nothing, 0, false).is_err());
    }
}
