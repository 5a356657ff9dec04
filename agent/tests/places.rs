//! Every error type of an SError, at every place where the kernel can find one, with FEAT_RAS and without: what Arm lets
//! an OS do \[Arm ARM D20.4.2.1, D24.2.45\] against what is decided.

mod mock;

use mock::Mock;
use seawall_agent::{
    ByRule, Cause, Decision, Level, Origin, Rule, Running, Snapshot, TaskId, Verdict, judge,
};

const CALLER: TaskId = TaskId(7);
const COPIED: TaskId = TaskId(9);

/// A place where an SError is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// Taken while a task ran.
    Task,
    /// Deferred at the entry from a task: by a call, an interrupt or an abort.
    Entry,
    /// Deferred by the barrier after a copy of another task's memory.
    Copy,
    /// Deferred by the barrier on the way out, after the kernel's own work: a handler's too.
    Exit,
    /// Taken where the kernel unmasks SErrors.
    Kernel,
}

impl Place {
    const ALL: [Self; 5] = [Self::Task, Self::Entry, Self::Copy, Self::Exit, Self::Kernel];

    fn judged(self, syndrome: u64, ras: bool, rule: Rule) -> Verdict {
        let mut kernel = Mock::new(Running::Task(CALLER));
        kernel.rule = rule;
        kernel.copied = (self == Self::Copy).then_some(COPIED);
        let (cause, from) = match self {
            Self::Task => (Cause::SError, Level::El0),
            Self::Entry => (Cause::Deferred, Level::El0),
            Self::Copy | Self::Exit => (Cause::Deferred, Level::El1),
            Self::Kernel => (Cause::SError, Level::El1),
        };
        let at = Snapshot {
            cause,
            from,
            esr: if cause == Cause::SError {
                0xbe00_0000 | syndrome
            } else {
                0
            },
            far: 0,
            elr: 0x40_0000,
            spsr: 0,
            disr: if cause == Cause::Deferred {
                0x8000_0000 | syndrome
            } else {
                0
            },
            pfar: None,
            ras,
            entered: 0,
            time: 0,
        };
        let verdict = judge(&at, &kernel, &ByRule).expect("an SError is always a memory error");
        assert!(kernel.done.is_empty(), "judging changes nothing");
        verdict
    }
}

const SYNDROMES: [(&str, u64); 10] = [
    ("CE", 0x1811),
    ("UEO", 0x0811),
    ("UER", 0x0c11),
    ("UEU", 0x0411),
    ("UC", 0x0011),
    ("reserved 0b100", 0x1011),
    ("reserved 0b101", 0x1411),
    ("reserved 0b111", 0x1c11),
    ("IDS", 0x0100_0c11),
    ("uncategorised", 0x0c00),
];

#[test]
fn every_error_type_at_every_place_has_its_decision() {
    use Decision::{CarryOn, FailCopy, Halt, Isolate};
    // In the order of `Place::ALL`, for a task whose rule is to be isolated.
    for (name, expected) in [
        ("CE", [CarryOn; 5]),
        ("UEO", [CarryOn; 5]),
        ("UER", [Isolate, Isolate, FailCopy, Halt, Halt]),
        ("UEU", [Isolate, Isolate, Isolate, Halt, Halt]),
        ("UC", [Halt; 5]),
        ("reserved 0b100", [Halt; 5]),
        ("reserved 0b101", [Halt; 5]),
        ("reserved 0b111", [Halt; 5]),
        ("IDS", [Halt; 5]),
        ("uncategorised", [Halt; 5]),
    ] {
        let (_, syndrome) = SYNDROMES.into_iter().find(|(known, _)| *known == name).unwrap();
        for (place, decision) in Place::ALL.into_iter().zip(expected) {
            let verdict = place.judged(syndrome, true, Rule::Isolate);
            assert_eq!(verdict.decision, decision, "{name} at {place:?}");
            // Without FEAT_RAS there is no error type, and nothing is promised.
            let verdict = place.judged(syndrome, false, Rule::Isolate);
            assert_eq!(verdict.decision, Halt, "{name} at {place:?} without FEAT_RAS");
        }
    }
}

#[test]
fn nobody_is_charged_who_did_not_run_and_a_copy_is_charged_to_whose_memory_it_was() {
    for (name, syndrome) in SYNDROMES {
        for (place, origin) in [
            (Place::Task, Origin::Task(CALLER)),
            (Place::Entry, Origin::Border(CALLER)),
            (Place::Copy, Origin::KernelCopy(COPIED)),
            (Place::Exit, Origin::Kernel),
            (Place::Kernel, Origin::Kernel),
        ] {
            assert_eq!(
                place.judged(syndrome, true, Rule::Kill).origin,
                origin,
                "{name} at {place:?}"
            );
        }
    }
}

#[test]
fn what_a_barrier_confined_to_a_copy_costs_the_copied_task_its_remedy_when_imprecise() {
    for (rule, decision) in [
        (Rule::Kill, Decision::Kill),
        (Rule::Isolate, Decision::Isolate),
        (Rule::Restart { left: 1 }, Decision::Restart),
        (Rule::Restart { left: 0 }, Decision::Kill),
    ] {
        let verdict = Place::Copy.judged(0x0411, true, rule);
        assert_eq!((verdict.charged, verdict.decision), (Some(COPIED), decision));
        // Precise: what was asked for is lost, and nothing else.
        let verdict = Place::Copy.judged(0x0c11, true, rule);
        assert_eq!(
            (verdict.charged, verdict.decision),
            (Some(COPIED), Decision::FailCopy)
        );
    }
}
