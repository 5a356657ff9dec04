//! The engine: from a snapshot to what the kernel is told to do. The tables are written by hand from the manual's rules
//! and from the promises in the design; each row ends in the decision and in exactly what was done to whom.

mod mock;
mod numbers;

use std::sync::atomic::AtomicU64;

use mock::Mock;
use numbers::numbers;
use seawall_agent::journal::{Entry, EntryKind, read};
use seawall_agent::{
    AbortRecord, ByRule, Case, Cause, Decision, Flags, FrameNumber, FrameOwner, Journal, Kernel, Ledger,
    Level, Origin, Outcome, Policy, Rule, Running, Severity, Snapshot, Strict, TaskId, Verdict,
    VirtualAddress, apply, judge,
};

/// The task that runs, one that does not, and one that a copy is for.
const RUNNER: TaskId = TaskId(7);
const OTHER: TaskId = TaskId(8);
const CLIENT: TaskId = TaskId(9);
/// An address of the runner's, and its frame.
const PAGE: u64 = 0x40_0000;
const FRAME: FrameNumber = FrameNumber(0x4_8000);
/// An instruction in a copy that may fail, and one that is not.
const IN_COPY: u64 = 0xffff_8000_0000_1000;
const IN_KERNEL: u64 = 0xffff_8000_0000_2000;
/// An instruction that fills a frame which is nobody's yet, and that frame.
const IN_FILL: u64 = 0xffff_8000_0000_3000;
const FRESH: FrameNumber = FrameNumber(0x4_a000);

const DATA_EL0: u64 = 0x9200_0000;
const FETCH_EL0: u64 = 0x8200_0000;
const DATA_EL1: u64 = 0x9600_0000;
const SERROR: u64 = 0xbe00_0000;

fn kernel() -> Mock {
    let mut kernel = Mock::new(Running::Task(RUNNER));
    kernel.copies.insert(IN_COPY, CLIENT);
    kernel.fills.insert(IN_FILL, FRESH);
    kernel.pages.insert((RUNNER, PAGE >> 12), FRAME);
    kernel.pages.insert((CLIENT, PAGE >> 12), FrameNumber(0x4_9000));
    kernel.owners.insert(FRAME, FrameOwner::Task(RUNNER));
    kernel
        .owners
        .insert(FrameNumber(0x4_9000), FrameOwner::Task(CLIENT));
    for level in -2..=3_i8 {
        let frame = FrameNumber(0x5_0000 + u64::from((level + 2).unsigned_abs()));
        kernel.tables.insert((RUNNER, level), frame);
        kernel.owners.insert(frame, FrameOwner::PageTable(RUNNER));
    }
    kernel
}

fn snapshot(cause: Cause, from: Level, syndrome: u64) -> Snapshot {
    let deferred = cause == Cause::Deferred;
    Snapshot {
        cause,
        from,
        esr: if deferred { 0 } else { syndrome },
        far: PAGE | 8,
        elr: if from == Level::El0 { 0x20_0000 } else { IN_KERNEL },
        spsr: 0x6000_0000,
        disr: if deferred { syndrome } else { 0 },
        pfar: None,
        ras: true,
        entered: 0,
        time: 77,
    }
}

/// Judges and applies with fresh books; what came out, what was done, and the record.
fn run(
    snapshot: &Snapshot,
    kernel: &mut Mock,
    policy: &impl Policy,
) -> Option<(Verdict, Outcome, AbortRecord)> {
    let mut verdict = judge(snapshot, kernel, policy)?;
    assert_eq!(kernel.done, Vec::<String>::new(), "judging changes nothing");
    let mut slots = [0; 16];
    let mut ledger = Ledger::new(&mut slots).unwrap();
    let words = [const { AtomicU64::new(0) }; 48];
    let mut journal = Journal::new(&words).unwrap();
    let outcome = apply(&mut verdict, snapshot, kernel, &mut ledger, &mut journal);
    let bytes = bytes(&words);
    let entries: Vec<Entry> = read(&bytes).unwrap().entries().collect();
    let [
        Entry {
            sequence: 1,
            kind: EntryKind::Abort(record),
        },
    ] = entries[..]
    else {
        panic!("one record: {entries:?}");
    };
    assert_eq!(
        (record.decision, record.severity),
        (verdict.decision, verdict.severity)
    );
    assert_eq!((record.origin, record.frame), (verdict.origin, verdict.frame));
    Some((verdict, outcome, record))
}

fn bytes(words: &[AtomicU64]) -> Vec<u8> {
    words
        .iter()
        .flat_map(|word| word.load(std::sync::atomic::Ordering::Relaxed).to_le_bytes())
        .collect()
}

