//! What becomes of errors that are reported before anyone consumes them.

mod mock;

use std::sync::atomic::{AtomicU64, Ordering};

use mock::Mock;
use seawall_agent::engine::{Answered, Cause, Level, Report, Running, report};
use seawall_agent::journal::{self, EntryKind};
use seawall_agent::{
    AbortRecord, Decision, Flags, FrameNumber, FrameOwner, Journal, Ledger, Origin, Severity, TaskId,
};

const FRAME: FrameNumber = FrameNumber(0x4_8001);
const TASK: TaskId = TaskId(7);

/// Reports the frame so often: what was answered last, what the kernel was told to do, and all records.
fn reported(kernel: &mut Mock, failing: bool, times: usize) -> (Answered, Vec<String>, Vec<AbortRecord>) {
    let mut slots = [0; 16];
    let mut ledger = Ledger::new(&mut slots).unwrap();
    let words = [const { AtomicU64::new(0) }; 16 + 16 * 8];
    let mut journal = Journal::new(&words).unwrap();
    kernel.now = 1_200;
    let what = Report {
        frame: FRAME,
        failing,
        entered: 1_000,
        time: 5,
    };
    let mut answered = None;
    for _ in 0..times {
        answered = Some(report(&what, kernel, &mut ledger, &mut journal));
    }
    let bytes: Vec<u8> = words
        .iter()
        .flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes())
        .collect();
    let records = journal::read(&bytes)
        .unwrap()
        .entries()
        .filter_map(|entry| match entry.kind {
            EntryKind::Abort(record) => Some(record),
            _ => None,
        });
    (answered.unwrap(), kernel.done.clone(), records.collect())
}

fn kernel(owner: FrameOwner) -> Mock {
    let mut kernel = Mock::new(Running::Task(TaskId(3)));
    kernel.owners.insert(FRAME, owner);
    kernel.pages.insert((TASK, 0x400), FRAME);
    kernel
}

const NEW: Flags = Flags(1 << 1 | 1 << 3);
const KNOWN: Flags = Flags(1 << 1);

#[test]
fn each_owners_frame_goes_its_way_and_nobody_is_charged() {
    let lost = |done: &[&str], flags, decision| (done.join(", "), flags, decision);
    for (owner, expected) in [
        (FrameOwner::Free, lost(&["retire 48001"], NEW, Decision::CarryOn)),
        (
            FrameOwner::Kernel,
            lost(&["condemn 48001"], KNOWN, Decision::CarryOn),
        ),
        (
            FrameOwner::PageTable(TASK),
            lost(&["condemn 48001"], KNOWN, Decision::CarryOn),
        ),
        (FrameOwner::Retired, lost(&[], KNOWN, Decision::CarryOn)),
        (FrameOwner::NotRam, lost(&[], Flags::NONE, Decision::CarryOn)),
        (
            FrameOwner::Task(TASK),
            lost(
                &["retire 48001", "withdraw 7 400000 48001"],
                NEW,
                Decision::CarryOn,
            ),
        ),
        (
            FrameOwner::Shared,
            lost(
                &["retire 48001", "withdraw 7 400000 48001"],
                NEW,
                Decision::CarryOn,
            ),
        ),
    ] {
        let (answered, done, records) = reported(&mut kernel(owner), false, 1);
        let [record] = records[..] else {
            panic!("one record")
        };
        assert_eq!(
            (done.join(", "), record.flags, answered.decision),
            expected,
            "{owner:?}"
        );
        assert_eq!(answered.severity, Severity::Restartable);
        assert_eq!(
            (record.cause, record.from, record.origin),
            (Cause::Patrol, Level::El1, Origin::Kernel)
        );
        assert_eq!(
            (record.charged(), record.decision, record.severity),
            (None, answered.decision, answered.severity)
        );
        assert_eq!((record.esr, record.disr, record.valid_far()), (0, 0, None));
        assert_eq!(record.frame.is_some(), owner != FrameOwner::NotRam);
        assert_eq!((record.cost, record.time), (200, 5));
    }
}

#[test]
fn what_can_be_had_again_is_healed_at_once() {
    let mut kernel = kernel(FrameOwner::Task(TASK));
    kernel.clean.insert((TASK, 0x400));
    let (answered, done, _) = reported(&mut kernel, false, 1);
    assert_eq!(done, ["retire 48001", "heal 7 400000 48001"]);
    assert_eq!(answered.decision, Decision::Heal);
}

#[test]
fn what_cannot_be_healed_after_all_is_taken_away() {
    let mut kernel = kernel(FrameOwner::Task(TASK));
    kernel.clean.insert((TASK, 0x400));
    kernel.heals = false;
    let (answered, done, records) = reported(&mut kernel, false, 1);
    assert_eq!(
        done,
        ["retire 48001", "heal 7 400000 48001", "withdraw 7 400000 48001"]
    );
    assert_eq!(answered.decision, Decision::CarryOn);
    assert_eq!(records[0].flags, NEW.with(Flags::HEAL_FAILED));
}

#[test]
fn what_fails_is_moved_and_then_retired() {
    let (answered, done, records) = reported(&mut kernel(FrameOwner::Task(TASK)), true, 1);
    assert_eq!(done, ["migrate 7 400000 48001", "retire 48001"]);
    assert_eq!(
        (answered.severity, answered.decision),
        (Severity::Corrected, Decision::Heal)
    );
    assert_eq!(records[0].flags, NEW);
}

#[test]
fn what_cannot_be_moved_is_lost_as_what_was_found_lost() {
    let mut kernel = kernel(FrameOwner::Task(TASK));
    kernel.moves = false;
    let (answered, done, records) = reported(&mut kernel, true, 1);
    assert_eq!(
        done,
        [
            "migrate 7 400000 48001",
            "retire 48001",
            "withdraw 7 400000 48001"
        ]
    );
    assert_eq!(
        (answered.severity, answered.decision),
        (Severity::Restartable, Decision::CarryOn)
    );
    assert_eq!(records[0].flags, NEW.with(Flags(1 << 12)));
}

#[test]
fn a_second_report_retires_nothing_twice() {
    let (_, done, records) = reported(&mut kernel(FrameOwner::Free), false, 3);
    assert_eq!(done, ["retire 48001"]);
    let flags: Vec<_> = records.iter().map(|record| record.flags).collect();
    assert_eq!(flags, [NEW, KNOWN, KNOWN]);
}

#[test]
fn without_a_task_it_was_found_while_nobody_ran() {
    let mut kernel = kernel(FrameOwner::Free);
    kernel.running = Running::Idle;
    let (_, _, records) = reported(&mut kernel, true, 1);
    assert_eq!(
        (records[0].origin, records[0].severity),
        (Origin::Idle, Severity::Corrected)
    );
}
