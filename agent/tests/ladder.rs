//! The rungs that let a task live: a page that is had again, a handler that is told, an instruction that is run again.
//! Which of them a case may have is from the manual's error types [Arm ARM D24.2.45, D20.4.2.1]: restartable and
//! recoverable states are exact, all others are not gone on with.

mod mock;

use std::sync::atomic::AtomicU64;

use mock::Mock;
use seawall_agent::journal::{EntryKind, read};
use seawall_agent::{
    AbortRecord, ByRule, Cause, Decision, Flags, FrameNumber, FrameOwner, Handler, Journal, Ledger, Level,
    Outcome, Policy, Rule, Running, Snapshot, Strict, TaskId, apply, judge,
};

const RUNNER: TaskId = TaskId(7);
const CLIENT: TaskId = TaskId(9);
const PAGE: u64 = 0x40_0000;
const FRAME: FrameNumber = FrameNumber(0x4_8000);
const IN_COPY: u64 = 0xffff_8000_0000_1000;

const DATA_EL0: u64 = 0x9200_0000;
const FETCH_EL0: u64 = 0x8200_0000;
const DATA_EL1: u64 = 0x9600_0000;
const SERROR: u64 = 0xbe00_0000;
// SET, bits 12:11; FnV, bit 10; PFV, bit 14; AET, bits 12:10 of an SError [Arm ARM D24.2.45].
const UEO: u64 = 0b11 << 11;
const UC: u64 = 0b10 << 11;
const FNV: u64 = 1 << 10;
const PFV: u64 = 1 << 14;
const AET_UER: u64 = 0b011 << 10 | 0x11;
const AET_UEU: u64 = 0b001 << 10 | 0x11;

/// A page that can be had again, in a task that has a handler.
fn kernel() -> Mock {
    let mut kernel = Mock::new(Running::Task(RUNNER));
    kernel.copies.insert(IN_COPY, CLIENT);
    for (task, frame) in [(RUNNER, FRAME), (CLIENT, FrameNumber(0x4_9000))] {
        kernel.pages.insert((task, PAGE >> 12), frame);
        kernel.owners.insert(frame, FrameOwner::Task(task));
        kernel.clean.insert((task, PAGE >> 12));
    }
    let table = FrameNumber(0x5_0005);
    kernel.tables.insert((RUNNER, 3), table);
    kernel.owners.insert(table, FrameOwner::PageTable(RUNNER));
    kernel.handler = Handler::Ready;
    kernel
}

fn snapshot(cause: Cause, from: Level, syndrome: u64) -> Snapshot {
    let deferred = cause == Cause::Deferred;
    Snapshot {
        cause,
        from,
        esr: if deferred { 0 } else { syndrome },
        far: 0x5a << 56 | PAGE | 8,
        elr: if from == Level::El0 { 0x20_0000 } else { IN_COPY },
        spsr: 0,
        disr: if deferred { syndrome } else { 0 },
        pfar: None,
        ras: true,
        entered: 0,
        time: 0,
    }
}

fn synchronous(esr: u64) -> Snapshot {
    snapshot(Cause::Synchronous, Level::El0, esr)
}

fn run(snapshot: &Snapshot, kernel: &mut Mock, policy: &impl Policy) -> (Outcome, AbortRecord) {
    let mut verdict = judge(snapshot, kernel, policy).expect("a memory error");
    assert_eq!(kernel.done, Vec::<String>::new(), "judging changes nothing");
    let mut slots = [0; 16];
    let mut ledger = Ledger::new(&mut slots).unwrap();
    let words = [const { AtomicU64::new(0) }; 48];
    let mut journal = Journal::new(&words).unwrap();
    let outcome = apply(&mut verdict, snapshot, kernel, &mut ledger, &mut journal);
    let bytes: Vec<u8> = words
        .iter()
        .flat_map(|word| word.load(std::sync::atomic::Ordering::Relaxed).to_le_bytes())
        .collect();
    let record = match read(&bytes).unwrap().entries().next().map(|entry| entry.kind) {
        Some(EntryKind::Abort(record)) => record,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        record.decision, verdict.decision,
        "what was done is what both say"
    );
    (outcome, record)
}