/// One row: what came, to whom it is put down, what is decided, and all that is done.
#[track_caller]
fn check(
    snapshot: &Snapshot,
    rule: Rule,
    origin: Origin,
    decision: Decision,
    outcome: Outcome,
    done: &[&str],
) {
    let mut kernel = kernel();
    kernel.rule = rule;
    let (verdict, found, _) = run(snapshot, &mut kernel, &ByRule).expect("a memory error");
    assert_eq!(verdict.origin, origin);
    assert_eq!(verdict.charged, origin.task());
    assert_eq!((verdict.decision, found), (decision, outcome));
    assert_eq!(kernel.done, done);
}

const RULES: [(Rule, Decision, &str); 5] = [
    (Rule::Kill, Decision::Kill, "kill 7"),
    (Rule::Isolate, Decision::Isolate, "isolate 7"),
    (Rule::Restart { left: 2 }, Decision::Restart, "restart 7"),
    (Rule::Restart { left: 1 }, Decision::Restart, "restart 7"),
    (Rule::Restart { left: 0 }, Decision::Kill, "kill 7"),
];

/// All of them; under Miri, which looks for something else, the last.
fn rules() -> impl Iterator<Item = (Rule, Decision, &'static str)> {
    RULES.into_iter().skip(if cfg!(miri) { 4 } else { 0 })
}

#[test]
fn abort_of_a_task_costs_that_task_by_its_rule_and_the_poisoned_frame() {
    for (rule, decision, done) in rules() {
        for esr in [
            DATA_EL0 | 0x10,
            FETCH_EL0 | 0x10,
            DATA_EL0 | 0x18,
            FETCH_EL0 | 0x18,
            DATA_EL0 | 0x50,
        ] {
            let at = snapshot(Cause::Synchronous, Level::El0, esr);
            check(
                &at,
                rule,
                Origin::Task(RUNNER),
                decision,
                Outcome::Reschedule,
                &["retire 48000", done],
            );
        }
        // UEO: nothing is lost, but the same instruction meets the same poison.
        let restartable = snapshot(Cause::Synchronous, Level::El0, DATA_EL0 | 0b11 << 11 | 0x10);
        check(
            &restartable,
            rule,
            Origin::Task(RUNNER),
            decision,
            Outcome::Reschedule,
            &["retire 48000", done],
        );
        // FnV: the task is charged all the same.
        let nowhere = snapshot(Cause::Synchronous, Level::El0, DATA_EL0 | 1 << 10 | 0x10);
        check(
            &nowhere,
            rule,
            Origin::Task(RUNNER),
            decision,
            Outcome::Reschedule,
            &[done],
        );
    }
}

#[test]
fn walk_of_a_task_costs_that_task_and_the_table_of_that_level() {
    for (rule, decision, done) in rules() {
        for (code, table) in [
            (0x12, "retire 50000"),
            (0x13, "retire 50001"),
            (0x14, "retire 50002"),
            (0x15, "retire 50003"),
            (0x16, "retire 50004"),
            (0x17, "retire 50005"),
            (0x1b, "retire 50001"),
            (0x1c, "retire 50002"),
            (0x1d, "retire 50003"),
            (0x1e, "retire 50004"),
            (0x1f, "retire 50005"),
        ]
        .into_iter()
        .step_by(if cfg!(miri) { 5 } else { 1 })
        {
            for class in [DATA_EL0, FETCH_EL0] {
                let at = snapshot(Cause::Synchronous, Level::El0, class | code);
                check(
                    &at,
                    rule,
                    Origin::Walk(RUNNER),
                    decision,
                    Outcome::Reschedule,
                    &[table, done],
                );
            }
        }
    }
}

/// Each AET from each level, as an SError taken and as one deferred.
#[test]
fn serror_is_answered_by_its_error_type_and_by_who_was_interrupted() {
    let task = Some(());
    for (aet, from_el0, from_el1) in [
        (0b000, (Decision::Halt, None), Decision::Halt),
        (0b001, (Decision::Kill, task), Decision::Halt),
        (0b010, (Decision::CarryOn, None), Decision::CarryOn),
        (0b011, (Decision::Kill, task), Decision::Halt),
        (0b100, (Decision::Halt, None), Decision::Halt),
        (0b101, (Decision::Halt, None), Decision::Halt),
        (0b110, (Decision::CarryOn, None), Decision::CarryOn),
        (0b111, (Decision::Halt, None), Decision::Halt),
    ] {
        for (cause, top) in [(Cause::SError, SERROR), (Cause::Deferred, 1 << 31)] {
            let syndrome = top | aet << 10 | 0x11;
            let outcome = |decision| match decision {
                Decision::CarryOn => Outcome::Resume,
                Decision::Halt => Outcome::Halt,
                _ => Outcome::Reschedule,
            };
            let origin = if cause == Cause::Deferred {
                Origin::Border(RUNNER)
            } else {
                Origin::Task(RUNNER)
            };
            for (rule, by_rule, ends) in rules() {
                let (decision, ended) = from_el0;
                let (decision, done) = match ended {
                    Some(()) => (by_rule, &[ends][..]),
                    None => (decision, &[][..]),
                };
                let at = snapshot(cause, Level::El0, syndrome);
                check(&at, rule, origin, decision, outcome(decision), done);
                let at = snapshot(cause, Level::El1, syndrome);
                check(&at, rule, Origin::Kernel, from_el1, outcome(from_el1), &[]);
            }
        }
    }
}

