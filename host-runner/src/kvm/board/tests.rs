//! A guest's doings on the board, one by one.

use super::*;
use seawall_replay::IntermediateAddress;
use seawall_replay::plan::Step;
use seawall_replay::port::Window;

pub(super) const MEMORY: Range<u64> = 0x8000_0000..0x8400_0000;

pub(super) fn board(injection: Injection) -> Board {
    let step = Step {
        task: None,
        number: 1,
        window: Window::Checkpoint,
        skip: 0,
        times: 0,
        injection,
    };
    let limits = Limits {
        events: 4,
        console_bytes: 2,
        ..Limits::default()
    };
    Board::new(MEMORY, Plan::new(&[step]).unwrap(), &limits)
}

pub(super) fn word(page: u64, number: u16) -> u64 {
    Announcement {
        task: 7,
        number,
        page: IntermediateAddress(page),
    }
    .to_word()
}

#[test]
fn a_hole_is_asked_for_inside_memory_alone() {
    let mut board = board(Injection::Hole);
    let Answer::Open(cause) = board.write(PORT + 0x20, 8, word(0x83ff_f000, 1)) else {
        panic!("the step speaks of this announcement")
    };
    board.opened(cause);
    board.delivered(0x83ff_f123, 0x9200_0010, 0x5123);
    for page in [0, 0x7fff_f000, 0x8400_0000, 0x000f_ffff_ffff_f000] {
        assert_eq!(board.write(PORT + 0x20, 8, word(page, 1)), Answer::Done);
    }
    let remains = board.into_remains();
    assert_eq!(
        remains
            .events
            .iter()
            .map(|e| (e.what, e.step, e.task, e.ipa))
            .collect::<Vec<_>>(),
        [
            (What::Opened, Some(0), 7, 0x83ff_f000),
            (What::Delivered, Some(0), 7, 0x83ff_f123),
            (What::Refused, Some(0), 7, 0x20),
            (What::Refused, Some(0), 7, 0x20),
        ]
    );
    assert_eq!(remains.events_lost, 2);
}

#[test]
fn poison_and_protection_are_asked_for_inside_memory_alone() {
    type Asked = fn(&mut Board, Answer);
    let rows: [(Injection, Asked, What); 3] = [
        (
            Injection::Poison(Poison::Userfault),
            |board, answer| match answer {
                Answer::Poison(cause, Poison::Userfault) => board.poisoned(cause),
                other => panic!("{other:?}"),
            },
            What::Poisoned,
        ),
        (
            Injection::Poison(Poison::MemoryFailure),
            |board, answer| match answer {
                Answer::Poison(cause, Poison::MemoryFailure) => board.poisoned(cause),
                other => panic!("{other:?}"),
            },
            What::Poisoned,
        ),
        (
            Injection::ReadOnly,
            |board, answer| match answer {
                Answer::Protect(cause) => board.protected(cause),
                other => panic!("{other:?}"),
            },
            What::Protected,
        ),
    ];
    for (injection, asked, what) in rows {
        let mut board = board(injection);
        let answer = board.write(PORT + 0x20, 8, word(0x8000_2000, 1));
        asked(&mut board, answer);
        board.advised(0x8000_2000, 12);
        board.delivered(0x8000_2040, 0x9200_0010, 0x5040);
        assert_eq!(board.write(PORT + 0x20, 8, word(0x8400_0000, 1)), Answer::Done);
        let events: Vec<_> = board
            .into_remains()
            .events
            .iter()
            .map(|e| (e.what, e.step, e.ipa, e.syndrome))
            .collect();
        assert_eq!(
            events[..3],
            [
                (what, Some(0), 0x8000_2000, 0),
                (What::Advised, None, 0x8000_2000, 12),
                (What::Delivered, Some(0), 0x8000_2040, 0x9200_0010),
            ]
        );
        assert_eq!((events[3].0, events[3].1), (What::Refused, Some(0)));
    }
}