#[track_caller]
fn check(
    kernel: Mock,
    snapshot: &Snapshot,
    decision: Decision,
    outcome: Outcome,
    done: &[&str],
) -> AbortRecord {
    let mut kernel = kernel;
    let (found, record) = run(snapshot, &mut kernel, &ByRule);
    assert_eq!((record.decision, found), (decision, outcome), "{snapshot:x?}");
    assert_eq!(kernel.done, done);
    record
}

#[test]
fn page_that_can_be_had_again_is_healed_before_anyone_is_told_or_ended() {
    for esr in [
        DATA_EL0 | 0x10,
        FETCH_EL0 | 0x10,
        DATA_EL0 | 0x50,
        DATA_EL0 | UEO | 0x10,
        DATA_EL0 | 0x18,
    ] {
        for handler in [Handler::Absent, Handler::Ready, Handler::Busy] {
            let kernel = Mock {
                handler,
                rule: Rule::Isolate,
                ..kernel()
            };
            // The tag of the address is not part of it.
            let record = check(
                kernel,
                &synchronous(esr),
                Decision::Heal,
                Outcome::Resume,
                &["retire 48000", "heal 7 400008 48000"],
            );
            assert_eq!(record.flags, Flags(1 << 0 | 1 << 1 | 1 << 3));
        }
    }
    // A copy from such a page is made again once the page is there.
    check(
        kernel(),
        &snapshot(Cause::Synchronous, Level::El1, DATA_EL1 | 0x10),
        Decision::Heal,
        Outcome::Resume,
        &["retire 49000", "heal 9 400008 49000"],
    );
}

#[test]
fn page_that_could_not_be_healed_gets_the_next_worse_thing_and_the_record_says_so() {
    let tried = ["retire 48000", "heal 7 400008 48000"];
    for (handler, rule, decision, outcome, last) in [
        (
            Handler::Ready,
            Rule::Kill,
            Decision::Signal,
            Outcome::Signalled,
            "signal 7 400008 recoverable restartable",
        ),
        (
            Handler::Absent,
            Rule::Kill,
            Decision::Kill,
            Outcome::Reschedule,
            "kill 7",
        ),
        (
            Handler::Absent,
            Rule::Isolate,
            Decision::Isolate,
            Outcome::Reschedule,
            "isolate 7",
        ),
        (
            Handler::Absent,
            Rule::Restart { left: 1 },
            Decision::Restart,
            Outcome::Reschedule,
            "restart 7",
        ),
        (
            Handler::Busy,
            Rule::Restart { left: 1 },
            Decision::Kill,
            Outcome::Reschedule,
            "kill 7",
        ),
    ] {
        let kernel = Mock {
            handler,
            rule,
            heals: false,
            ..kernel()
        };
        let done = [tried[0], tried[1], last];
        let record = check(kernel, &synchronous(DATA_EL0 | 0x10), decision, outcome, &done);
        assert_eq!(record.flags, Flags(1 << 0 | 1 << 1 | 1 << 3 | 1 << 6));
    }
    check(
        Mock {
            heals: false,
            ..kernel()
        },
        &snapshot(Cause::Synchronous, Level::El1, DATA_EL1 | 0x10),
        Decision::FailCopy,
        Outcome::CopyFailed,
        &["retire 49000", "heal 9 400008 49000", "fail_copy 9"],
    );
}