#[test]
fn serror_without_an_error_type_halts_whoever_ran() {
    for (cause, syndrome, ras) in [
        (Cause::SError, SERROR | 1 << 24, true),
        (Cause::SError, SERROR | 1 << 24 | 0b110 << 10 | 0x11, true),
        (Cause::SError, SERROR, true),
        (Cause::SError, SERROR | 0b110 << 10, true),
        (Cause::SError, SERROR | 0b110 << 10 | 0x11, false),
        // What came through the SError vector is an error, whatever its class says.
        (Cause::SError, 0x5600_0000, true),
        (Cause::SError, DATA_EL0 | 0x07, true),
        (Cause::Deferred, 1 << 31 | 1 << 24, true),
        (Cause::Deferred, 1 << 31, true),
        (Cause::Deferred, 1 << 31 | 0b010 << 10 | 0x11, false),
    ] {
        for level in [Level::El0, Level::El1] {
            let mut kernel = kernel();
            let at = Snapshot {
                ras,
                ..snapshot(cause, level, syndrome)
            };
            let (verdict, outcome, _) = run(&at, &mut kernel, &ByRule).unwrap();
            assert_eq!(
                (verdict.severity, outcome),
                (Severity::Uncontainable, Outcome::Halt),
                "{at:?}"
            );
            assert!(kernel.done.is_empty());
        }
    }
}

#[test]
fn uncontainable_abort_halts_and_touches_nothing() {
    for set in [0b01, 0b10] {
        for (from, class) in [
            (Level::El0, DATA_EL0),
            (Level::El0, FETCH_EL0),
            (Level::El1, DATA_EL1),
        ] {
            for code in if cfg!(miri) {
                &[0x10][..]
            } else {
                &[0x10, 0x12, 0x17]
            } {
                let mut kernel = kernel();
                let mut at = snapshot(Cause::Synchronous, from, class | set << 11 | code);
                at.elr = if from == Level::El1 { IN_COPY } else { at.elr };
                let (verdict, outcome, _) = run(&at, &mut kernel, &ByRule).unwrap();
                assert_eq!(
                    (verdict.severity, outcome),
                    (Severity::Uncontainable, Outcome::Halt)
                );
                assert!(kernel.done.is_empty(), "{:?}", kernel.done);
            }
        }
    }
}

#[test]
fn abort_in_the_kernel_outside_a_copy_halts() {
    for esr in [
        DATA_EL1 | 0x10,
        DATA_EL1 | 0b11 << 11 | 0x10,
        DATA_EL1 | 0x15,
        DATA_EL1 | 0x18,
        0x8600_0010,
        DATA_EL1 | 1 << 10 | 0x10,
    ] {
        let at = snapshot(Cause::Synchronous, Level::El1, esr);
        check(
            &at,
            Rule::Restart { left: 9 },
            Origin::Kernel,
            Decision::Halt,
            Outcome::Halt,
            &[],
        );
    }
}

#[test]
fn abort_in_a_copy_fails_the_copy_and_costs_its_task_the_frame_alone() {
    for (rule, ..) in rules() {
        for esr in [DATA_EL1 | 0x10, DATA_EL1 | 0b11 << 11 | 0x10, DATA_EL1 | 0x18] {
            let at = Snapshot {
                elr: IN_COPY,
                ..snapshot(Cause::Synchronous, Level::El1, esr)
            };
            let done = ["retire 49000", "fail_copy 9"];
            check(
                &at,
                rule,
                Origin::KernelCopy(CLIENT),
                Decision::FailCopy,
                Outcome::CopyFailed,
                &done,
            );
        }
    }
    // An SError says nothing about the instruction that it arrives at.
    let at = Snapshot {
        elr: IN_COPY,
        ..snapshot(Cause::SError, Level::El1, SERROR | 0b011 << 10 | 0x11)
    };
    check(
        &at,
        Rule::Kill,
        Origin::Kernel,
        Decision::Halt,
        Outcome::Halt,
        &[],
    );
}