#[test]
fn what_is_given_back_is_said_and_what_was_not_taken_is_refused() {
    let mut board = board(Injection::Mend);
    let Answer::Mend(cause) = board.write(PORT + 0x20, 8, word(0x8000_2000, 1)) else {
        panic!("the step speaks of this announcement")
    };
    assert_eq!(cause.page(), 0x8000_2000);
    board.opened(cause);
    board.mended(cause);
    board.not_mended(cause);
    // What is given back has no cause any more.
    board.delivered(0x8000_2040, 0x9200_0010, 0x5040);
    let seen = |board: Board| -> Vec<_> {
        let events = board.into_remains().events;
        events
            .iter()
            .map(|e| (e.what, e.step, e.ipa, e.syndrome))
            .collect()
    };
    assert_eq!(
        seen(board),
        [
            (What::Opened, Some(0), 0x8000_2000, 0),
            (What::Mended, Some(0), 0x8000_2000, 0),
            (What::Refused, Some(0), 0, 0x8000_2000),
            (What::Delivered, None, 0x8000_2040, 0x9200_0010),
        ]
    );
}

#[test]
fn a_page_is_given_back_inside_memory_alone_and_kept_out_for_its_cause() {
    let mut board = board(Injection::Mend);
    assert_eq!(board.write(PORT + 0x20, 8, word(0x8400_0000, 1)), Answer::Done);
    let Answer::Mend(cause) = board.write(PORT + 0x20, 8, word(0x8000_2000, 1)) else {
        panic!("the step speaks of this announcement")
    };
    board.poisoned(cause);
    board.kept_out(0x8000_2000);
    board.kept_out(0x8000_3000);
    let events = board.into_remains().events;
    let seen: Vec<_> = events.iter().map(|e| (e.what, e.step)).collect();
    assert_eq!(
        seen,
        [
            (What::Refused, Some(0)),
            (What::Poisoned, Some(0)),
            (What::KeptOut, Some(0)),
            (What::KeptOut, None),
        ]
    );
}

#[test]
fn an_serror_says_whose_syndrome_it_has() {
    for (syndrome, noted) in [(Some(0x11), 0x11), (None, (1 << 63) | (1 << 24))] {
        let mut board = board(Injection::SError { syndrome });
        let Answer::Pend(cause, asked) = board.write(PORT + 0x20, 8, word(0, 1)) else {
            panic!("the step speaks of this announcement")
        };
        board.pended(cause, asked);
        assert_eq!(board.into_remains().events[0].syndrome, noted);
    }
}

#[test]
fn an_serror_before_the_first_instruction_is_asked_for_once() {
    let step = Step {
        task: None,
        number: 0,
        window: Window::Start,
        skip: 0,
        times: 1,
        injection: Injection::SError {
            syndrome: Some(0x1811),
        },
    };
    let mut board = Board::new(MEMORY, Plan::new(&[step]).unwrap(), &Limits::default());
    assert!(matches!(board.start(), Answer::Pend(_, Some(0x1811))));
    assert_eq!(board.start(), Answer::Done);
    assert_eq!(board.write(PORT + 0x58, 8, 0), Answer::Done);
    let events = board.into_remains().events;
    assert_eq!(events.iter().map(|e| e.what).collect::<Vec<_>>(), [What::Refused]);
}

#[test]
fn an_serror_beside_an_abort_belongs_to_the_page_and_to_its_first_abort() {
    let step = Step {
        task: None,
        number: 1,
        window: Window::Checkpoint,
        skip: 0,
        times: 1,
        injection: Injection::HoleBesideSError { syndrome: 0xc11 },
    };
    let budget = Some("aborts=0/60s".parse().unwrap());
    let mut board = Board::new(MEMORY, Plan::new(&[step]).unwrap(), &Limits::default()).under(budget, []);
    let Answer::Open(cause) = board.write(PORT + 0x20, 8, word(0x8000_1000, 1)) else {
        panic!("the step speaks of this announcement")
    };
    assert_eq!(board.beside(0x8000_1040), None, "the page is not a hole yet");
    board.delivered(0x8000_3000, 0x9200_0010, 0);
    assert_eq!(board.overdrawn(), None, "the SError would be lost");
    board.opened(cause);
    assert_eq!(board.beside(0x8000_2040), None, "another page");
    assert!(board.waits_beside());
    assert_eq!(board.beside(0x8000_1040), Some((cause, 0xc11)));
    assert_eq!(board.beside(0x8000_1040), None);
    assert!(!board.waits_beside() && board.overdrawn().is_some());
}