#[test]
fn nothing_is_healed_where_the_state_is_not_exact_or_the_page_is_not_what_is_lost() {
    // A table of its own: with a walk level, and without, as KVM before Linux 6.18 reports it.
    check(
        kernel(),
        &synchronous(DATA_EL0 | 0x17),
        Decision::Kill,
        Outcome::Reschedule,
        &["retire 50005", "kill 7"],
    );
    let mut walk = kernel();
    walk.owners.insert(FRAME, FrameOwner::PageTable(RUNNER));
    check(
        walk,
        &synchronous(DATA_EL0 | 0x10),
        Decision::Kill,
        Outcome::Reschedule,
        &["retire 48000", "kill 7"],
    );
    check(
        kernel(),
        &synchronous(DATA_EL0 | UC | 0x10),
        Decision::Halt,
        Outcome::Halt,
        &[],
    );
    // Of another task's frame, and of the kernel's.
    let mut stale = kernel();
    stale.owners.insert(FRAME, FrameOwner::Task(CLIENT));
    stale.handler = Handler::Absent;
    check(
        stale,
        &synchronous(DATA_EL0 | 0x10),
        Decision::Kill,
        Outcome::Reschedule,
        &["kill 7"],
    );
    let mut kernels = kernel();
    kernels.owners.insert(FRAME, FrameOwner::Kernel);
    check(
        kernels,
        &synchronous(DATA_EL0 | 0x10),
        Decision::Halt,
        Outcome::Halt,
        &[],
    );
    // A policy that wants the machine to stop has it stop.
    let mut strict = kernel();
    let (outcome, _) = run(&synchronous(DATA_EL0 | 0x10), &mut strict, &Strict);
    assert_eq!((outcome, strict.done.len()), (Outcome::Halt, 0));
}

/// A task with a handler and a page that cannot be had again.
fn written() -> Mock {
    Mock {
        clean: [].into(),
        ..kernel()
    }
}

#[test]
fn handler_is_told_where_how_bad_and_whether_the_instruction_can_run_again() {
    for (at, done) in [
        (
            synchronous(DATA_EL0 | 0x10),
            &["retire 48000", "signal 7 400008 recoverable restartable"][..],
        ),
        (
            synchronous(DATA_EL0 | UEO | 0x10),
            &["retire 48000", "signal 7 400008 restartable restartable"],
        ),
        (
            synchronous(FETCH_EL0 | 0x10),
            &["retire 48000", "signal 7 400008 recoverable restartable"],
        ),
        // No address: it is not known what would have to be replaced; but of what lost nothing nothing has to be.
        (
            synchronous(DATA_EL0 | FNV | 0x10),
            &["signal 7 nowhere recoverable"],
        ),
        (
            synchronous(DATA_EL0 | UEO | FNV | 0x10),
            &["signal 7 nowhere restartable restartable"],
        ),
        // One that is not believed is none.
        (
            Snapshot {
                far: 0xdead_0000,
                ..synchronous(DATA_EL0 | 0x10)
            },
            &["signal 7 nowhere recoverable"],
        ),
        (
            snapshot(Cause::SError, Level::El0, SERROR | AET_UER),
            &["signal 7 nowhere recoverable"],
        ),
        (
            snapshot(Cause::Deferred, Level::El0, 1 << 31 | AET_UER),
            &["signal 7 nowhere recoverable"],
        ),
    ] {
        for rule in [Rule::Kill, Rule::Isolate, Rule::Restart { left: 3 }] {
            check(
                Mock { rule, ..written() },
                &at,
                Decision::Signal,
                Outcome::Signalled,
                done,
            );
        }
    }
}

#[test]
fn second_error_in_a_handler_kills_whatever_the_owner_asked_for() {
    for rule in [Rule::Kill, Rule::Isolate, Rule::Restart { left: 3 }] {
        for (at, done) in [
            (synchronous(DATA_EL0 | 0x10), &["retire 48000", "kill 7"][..]),
            (snapshot(Cause::SError, Level::El0, SERROR | AET_UER), &["kill 7"]),
        ] {
            let busy = Mock {
                handler: Handler::Busy,
                rule,
                ..written()
            };
            check(busy, &at, Decision::Kill, Outcome::Reschedule, done);
        }
    }
}