#[test]
fn abort_in_filling_a_fresh_frame_costs_the_frame_alone_and_charges_nobody() {
    const FNV: u64 = 1 << 10;
    const UEO: u64 = 0b11 << 11;
    const UC: u64 = 0b10 << 11;
    let at = |esr, running| {
        let mut kernel = kernel();
        kernel.running = running;
        let at = Snapshot {
            elr: IN_FILL,
            far: 0xffff_8000_4a00_0040,
            ..snapshot(Cause::Synchronous, Level::El1, esr)
        };
        let (verdict, outcome, _) = run(&at, &mut kernel, &ByRule).unwrap();
        (verdict, outcome, kernel.done)
    };
    // Whoever runs, and whether or not there is an address: the instruction touches nothing else.
    for running in [Running::Task(RUNNER), Running::Idle] {
        for esr in [
            DATA_EL1 | 0x10,
            DATA_EL1 | FNV | 0x10,
            DATA_EL1 | UEO | 0x10,
            DATA_EL1 | 0x18,
        ] {
            let (verdict, outcome, done) = at(esr, running);
            assert_eq!(
                (verdict.origin, verdict.charged),
                (Origin::Fresh, None),
                "{esr:#x}"
            );
            assert_eq!(
                (verdict.decision, outcome),
                (Decision::FailCopy, Outcome::CopyFailed)
            );
            assert_eq!(
                (verdict.frame, done),
                (Some(FRESH), vec!["retire 4a000".to_owned()])
            );
            let far = (esr & FNV == 0).then_some(VirtualAddress(0xffff_8000_4a00_0040));
            assert_eq!(
                (verdict.far, verdict.flags.contains(Flags::FAR_VALID)),
                (far, far.is_some())
            );
            assert!(verdict.flags.contains(Flags::FRAME_VALID));
        }
    }
    // Uncontainable from anywhere; and on a walk (FSC 0b010110, level 2) it is a table of the kernel's own.
    for (esr, origin) in [
        (DATA_EL1 | UC | 0x10, Origin::Fresh),
        (DATA_EL1 | 0x16, Origin::Kernel),
    ] {
        let (verdict, outcome, done) = at(esr, Running::Task(RUNNER));
        assert_eq!(
            (verdict.origin, verdict.decision),
            (origin, Decision::Halt),
            "{esr:#x}"
        );
        assert_eq!((outcome, done), (Outcome::Halt, vec![]));
    }
    // What is taken says nothing about the instruction that it arrives at, and what a policy would rather do cannot be done.
    let serror = Snapshot {
        elr: IN_FILL,
        ..snapshot(Cause::SError, Level::El1, SERROR | 0b011 << 10 | 0x11)
    };
    let (verdict, outcome, _) = run(&serror, &mut kernel(), &ByRule).unwrap();
    assert_eq!((verdict.origin, outcome), (Origin::Kernel, Outcome::Halt));
    let plain = Snapshot {
        elr: IN_FILL,
        ..snapshot(Cause::Synchronous, Level::El1, DATA_EL1 | 0x10)
    };
    let (verdict, outcome, _) = run(&plain, &mut kernel(), &Strict).unwrap();
    assert_eq!((verdict.origin, outcome), (Origin::Fresh, Outcome::Halt));
}

#[test]
fn idle_kernel_carries_on_when_nothing_is_lost_and_halts_when_something_is() {
    for (aet, decision) in [
        (0b110, Decision::CarryOn),
        (0b010, Decision::CarryOn),
        (0b011, Decision::Halt),
        (0b001, Decision::Halt),
    ] {
        for (cause, top) in [(Cause::SError, SERROR), (Cause::Deferred, 1 << 31)] {
            let mut kernel = kernel();
            kernel.running = Running::Idle;
            let at = snapshot(cause, Level::El1, top | aet << 10 | 0x11);
            let (verdict, ..) = run(&at, &mut kernel, &ByRule).unwrap();
            assert_eq!(
                (verdict.origin, verdict.charged, verdict.decision),
                (Origin::Idle, None, decision)
            );
            assert!(kernel.done.is_empty());
        }
    }
    // EL0 was interrupted, yet nothing ran: the kernel's books are wrong.
    let mut kernel = kernel();
    kernel.running = Running::Idle;
    let at = snapshot(Cause::Synchronous, Level::El0, DATA_EL0 | 0x10);
    let (verdict, outcome, _) = run(&at, &mut kernel, &ByRule).unwrap();
    assert_eq!((verdict.origin, outcome), (Origin::Kernel, Outcome::Halt));
}