#[test]
fn a_page_is_left_to_kvm_where_there_is_no_memory_alone() {
    let mut board = board(Injection::Left);
    for page in [0x100_0000_0000, 0x8000_1000] {
        assert_eq!(board.write(PORT + 0x20, 8, word(page, 1)), Answer::Done);
    }
    let events = board.into_remains().events;
    assert_eq!(
        events.iter().map(|e| (e.what, e.step, e.ipa)).collect::<Vec<_>>(),
        [
            (What::Left, Some(0), 0x100_0000_0000),
            (What::Refused, Some(0), 0x20)
        ]
    );
}

#[test]
fn an_abort_by_its_registers_comes_out_as_the_plan_has_it() {
    let (esr, far) = (0x9600_1810, Some(0xffff_0000_0000_1000));
    let mut board = board(Injection::Abort { esr, far });
    let Answer::Enter(cause, Kind::Synchronous, asked, address) =
        board.write(PORT + 0x20, 8, word(0x8000_1000, 1))
    else {
        panic!("the step speaks of this announcement")
    };
    assert_eq!((asked, address), (esr, far));
    board.entered(cause, 0x9600_1810, 0xffff_0000_0000_1000);
    let event = board.into_remains().events[0];
    assert_eq!((event.what, event.step, event.task), (What::Entered, Some(0), 7));
    assert_eq!(
        (event.ipa, event.syndrome, event.address),
        (0x8000_1000, 0x9600_1810, 0xffff_0000_0000_1000)
    );
}

#[test]
fn a_journal_counts_only_inside_memory_and_within_its_limit() {
    for (address, length, good) in [
        (0x8000_0000, 0x0400_0000, true),
        (0x83ff_f000, 0x1000, true),
        (0x83ff_f000, 0x1001, false),
        (0x7fff_ffff, 0x10, false),
        (0xffff_ffff_ffff_ffff, 0x10, false),
        (0x8000_0000, u64::MAX, false),
    ] {
        let mut board = board(Injection::Hole);
        assert_eq!(board.write(PORT + 0x10, 8, address), Answer::Done);
        assert_eq!(board.write(PORT + 0x18, 8, length), Answer::Done);
        let remains = board.into_remains();
        assert_eq!(remains.journal.is_some(), good, "{address:#x} {length:#x}");
        assert_eq!(remains.events[0].what, What::Journal);
    }
}

#[test]
fn wild_accesses_are_answered_and_counted() {
    let mut board = board(Injection::Hole);
    for offset in 0..0x3000 {
        for width in [0, 1, 2, 4, 8, 16] {
            let there = board.read(PORT + offset, width).is_some();
            assert_eq!(there, offset < 0x2000);
            let answer = board.write(PORT + offset, width, 0);
            assert_eq!(answer == Answer::Nobody, offset >= 0x2000);
        }
    }
    assert_eq!(board.write(u64::MAX, 8, 0), Answer::Nobody);
    assert_eq!(board.read(0, 8), None);
    assert!(board.into_remains().events_lost > 0x1000);
}

#[test]
fn the_console_is_bounded() {
    let mut board = board(Injection::Hole);
    assert_eq!(board.write(UART, 4, 0x41), Answer::Done);
    assert_eq!(board.write(UART, 1, 0x42), Answer::Done);
    assert_eq!(board.write(UART, 1, 0x43), Answer::Flooded);
    assert_eq!(board.into_remains().console, b"AB");
}