#[test]
fn handler_is_not_told_of_what_it_could_not_survive() {
    for (at, decision, outcome, done) in [
        (
            synchronous(DATA_EL0 | 0x17),
            Decision::Kill,
            Outcome::Reschedule,
            &["retire 50005", "kill 7"][..],
        ),
        (
            snapshot(Cause::SError, Level::El0, SERROR | AET_UEU),
            Decision::Kill,
            Outcome::Reschedule,
            &["kill 7"],
        ),
        (
            snapshot(Cause::Deferred, Level::El0, 1 << 31 | AET_UEU),
            Decision::Kill,
            Outcome::Reschedule,
            &["kill 7"],
        ),
        (
            synchronous(DATA_EL0 | UC | 0x10),
            Decision::Halt,
            Outcome::Halt,
            &[],
        ),
        (
            snapshot(Cause::SError, Level::El1, SERROR | AET_UER),
            Decision::Halt,
            Outcome::Halt,
            &[],
        ),
        // A copy has its own way to say it.
        (
            snapshot(Cause::Synchronous, Level::El1, DATA_EL1 | 0x10),
            Decision::FailCopy,
            Outcome::CopyFailed,
            &["retire 49000", "fail_copy 9"],
        ),
    ] {
        check(written(), &at, decision, outcome, done);
    }
}

#[test]
fn what_lost_nothing_and_has_no_place_runs_again_while_the_kernel_counts() {
    for at in [
        synchronous(DATA_EL0 | UEO | FNV | 0x10),
        Snapshot {
            far: 0xdead_0000,
            ..synchronous(DATA_EL0 | UEO | 0x10)
        },
    ] {
        let again = Mock {
            runs_left: 1,
            ..written()
        };
        check(
            again,
            &at,
            Decision::CarryOn,
            Outcome::Resume,
            &["run again 7 200000"],
        );
        let spent = Mock {
            runs_left: 0,
            handler: Handler::Absent,
            ..written()
        };
        check(spent, &at, Decision::Kill, Outcome::Reschedule, &["kill 7"]);
    }
    // What has a place is poisoned there, what is recoverable lost something, and a copy says that it failed.
    for (at, done) in [
        (
            synchronous(DATA_EL0 | UEO | 0x10),
            &["retire 48000", "kill 7"][..],
        ),
        (synchronous(DATA_EL0 | FNV | 0x10), &["kill 7"]),
        (
            snapshot(Cause::Synchronous, Level::El1, DATA_EL1 | UEO | FNV | 0x10),
            &["fail_copy 9"],
        ),
    ] {
        let mut again = Mock {
            runs_left: 1,
            handler: Handler::Absent,
            ..written()
        };
        let (outcome, _) = run(&at, &mut again, &ByRule);
        assert_ne!(outcome, Outcome::Resume);
        assert_eq!(again.done, done);
    }
    // An SError in restartable state goes on without being counted.
    let mut serror = written();
    let (outcome, _) = run(
        &snapshot(Cause::SError, Level::El0, SERROR | 0b010 << 10 | 0x11),
        &mut serror,
        &ByRule,
    );
    assert_eq!((outcome, serror.done.len()), (Outcome::Resume, 0));
}

/// What is found by a physical address: the frame, the flags, and what is done.
#[track_caller]
fn check_pfar(esr: u64, pfar: u64, owner: FrameOwner, flags: Flags, done: &[&str]) {
    let mut kernel = written();
    kernel.handler = Handler::Absent;
    kernel.owners.insert(FrameNumber(0x4_a000), owner);
    kernel.shared.insert((RUNNER, FrameNumber(0x4_b000)));
    kernel.owners.insert(FrameNumber(0x4_b000), FrameOwner::Shared);
    let at = Snapshot {
        pfar: Some(pfar),
        far: 0xdead_0000,
        ..synchronous(esr)
    };
    let record = check(kernel, &at, Decision::Kill, Outcome::Reschedule, done);
    assert_eq!(record.flags, flags);
    assert_eq!(record.frame.is_some(), flags.contains(Flags::FRAME_VALID));
    assert_eq!(record.pfar, pfar);
}