#[test]
fn what_is_no_memory_error_has_no_verdict() {
    let kernel = kernel();
    for (cause, syndrome) in [
        (Cause::Synchronous, DATA_EL0 | 0x07),
        (Cause::Synchronous, DATA_EL0 | 0x0f),
        (Cause::Synchronous, DATA_EL0 | 0x11),
        (Cause::Synchronous, DATA_EL0 | 0x21),
        (Cause::Synchronous, DATA_EL0 | 0x28),
        (Cause::Synchronous, DATA_EL0 | 0x30),
        (Cause::Synchronous, FETCH_EL0 | 0x05),
        (Cause::Synchronous, 0x5600_0000),
        (Cause::Synchronous, 0),
        (Cause::Deferred, 0),
        (Cause::Deferred, 0x7fff_ffff),
    ] {
        for level in [Level::El0, Level::El1] {
            let found = judge(&snapshot(cause, level, syndrome), &kernel, &ByRule);
            assert_eq!(found, None, "{cause:?} {syndrome:#x}");
        }
    }
}

#[test]
fn synchronous_abort_that_came_through_the_serror_vector_is_judged_as_what_it_is() {
    let at = snapshot(Cause::SError, Level::El0, DATA_EL0 | 0b11 << 11 | 0x10);
    let mut kernel = kernel();
    let (verdict, _, record) = run(&at, &mut kernel, &ByRule).unwrap();
    assert_eq!((verdict.cause, verdict.frame), (Cause::Synchronous, Some(FRAME)));
    assert_eq!(record.cause, Cause::Synchronous);
    // Restartable, yet not carried on with: the loop is the same on either vector.
    assert_eq!(kernel.done, ["retire 48000", "kill 7"]);
}

/// Where the poison lies: the owner that the kernel names, what becomes of the frame, and the flags.
#[track_caller]
fn check_frame(esr: u64, owner: FrameOwner, frame: Option<FrameNumber>, flags: Flags, done: &[&str]) {
    let mut kernel = kernel();
    kernel.owners.insert(FRAME, owner);
    kernel.owners.insert(FrameNumber(0x5_0005), owner);
    let at = snapshot(Cause::Synchronous, Level::El0, esr);
    let (verdict, _, record) = run(&at, &mut kernel, &ByRule).unwrap();
    assert_eq!(verdict.frame, frame);
    assert_eq!(record.flags, flags);
    assert_eq!(kernel.done, done);
    assert_eq!(verdict.charged, Some(RUNNER), "whatever becomes of the frame");
}

const FAR: Flags = Flags::FAR_VALID;
const DOUBTED: Flags = Flags(1 << 0 | 1 << 4);
const FOUND: Flags = Flags(1 << 0 | 1 << 1 | 1 << 3);
const FOUND_SHARED: Flags = Flags(1 << 0 | 1 << 1 | 1 << 3 | 1 << 9);

#[test]
fn address_is_believed_when_the_frame_is_the_tasks_own_or_shared_with_it() {
    let data = DATA_EL0 | 0x10;
    check_frame(
        data,
        FrameOwner::Task(RUNNER),
        Some(FRAME),
        FOUND,
        &["retire 48000", "kill 7"],
    );
    check_frame(
        data,
        FrameOwner::Shared,
        Some(FRAME),
        FOUND_SHARED,
        &["retire 48000", "kill 7"],
    );
    check_frame(
        data,
        FrameOwner::Retired,
        Some(FRAME),
        FOUND,
        &["retire 48000", "kill 7"],
    );
    check_frame(data, FrameOwner::Task(OTHER), None, DOUBTED, &["kill 7"]);
    // Its own table, though the syndrome has no walk level: KVM before Linux 6.18 reports walks so.
    check_frame(
        data,
        FrameOwner::PageTable(RUNNER),
        Some(FRAME),
        FOUND,
        &["retire 48000", "kill 7"],
    );
    check_frame(data, FrameOwner::PageTable(OTHER), None, DOUBTED, &["kill 7"]);
    check_frame(data, FrameOwner::Free, None, DOUBTED, &["kill 7"]);
    // A device: the address may be true, but there is no memory to retire.
    check_frame(data, FrameOwner::NotRam, None, FAR, &["kill 7"]);
    // The kernel's own memory: it halts, and retires nothing.
    check_frame(data, FrameOwner::Kernel, Some(FRAME), Flags(0b11), &[]);
    let table = FrameNumber(0x5_0005);
    let walk = DATA_EL0 | 0x17;
    check_frame(
        walk,
        FrameOwner::PageTable(RUNNER),
        Some(table),
        FOUND,
        &["retire 50005", "kill 7"],
    );
    check_frame(walk, FrameOwner::PageTable(OTHER), None, DOUBTED, &["kill 7"]);
    check_frame(walk, FrameOwner::Task(RUNNER), None, DOUBTED, &["kill 7"]);
    check_frame(walk, FrameOwner::Shared, None, DOUBTED, &["kill 7"]);
    check_frame(walk, FrameOwner::Free, None, DOUBTED, &["kill 7"]);
    check_frame(walk, FrameOwner::Kernel, Some(table), Flags(0b11), &[]);
}