#[test]
fn what_the_replayer_says_of_itself_is_noted() {
    let mut board = board(Injection::Hole);
    board.refused(PORT + 0x20, 0x45);
    board.refused(UART, 0x45);
    board.stuck(1, 2);
    let remains = board.into_remains();
    assert_eq!(
        remains
            .events
            .iter()
            .map(|e| (e.what, e.ipa, e.syndrome, e.address))
            .collect::<Vec<_>>(),
        [(What::Refused, 0x20, 0x45, 0), (What::Stuck, 0, 1, 2)]
    );
}

#[test]
fn an_abort_that_the_host_took_is_noted_when_it_comes_with_the_page_it_is_for() {
    use crate::kvm::uapi::ArmSea;
    let mut board = board(Injection::HostAbort);
    let Answer::Break(cause) = board.write(PORT + 0x20, 8, word(0x8000_2000, 1)) else {
        panic!("the step speaks of this announcement")
    };
    board.out_of_reach(cause);
    board.host_abort(
        ArmSea::from_words([0, 0x9200_0017, 0x7000_0040, 0]),
        Some(0x8000_2000),
    );
    board.delivered(0x8000_2040, 0x9200_0010, 0x7000_0040);
    // One that nobody brought about, of which the host knows nothing but that it was.
    board.host_abort(
        ArmSea::from_words([0, 0x8200_0410, 0x7000_0040, 0x8000_2000]),
        None,
    );
    assert_eq!(board.write(PORT + 0x20, 8, word(0x8400_0000, 1)), Answer::Done);
    let events: Vec<_> = board
        .into_remains()
        .events
        .iter()
        .map(|e| (e.what, e.step, e.ipa, e.syndrome, e.address))
        .collect();
    assert_eq!(
        events[..3],
        [
            (What::HostAbort, Some(0), 0x8000_2000, 0x9200_0017, 0x7000_0040),
            (What::Delivered, Some(0), 0x8000_2040, 0x9200_0010, 0x7000_0040),
            (What::HostAbort, None, 0, 0x8200_0410, 0),
        ]
    );
    assert_eq!((events[3].0, events[3].1), (What::Refused, Some(0)));
}

/// A board as it would be after a restore.
pub(super) fn restored(board: &Board, plan: Plan) -> Result<Board, String> {
    let (transcript, events_lost) = board.transcript();
    let saved = crate::saved::Saved {
        board: board.to_saved(),
        transcript: transcript.to_vec(),
        events_lost,
        ..crate::saved::tests::sample()
    };
    Board::restored(MEMORY, plan, &Limits::default(), &saved)
}

fn saving(when: When) -> Plan {
    let step = |injection, times| Step {
        task: None,
        number: 1,
        window: Window::Checkpoint,
        skip: 0,
        times,
        injection,
    };
    Plan::new(&[step(Injection::Hole, 2), step(Injection::Save(when), 1)]).unwrap()
}

#[test]
fn a_save_is_due_once_what_comes_first_is_done() {
    for when in [When::Announced, When::AbortGiven] {
        let mut board = Board::new(MEMORY, saving(when), &Limits::default());
        let Answer::Open(cause) = board.write(PORT + 0x20, 8, word(0x8000_2000, 1)) else {
            panic!("the first step opens the page")
        };
        board.opened(cause);
        if when == When::AbortGiven {
            assert_eq!(board.take_save(), None, "nothing was given yet");
            board.delivered(0x8000_3040, 0x9200_0010, 0x5040);
            assert_eq!(board.take_save(), None, "that was another page");
            board.delivered(0x8000_2040, 0x9200_0010, 0x5040);
        }
        assert_eq!(board.take_save().map(|cause| cause.page()), Some(0x8000_2000));
        assert_eq!(board.take_save(), None);
    }
}