#[test]
fn physical_address_finds_the_frame_where_there_is_no_other_address_or_none_that_is_believed() {
    let nowhere = DATA_EL0 | FNV | PFV | 0x10;
    let stale = DATA_EL0 | PFV | 0x10;
    // FRAME_VALID 1, PFAR_VALID 2, NEW_FRAME 3, FAR_NOT_BELIEVED 4, FRAME_BY_PFAR 7, PFAR_NOT_BELIEVED 8.
    let found = Flags(1 << 1 | 1 << 2 | 1 << 3 | 1 << 7);
    let own = FrameOwner::Task(RUNNER);
    check_pfar(nowhere, 0x4a00_0040, own, found, &["retire 4a000", "kill 7"]);
    check_pfar(
        stale,
        0x4a00_0fff,
        own,
        Flags(found.0 | 1 << 0 | 1 << 4),
        &["retire 4a000", "kill 7"],
    );
    // NS and NSE are no part of the address: bits 63 and 62 [Arm ARM, PFAR_EL1].
    check_pfar(
        nowhere,
        0xc000_0000_4a00_0000,
        own,
        found,
        &["retire 4a000", "kill 7"],
    );
    check_pfar(
        nowhere,
        0x4a00_0000,
        FrameOwner::PageTable(RUNNER),
        found,
        &["retire 4a000", "kill 7"],
    );
    // SHARED 9.
    let shared = Flags(found.0 | 1 << 9);
    check_pfar(nowhere, 0x4b00_0000, own, shared, &["retire 4b000", "kill 7"]);
    let doubted = Flags(1 << 2 | 1 << 8);
    for owner in [
        FrameOwner::Task(CLIENT),
        FrameOwner::PageTable(CLIENT),
        FrameOwner::Shared,
        FrameOwner::Kernel,
        FrameOwner::Free,
        FrameOwner::Retired,
        FrameOwner::NotRam,
    ] {
        check_pfar(nowhere, 0x4a00_0000, owner, doubted, &["kill 7"]);
    }
    // PFV = 0: the register means nothing.
    check_pfar(DATA_EL0 | FNV | 0x10, 0x4a00_0000, own, Flags::NONE, &["kill 7"]);
    // A virtual address that is believed goes first.
    let mut kernel = written();
    kernel.owners.insert(FrameNumber(0x4_a000), own);
    kernel.handler = Handler::Absent;
    let at = Snapshot {
        pfar: Some(0x4a00_0000),
        ..synchronous(stale)
    };
    let record = check(
        kernel,
        &at,
        Decision::Kill,
        Outcome::Reschedule,
        &["retire 48000", "kill 7"],
    );
    assert_eq!(record.flags, Flags(0b1111));
}

#[test]
fn a_frame_that_only_a_physical_address_names_is_not_healed_by_an_address_that_is_not_believed() {
    let mut kernel = kernel();
    let at = Snapshot {
        pfar: Some(FRAME.0 << 12),
        ..synchronous(DATA_EL0 | FNV | PFV | 0x10)
    };
    let (outcome, record) = run(&at, &mut kernel, &ByRule);
    assert_eq!((outcome, record.frame), (Outcome::Signalled, Some(FRAME)));
    assert_eq!(kernel.done, ["retire 48000", "signal 7 nowhere recoverable"]);
}

#[test]
fn a_lost_table_is_neither_had_again_nor_told_of_nor_gone_on_with() {
    // A walk of level 3 [Arm ARM D24.2.45]; the second is how KVM before Linux 6.18 tells one.
    for (esr, mut kernel) in [(0x17, kernel()), (0x10, kernel())] {
        if esr == 0x10 {
            kernel.pages.insert((RUNNER, PAGE >> 12), FrameNumber(0x5_0005));
        }
        check(
            kernel,
            &synchronous(DATA_EL0 | esr),
            Decision::Kill,
            Outcome::Reschedule,
            &["retire 50005", "kill 7"],
        );
    }
    // One that is out of use already is a table still: what says so is the walk.
    let mut again = kernel();
    again.owners.insert(FrameNumber(0x5_0005), FrameOwner::Retired);
    again.pages.insert((RUNNER, PAGE >> 12), FrameNumber(0x5_0005));
    check(
        again,
        &synchronous(DATA_EL0 | 0x17),
        Decision::Kill,
        Outcome::Reschedule,
        &["retire 50005", "kill 7"],
    );
}