#[test]
fn stale_far_is_not_believed_and_the_task_is_charged_all_the_same() {
    // KVM re-injects with FnV clear, over whatever the last stage 2 fault left in FAR.
    for far in [0, 0xdead_0000, IN_KERNEL, PAGE + 0x1000, 0xffff_ffff_ffff_ffff] {
        for code in [0x10, 0x18] {
            let mut kernel = kernel();
            let at = Snapshot {
                far,
                ..snapshot(Cause::Synchronous, Level::El0, DATA_EL0 | code)
            };
            let (verdict, outcome, record) = run(&at, &mut kernel, &ByRule).unwrap();
            assert_eq!((verdict.frame, outcome), (None, Outcome::Reschedule), "{far:#x}");
            assert_eq!(record.flags, DOUBTED);
            assert_eq!((record.far, record.valid_far()), (far, Some(VirtualAddress(far))));
            assert_eq!(kernel.done, ["kill 7"]);
        }
    }
}

#[test]
fn far_that_is_not_valid_is_never_followed() {
    for esr in [DATA_EL0 | 1 << 10 | 0x10, SERROR | 0b011 << 10 | 0x11] {
        let cause = if esr >> 26 == 0x2f {
            Cause::SError
        } else {
            Cause::Synchronous
        };
        let mut kernel = kernel();
        let (verdict, _, record) = run(&snapshot(cause, Level::El0, esr), &mut kernel, &ByRule).unwrap();
        assert_eq!(
            (verdict.far, verdict.frame, record.flags),
            (None, None, Flags::NONE)
        );
        assert_eq!(record.valid_far(), None);
        assert!(kernel.asked.borrow().is_empty(), "asked {:?}", kernel.asked);
    }
}

#[test]
fn tag_of_an_address_does_not_hide_its_page() {
    let mut kernel = kernel();
    let at = Snapshot {
        far: 0x5a << 56 | PAGE | 8,
        ..snapshot(Cause::Synchronous, Level::El0, DATA_EL0 | 0x10)
    };
    let (verdict, _, record) = run(&at, &mut kernel, &ByRule).unwrap();
    assert_eq!(verdict.frame, Some(FRAME));
    assert_eq!(
        record.far, 0x5a00_0000_0040_0008,
        "the record has the register as it was"
    );
}

#[test]
fn record_has_all_that_came_and_what_it_cost() {
    let mut kernel = kernel();
    kernel.now = 1_480;
    let at = Snapshot {
        pfar: Some(0x8000_4800_0000),
        entered: 1_000,
        ..snapshot(Cause::Synchronous, Level::El0, DATA_EL0 | 1 << 14 | 0x50)
    };
    let (_, _, record) = run(&at, &mut kernel, &ByRule).unwrap();
    let expected = AbortRecord {
        cause: Cause::Synchronous,
        from: Level::El0,
        severity: Severity::Recoverable,
        origin: Origin::Task(RUNNER),
        running: Running::Task(RUNNER),
        decision: Decision::Kill,
        flags: Flags(0b1111),
        esr: 0x9200_4050,
        far: 0x40_0008,
        elr: 0x20_0000,
        spsr: 0x6000_0000,
        disr: 0,
        pfar: 0x8000_4800_0000,
        frame: Some(FRAME),
        time: 77,
        cost: 480,
    };
    assert_eq!(record, expected);
    assert_eq!(record.charged(), Some(RUNNER));
    // Not measured is not free of charge, and a counter may wrap.
    for (entered, now, cost) in [(0, 1_480, 0), (u64::MAX - 9, 10, 20)] {
        let mut kernel = self::kernel();
        kernel.now = now;
        let (_, _, record) = run(&Snapshot { entered, ..at }, &mut kernel, &ByRule).unwrap();
        assert_eq!(record.cost, cost);
    }
    // PFV alone, or PFAR alone, is not a PFAR.
    for (pfar, esr) in [(None, DATA_EL0 | 1 << 14 | 0x10), (Some(1), DATA_EL0 | 0x10)] {
        let (_, _, record) = run(&Snapshot { pfar, esr, ..at }, &mut self::kernel(), &ByRule).unwrap();
        assert!(!record.flags.contains(Flags::PFAR_VALID));
    }
    let serror = Snapshot {
        cause: Cause::SError,
        esr: SERROR | 1 << 14 | 0b011 << 10 | 0x11,
        ..at
    };
    let (_, _, record) = run(&serror, &mut self::kernel(), &ByRule).unwrap();
    assert_eq!(
        record.flags,
        Flags(1 << 2 | 1 << 8),
        "there is no memory of its own there"
    );
}

