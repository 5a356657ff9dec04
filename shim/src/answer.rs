//! What the shim does about a trap, decided before anything is changed.

use seawall_replay::entry::Access;
use seawall_replay::port;

use crate::trap::{Abort, Snapshot, Transfer, Trap};

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "a trap without an answer repeats for ever"]
pub enum Answer {
    /// The port is read or written at `offset`, and the instruction is done.
    Port {
        /// From the port's base, in bytes.
        offset: u64,
        /// What the instruction moves.
        transfer: Transfer,
    },
    /// The instruction is passed over without effect.
    Skip,
    /// The guest gets a synchronous external abort at EL1.
    ExternalAbort(Abort),
    /// The guest called; the PC goes on by `advance` bytes.
    Call {
        /// 0 or 4.
        advance: u64,
    },
    /// There is no answer: the run ends.
    Stuck,
}

/// The answer, in the order in which KVM decides for an IPA without a memslot [Linux `kvm_handle_guest_abort`]: fetches
/// and stage-1 walks abort, cache maintenance is passed over, everything else that nobody emulates aborts. `vbar` is
/// the guest's VBAR_EL1.
pub const fn answer(snapshot: &Snapshot, port: u64, vbar: u64) -> Answer {
    let abort = match snapshot.decode() {
        Trap::Abort(abort) => abort,
        Trap::HypervisorCall => return Answer::Call { advance: 0 },
        Trap::SecureMonitorCall => return Answer::Call { advance: 4 },
        Trap::Other => return Answer::Stuck,
    };
    if matches!(abort.access, Access::Instruction) && is_own_vector(snapshot, vbar) {
        // The abort's own vector cannot be fetched: to enter it would bring the same fetch again, without end.
        return Answer::Stuck;
    }
    if abort.walk {
        return Answer::ExternalAbort(abort);
    }
    if abort.maintenance {
        return Answer::Skip;
    }
    match abort.transfer {
        Some(transfer) if abort.ipa >= port && abort.ipa - port < port::SIZE => Answer::Port {
            offset: abort.ipa - port,
            transfer,
        },
        Some(_) | None => Answer::ExternalAbort(abort),
    }
}

/// Whether the guest is at EL1h, and there at the vector where an abort taken from EL1h enters.
const fn is_own_vector(snapshot: &Snapshot, vbar: u64) -> bool {
    snapshot.spsr & 0x1f == 0b0_0101 && snapshot.elr == vbar.wrapping_add(0x200)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: u64 = 0x0b00_0000;
    const VBAR: u64 = 0x5020_0800;

    fn of(esr: u64, far: u64, ipa: u64) -> Answer {
        at(esr, far, ipa, 0x5030_0000)
    }

    fn at(esr: u64, far: u64, ipa: u64, elr: u64) -> Answer {
        answer(
            &Snapshot {
                esr,
                far,
                hpfar: ipa >> 12 << 4,
                elr,
                spsr: 0x3c5,
            },
            PORT,
            VBAR,
        )
    }

    fn is_abort(answer: Answer) -> bool {
        matches!(answer, Answer::ExternalAbort(_))
    }

    #[test]
    fn the_port_is_its_two_pages_and_no_byte_more() {
        for (ipa, offset) in [
            (PORT, 0),
            (PORT + 0x38, 0x38),
            (PORT + 0x1000, 0x1000),
            (PORT + 0x1fff, 0x1fff),
        ] {
            match of(0x93c3_8047, ipa, ipa) {
                Answer::Port {
                    offset: found,
                    transfer,
                } => assert_eq!((found, transfer.register), (offset, 3)),
                other => panic!("{other:?}"),
            }
        }
        assert!(is_abort(of(0x93c3_8047, PORT - 1, PORT - 1)));
        assert!(is_abort(of(0x93c3_8047, PORT + 0x2000, PORT + 0x2000)));
    }

    #[test]
    fn an_access_the_syndrome_does_not_describe_aborts_even_at_the_port() {
        assert!(is_abort(of(0x9200_0047, PORT, PORT)), "ISV = 0");
        assert!(is_abort(of(0x93c3_80c7, PORT, PORT)), "a walk");
        assert!(is_abort(of(0x8200_0007, PORT, PORT)), "a fetch");
    }

    #[test]
    fn cache_maintenance_is_passed_over_and_its_walk_is_not() {
        assert_eq!(of(0x9200_0147, 0x5040_0000, 0x5040_0000), Answer::Skip);
        assert!(is_abort(of(0x9200_01c7, 0x5040_0000, 0x5040_0000)));
    }

    #[test]
    fn a_vector_that_cannot_be_fetched_ends_the_run() {
        assert_eq!(
            at(0x8200_0007, VBAR + 0x200, VBAR + 0x200, VBAR + 0x200),
            Answer::Stuck
        );
        assert!(is_abort(at(
            0x8200_0007,
            VBAR + 0x204,
            VBAR + 0x204,
            VBAR + 0x204
        )));
        assert!(
            is_abort(at(0x9200_0007, 0x5040_0000, 0x5040_0000, VBAR + 0x200)),
            "a load there may differ"
        );
    }

    #[test]
    fn calls_go_on_behind_themselves_and_the_rest_is_stuck() {
        assert_eq!(of(0x5a00_0000, 0, 0), Answer::Call { advance: 0 });
        assert_eq!(of(0x5e00_0000, 0, 0), Answer::Call { advance: 4 });
        assert_eq!(of(0x6200_0000, 0, 0), Answer::Stuck);
        assert_eq!(of(0x9200_0010, 0, 0), Answer::Stuck);
    }
}