#[test]
fn a_table_that_a_copy_meets_costs_the_task_whose_it_is() {
    let copy = |esr| snapshot(Cause::Synchronous, Level::El1, DATA_EL1 | esr);
    for (esr, rule, decision, done) in [
        (0x17, Rule::Kill, Decision::Kill, ["retire 50009", "kill 9"]),
        (
            0x17,
            Rule::Isolate,
            Decision::Isolate,
            ["retire 50009", "isolate 9"],
        ),
        (
            0x17,
            Rule::Restart { left: 1 },
            Decision::Restart,
            ["retire 50009", "restart 9"],
        ),
        (0x10, Rule::Kill, Decision::Kill, ["retire 50009", "kill 9"]),
    ] {
        let mut kernel = kernel();
        let table = FrameNumber(0x5_0009);
        kernel.rule = rule;
        kernel.tables.insert((CLIENT, 3), table);
        kernel.owners.insert(table, FrameOwner::PageTable(CLIENT));
        if esr == 0x10 {
            kernel.pages.insert((CLIENT, PAGE >> 12), table);
        }
        check(kernel, &copy(esr), decision, Outcome::Reschedule, &done);
    }
    // Of a walk with no address the task is charged all the same: some table of its own is lost.
    check(
        written(),
        &copy(FNV | 0x17),
        Decision::Kill,
        Outcome::Reschedule,
        &["kill 9"],
    );
}

#[test]
fn an_serror_that_names_an_address_has_its_frame_retired_and_nothing_had_again() {
    // VFV, bit 15, and PFV, bit 14, of an SError with FEAT_RASv2 and FEAT_PFAR [Arm ARM D24.2.45].
    const VFV: u64 = 1 << 15;
    let check = |syndrome, far, pfar, flags, done: &[&str]| {
        let mut kernel = kernel();
        kernel.handler = Handler::Absent;
        kernel
            .owners
            .insert(FrameNumber(0x4_a000), FrameOwner::Task(RUNNER));
        let at = Snapshot {
            far,
            pfar,
            ..snapshot(Cause::SError, Level::El0, SERROR | AET_UER | syndrome)
        };
        let record = check(kernel, &at, Decision::Kill, Outcome::Reschedule, done);
        assert_eq!(record.flags, Flags(flags), "{syndrome:#x}");
    };
    // FAR_VALID 0, FRAME_VALID 1, PFAR_VALID 2, NEW_FRAME 3, FAR_NOT_BELIEVED 4, FRAME_BY_PFAR 7, PFAR_NOT_BELIEVED 8.
    check(0, PAGE, Some(0x4a00_0000), 0, &["kill 7"]);
    check(VFV, PAGE | 8, None, 0b1011, &["retire 48000", "kill 7"]);
    check(VFV, 0xdead_0000, None, 0b1_0001, &["kill 7"]);
    check(
        PFV,
        PAGE,
        Some(0x4a00_0040),
        0b1000_1110,
        &["retire 4a000", "kill 7"],
    );
    check(
        VFV | PFV,
        0xdead_0000,
        Some(0x4a00_0000),
        0b1001_1111,
        &["retire 4a000", "kill 7"],
    );
    check(PFV, PAGE, Some(0x9999_0000), 0b1_0000_0100, &["kill 7"]);
    // One that was deferred has neither: bits 15 and 14 of DISR_EL1 are reserved.
    let mut deferred = kernel();
    deferred.handler = Handler::Absent;
    let at = Snapshot {
        pfar: Some(0x4800_0000),
        ..snapshot(Cause::Deferred, Level::El0, 1 << 31 | VFV | PFV | AET_UER)
    };
    let (_, record) = run(&at, &mut deferred, &ByRule);
    assert_eq!((record.frame, record.flags), (None, Flags::NONE));
}