#[test]
fn frame_is_retired_once_and_again_only_when_the_ledger_cannot_tell() {
    let mut kernel = kernel();
    let at = snapshot(Cause::Synchronous, Level::El0, DATA_EL0 | 0x10);
    let mut verdict = judge(&at, &kernel, &ByRule).unwrap();
    let mut slots = [0; 4];
    let mut ledger = Ledger::new(&mut slots).unwrap();
    let words = [const { AtomicU64::new(0) }; 16 + 16 * 4];
    let mut journal = Journal::new(&words).unwrap();
    for _ in 0..2 {
        assert_eq!(
            apply(&mut verdict, &at, &mut kernel, &mut ledger, &mut journal),
            Outcome::Reschedule
        );
    }
    assert_eq!(kernel.done, ["retire 48000", "kill 7", "kill 7"]);
    for frame in 0..2 {
        let _ = ledger.record(FrameNumber(frame));
    }
    kernel.done.clear();
    let mut full = Verdict {
        frame: Some(FrameNumber(0x77)),
        ..verdict
    };
    for _ in 0..2 {
        assert_eq!(
            apply(&mut full, &at, &mut kernel, &mut ledger, &mut journal),
            Outcome::Reschedule
        );
    }
    assert_eq!(kernel.done, ["retire 77", "kill 7", "retire 77", "kill 7"]);
    assert_eq!(ledger.overflowed(), 2);
    let bytes = bytes(&words);
    let flags: Vec<_> = read(&bytes)
        .unwrap()
        .entries()
        .map(|entry| match entry.kind {
            EntryKind::Abort(record) => record.flags.0,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(flags, [0b1011, 0b0011, 0b10_0011, 0b10_0011]);
}

/// Wishes for one thing, whatever the case.
struct Always(Decision);

impl Policy for Always {
    fn decide(&self, _: &Case, _: Decision) -> Decision {
        self.0
    }
}

#[test]
fn no_policy_goes_below_the_floor_or_asks_for_what_cannot_be_done() {
    use Decision::{CarryOn, FailCopy, Halt, Heal, Isolate, Kill, Restart, Signal};
    let at = |cause, level, syndrome| snapshot(cause, level, syndrome);
    let copy = Snapshot {
        elr: IN_COPY,
        ..at(Cause::Synchronous, Level::El1, DATA_EL1 | 0x10)
    };
    let wishes = [CarryOn, Heal, FailCopy, Signal, Restart, Kill, Isolate, Halt];
    for (case, expected) in [
        // A task's recoverable abort: never resumed; there is no copy to fail, no page to be had again and no handler.
        (
            at(Cause::Synchronous, Level::El0, DATA_EL0 | 0x10),
            [Restart, Restart, Restart, Restart, Restart, Kill, Isolate, Halt],
        ),
        (
            at(Cause::Synchronous, Level::El0, DATA_EL0 | 0x17),
            [Restart, Restart, Restart, Restart, Restart, Kill, Isolate, Halt],
        ),
        (
            at(Cause::SError, Level::El0, SERROR | 0b001 << 10 | 0x11),
            [Restart, Restart, Restart, Restart, Restart, Kill, Isolate, Halt],
        ),
        // A corrected or restartable SError: a policy may be harsher, but what is not there is not healed,
        // fails or is told.
        (
            at(Cause::SError, Level::El0, SERROR | 0b110 << 10 | 0x11),
            [CarryOn, Kill, Kill, Kill, Restart, Kill, Isolate, Halt],
        ),
        (
            at(Cause::Deferred, Level::El0, 1 << 31 | 0b010 << 10 | 0x11),
            [CarryOn, Kill, Kill, Kill, Restart, Kill, Isolate, Halt],
        ),
        // In the kernel there is no task to end.
        (
            at(Cause::SError, Level::El1, SERROR | 0b110 << 10 | 0x11),
            [CarryOn, Halt, Halt, Halt, Halt, Halt, Halt, Halt],
        ),
        (at(Cause::Synchronous, Level::El1, DATA_EL1 | 0x10), [Halt; 8]),
        (
            copy,
            [FailCopy, FailCopy, FailCopy, Kill, Restart, Kill, Isolate, Halt],
        ),
        // Uncontainable never returns.
        (
            at(Cause::Synchronous, Level::El0, DATA_EL0 | 0b10 << 11 | 0x10),
            [Halt; 8],
        ),
        (at(Cause::SError, Level::El0, SERROR | 0x11), [Halt; 8]),
        (at(Cause::Deferred, Level::El0, 1 << 31 | 1 << 24), [Halt; 8]),
    ] {
        let kernel = kernel();
        for (wish, expected) in wishes.into_iter().zip(expected) {
            let verdict = judge(&case, &kernel, &Always(wish)).unwrap();
            assert_eq!(verdict.decision, expected, "{wish:?} for {case:x?}");
        }
    }
}

#[test]
fn strict_policy_halts_on_all_but_corrected_errors() {
    for (cause, syndrome, decision) in [
        (Cause::SError, SERROR | 0b110 << 10 | 0x11, Decision::CarryOn),
        (Cause::SError, SERROR | 0b010 << 10 | 0x11, Decision::Halt),
        (Cause::Synchronous, DATA_EL0 | 0x10, Decision::Halt),
    ] {
        let verdict = judge(&snapshot(cause, Level::El0, syndrome), &kernel(), &Strict).unwrap();
        assert_eq!(verdict.decision, decision, "{syndrome:#x}");
    }
}

#[test]
fn decisions_are_ordered_as_the_ladder_and_their_numbers_stand() {
    let ladder = [
        Decision::CarryOn,
        Decision::Heal,
        Decision::FailCopy,
        Decision::Signal,
        Decision::Restart,
        Decision::Kill,
        Decision::Isolate,
        Decision::Halt,
    ];
    assert!(ladder.is_sorted_by(|milder, harsher| milder < harsher));
    assert_eq!(ladder.map(|decision| decision as u8), [0, 1, 2, 3, 4, 5, 6, 7]);
    let names = ladder.map(Decision::name);
    assert_eq!(
        names,
        [
            "carry on",
            "heal",
            "fail copy",
            "signal",
            "restart",
            "kill",
            "isolate",
            "halt"
        ]
    );
}

#[test]
fn any_snapshot_has_a_verdict_that_keeps_the_promises() {
    let mut halts = 0;
    for number in numbers(20_000) {
        let cause =
            [Cause::Synchronous, Cause::SError, Cause::Deferred][usize::try_from(number % 3).unwrap()];
        let from = if number & 8 == 0 { Level::El0 } else { Level::El1 };
        let class = [0x20, 0x21, 0x24, 0x25, 0x2f][usize::try_from(number >> 40 & 7).unwrap() % 5];
        let esr = number.rotate_left(9) & !(0x3f << 26) | class << 26;
        let mut at = Snapshot {
            esr,
            disr: number.rotate_left(3),
            ..snapshot(cause, from, 0)
        };
        at.elr = if number & 16 == 0 { IN_COPY } else { IN_KERNEL };
        let mut kernel = kernel();
        let Some((verdict, outcome, record)) = run(&at, &mut kernel, &ByRule) else {
            continue;
        };
        if verdict.severity == Severity::Uncontainable {
            assert_eq!(
                outcome,
                Outcome::Halt,
                "an uncontainable error never returns: {at:x?}"
            );
        }
        if from == Level::El0 && verdict.severity < Severity::Uncontainable {
            assert_ne!(
                outcome,
                Outcome::Halt,
                "a contained error of a task's costs the task: {at:x?}"
            );
        }
        halts += usize::from(outcome == Outcome::Halt);
        let charged = record.charged().map(|task| format!(" {}", task.0));
        let is_a_bystanders = |done: &&String| {
            !done.starts_with("retire") && !charged.as_ref().is_some_and(|task| done.contains(task.as_str()))
        };
        assert_eq!(
            kernel.done.iter().find(is_a_bystanders),
            None,
            "{:?}",
            kernel.done
        );
        assert_eq!((record.esr, record.elr), (at.esr, at.elr));
    }
    assert!(halts > if cfg!(miri) { 2 } else { 100 });
}

#[test]
fn mock_kernel_answers_as_the_tests_assume() {
    let kernel = kernel();
    assert_eq!(kernel.frame_at(RUNNER, VirtualAddress(PAGE | 0xfff)), Some(FRAME));
    assert_eq!(kernel.frame_at(RUNNER, VirtualAddress(PAGE + 0x1000)), None);
    assert_eq!(
        kernel.table_at(RUNNER, VirtualAddress(PAGE), 3),
        Some(FrameNumber(0x5_0005))
    );
}