#[test]
fn a_board_goes_on_where_it_was_saved() {
    let plan = saving(When::Announced);
    let mut board = Board::new(MEMORY, plan, &Limits::default());
    let Answer::Open(cause) = board.write(PORT + 0x20, 8, word(0x8000_2000, 1)) else {
        panic!("the first step opens the page")
    };
    board.opened(cause);
    assert_eq!(board.write(UART, 1, u64::from(b'x')), Answer::Done);
    assert_eq!(board.write(UART + 0x30, 2, 0x301), Answer::Done);
    assert_eq!(board.write(PORT + 0x10, 8, 0x8000_4000), Answer::Done);
    let save = board.take_save();
    board.saves(save);
    let mut again = restored(&board, plan).unwrap();
    assert_eq!(again.to_saved(), board.to_saved());
    assert_eq!(again.read(UART + 0x30, 2), Some(0x301));
    // The second half of the journal's place, the second hole, and no second save.
    assert_eq!(again.write(PORT + 0x18, 8, 0x1000), Answer::Done);
    assert!(matches!(
        again.write(PORT + 0x20, 8, word(0x8000_3000, 1)),
        Answer::Open(_)
    ));
    assert_eq!(again.write(PORT + 0x20, 8, word(0x8000_5000, 1)), Answer::Done);
    assert_eq!(again.take_save(), None);
    // What was opened before the save is known after it.
    again.delivered(0x8000_2040, 0x9200_0010, 0x5040);
    let remains = again.into_remains();
    assert_eq!(
        (remains.console, remains.journal),
        (b"x".to_vec(), Some(0x8000_4000..0x8000_5000))
    );
    let events: Vec<_> = remains
        .events
        .iter()
        .map(|event| (event.what, event.step))
        .collect();
    assert_eq!(
        events,
        [
            (What::Opened, Some(0)),
            (What::Saved, Some(1)),
            (What::Restored, None),
            (What::Journal, None),
            (What::Announced, None),
            (What::Delivered, Some(0)),
        ]
    );
}

#[test]
fn a_board_of_another_plan_or_out_of_bounds_is_refused() {
    let plan = saving(When::Announced);
    let board = Board::new(MEMORY, plan, &Limits::default());
    assert!(restored(&board, plan).is_ok());
    assert!(
        restored(&board, Plan::EMPTY)
            .unwrap_err()
            .contains("count of steps")
    );
    let saved = crate::saved::Saved {
        board: board.to_saved(),
        transcript: vec![Event::of(What::Announced); 3],
        ..crate::saved::tests::sample()
    };
    let limits = Limits {
        events: 2,
        ..Limits::default()
    };
    let error = Board::restored(MEMORY, plan, &limits, &saved).unwrap_err();
    assert!(error.contains("transcript"), "{error}");
}

#[test]
fn what_the_host_learns_is_booked_and_what_lies_elsewhere_is_no_page_of_the_guests() {
    let passed = |budget: &str, happens: &dyn Fn(&mut Board)| {
        let limits = Limits::default();
        let mut board = Board::new(MEMORY, Plan::EMPTY, &limits).under(Some(budget.parse().unwrap()), []);
        happens(&mut board);
        board.overdrawn().is_some()
    };
    let inside = MEMORY.start + 0x5040;
    assert!(passed("pages=0", &|board| board.delivered(
        inside,
        0x9200_0010,
        0
    )));
    assert!(passed("pages=0", &|board| board.advised(inside, 12)));
    assert!(!passed("pages=0", &|board| board.delivered(
        PORT - 0x1000,
        0x9200_0010,
        0
    )));
    assert!(
        !passed("aborts=0/60s", &|board| board.advised(inside, 12)),
        "no abort"
    );
    assert!(passed("aborts=0/60s", &|board| board.delivered(
        PORT - 0x1000,
        0x9200_0010,
        0
    )));
    let cause = Cause {
        step: 0,
        announcement: Announcement::from_word(word(inside, 1)),
    };
    assert!(passed("aborts=0/60s", &|board| board.pended(cause, None)));
    assert!(passed("aborts=0/60s", &|board| board.entered(
        cause,
        0x9200_0010,
        0
    )));
    assert!(!passed("pages=0,aborts=1/60s", &|board| board.pended(cause, None)));
}
