//! What each access to the port asks for, and what a plan makes of it.

use super::*;

fn announcement(task: u16, number: u16) -> u64 {
    Announcement {
        task,
        number,
        page: IntermediateAddress(0x8000_0000),
    }
    .to_word()
}

fn injected(reaction: Reaction) -> Option<u16> {
    match reaction {
        Reaction::Inject { step, .. } => Some(step),
        _ => None,
    }
}

#[test]
fn a_step_fires_for_its_task_number_and_window_alone() {
    let step = Step {
        task: Some(1),
        number: 7,
        window: Window::User,
        skip: 0,
        times: 0,
        injection: Injection::Hole,
    };
    let mut i = Interpreter::new(Plan::new(&[step]).unwrap());
    assert_eq!(injected(i.write(0x1000, 8, announcement(1, 7))), Some(0));
    for (offset, task, number) in [
        (0x20, 1, 7),
        (0x28, 1, 7),
        (0x30, 1, 7),
        (0x1000, 2, 7),
        (0x1000, 1, 8),
    ] {
        assert_eq!(injected(i.write(offset, 8, announcement(task, number))), None);
    }
}

#[test]
fn skip_and_times_count_matching_announcements() {
    let step = Step {
        task: None,
        number: 1,
        window: Window::Checkpoint,
        skip: 2,
        times: 2,
        injection: Injection::Hole,
    };
    let mut i = Interpreter::new(Plan::new(&[step]).unwrap());
    let fired: [bool; 6] =
        [1, 2, 3, 4, 5, 6].map(|task| injected(i.write(0x20, 8, announcement(task, 1))).is_some());
    assert_eq!(fired, [false, false, true, true, false, false]);
    assert!(i.fired().eq([2]));
}

#[test]
fn a_used_up_step_lets_the_next_one_speak() {
    let step = Step {
        task: None,
        number: 1,
        window: Window::Checkpoint,
        skip: 0,
        times: 1,
        injection: Injection::Hole,
    };
    let mut i = Interpreter::new(Plan::new(&[step, step]).unwrap());
    let fired: [Option<u16>; 3] = core::array::from_fn(|_| injected(i.write(0x20, 8, announcement(1, 1))));
    assert_eq!(fired, [Some(0), Some(1), None]);
}

#[test]
fn a_save_fires_beside_an_injection_and_where_it_left_off_the_count_goes_on() {
    let step = |times, injection| Step {
        task: None,
        number: 1,
        window: Window::Checkpoint,
        skip: 1,
        times,
        injection,
    };
    let plan = Plan::new(&[
        step(1, Injection::Save(When::Announced)),
        step(2, Injection::Hole),
        step(1, Injection::Save(When::AbortGiven)),
    ])
    .unwrap();
    let mut i = Interpreter::new(plan);
    assert_eq!(injected(i.write(0x20, 8, announcement(1, 1))), None);
    assert_eq!(i.take_save(), None);
    assert_eq!(injected(i.write(0x20, 8, announcement(2, 1))), Some(1));
    let save = i.take_save().unwrap();
    // Of two that fire at once, the later one is made.
    assert_eq!((save.step, save.when), (2, When::AbortGiven));
    assert_eq!((save.announcement.task, i.take_save()), (2, None));
    assert_eq!(i.write(0x10, 8, 0x9000_0000), Reaction::Noted);
    let counts = [Count { seen: 2, fired: 1 }; 3];
    assert!(i.counts().eq(counts));
    let mut again = Interpreter::resumed(plan, &counts, i.journal_address()).unwrap();
    assert_eq!(injected(again.write(0x20, 8, announcement(3, 1))), Some(1));
    assert_eq!(again.take_save(), None);
    assert_eq!(injected(again.write(0x20, 8, announcement(4, 1))), None);
    assert_eq!(again.journal_address(), IntermediateAddress(0x9000_0000));
    assert!(Interpreter::resumed(plan, &counts[..2], IntermediateAddress(0)).is_none());
}

#[test]
fn the_serror_beside_a_hole_comes_with_its_first_abort_alone() {
    let step = Step {
        task: None,
        number: 1,
        window: Window::Checkpoint,
        skip: 0,
        times: 1,
        injection: Injection::HoleBesideSError { syndrome: 0xc11 },
    };
    let hole = Step {
        number: 2,
        injection: Injection::Hole,
        ..step
    };
    let mut i = Interpreter::new(Plan::new(&[hole, step]).unwrap());
    assert_eq!(i.beside(1), None, "nothing was announced yet");
    assert_eq!(injected(i.write(0x20, 8, announcement(1, 2))), Some(0));
    assert_eq!(injected(i.write(0x20, 8, announcement(1, 1))), Some(1));
    assert_eq!([i.beside(0), i.beside(64), i.beside(u16::MAX)], [None; 3]);
    assert_eq!([i.beside(1), i.beside(1)], [Some(0xc11), None]);
}

#[test]
fn an_serror_that_is_still_to_come_lives_through_a_reboot_and_is_not_among_the_counts() {
    let step = Step {
        task: None,
        number: 1,
        window: Window::Checkpoint,
        skip: 0,
        times: 1,
        injection: Injection::HoleBesideSError { syndrome: 0xc11 },
    };
    let plan = Plan::new(&[step]).unwrap();
    let mut i = Interpreter::new(plan);
    assert_eq!(injected(i.write(0x20, 8, announcement(1, 1))), Some(0));
    let counts = [Count { seen: 1, fired: 1 }];
    assert!(i.counts().eq(counts) && i.waits_beside());
    // Where it would be lost, nobody saves.
    let mut again = Interpreter::resumed(plan, &counts, IntermediateAddress(0)).unwrap();
    assert_eq!((again.waits_beside(), again.beside(0)), (false, None));
    i.reboot();
    assert!(i.waits_beside());
    assert_eq!(i.beside(0), Some(0xc11));
    // The counts are the same, so nothing is lost from here on.
    assert!(i.counts().eq(counts) && !i.waits_beside());
}

#[test]
fn a_page_that_was_asked_for_is_forgotten_by_a_reboot_and_by_whoever_goes_on() {
    let mut i = Interpreter::new(Plan::EMPTY);
    let page = IntermediateAddress(0x8000_1000);
    let from = IntermediateAddress(0x8000_0000);
    assert_eq!(i.write(0x68, 8, 0x8000_0000), Reaction::Lost { from });
    i.lost(Some(page));
    assert_eq!(i.read(0x70, 8), 0x8000_1001);
    let mut again = Interpreter::resumed(Plan::EMPTY, &[], IntermediateAddress(0)).unwrap();
    assert_eq!(again.read(0x70, 8), 0);
    // Told once more, it is as it was.
    again.lost(Some(page));
    assert_eq!(again.read(0x70, 8), 0x8000_1001);
    i.reboot();
    assert_eq!(i.read(0x70, 8), 0);
}

#[test]
fn the_start_is_announced_by_nobody_but_the_replayer() {
    let step = Step {
        task: None,
        number: 0,
        window: Window::Start,
        skip: 0,
        times: 1,
        injection: Injection::SError { syndrome: None },
    };
    let mut i = Interpreter::new(Plan::new(&[step]).unwrap());
    assert_eq!(i.write(0x58, 8, 0), Reaction::Refused);
    assert_eq!([injected(i.start()), injected(i.start())], [Some(0), None]);
}

#[test]
fn no_access_but_a_register_of_its_width_has_an_effect() {
    let mut i = Interpreter::new(Plan::EMPTY);
    for offset in (0..0x2010).chain([u64::MAX]) {
        for width in [0, 1, 2, 4, 16] {
            assert_eq!(i.write(offset, width, u64::MAX), Reaction::Refused);
            assert_eq!(i.read(offset, width), 0);
        }
    }
    assert_eq!(i.write(0, 8, 1), Reaction::Refused);
    assert_eq!(i.read(0, 8), u64::from_le_bytes(*b"SEAWALLP"));
    assert_eq!(i.read(8, 8), 1);
    assert_eq!(i.read(0x10, 8), 0);
}

#[test]
fn the_journal_is_known_once_both_halves_are() {
    let mut i = Interpreter::new(Plan::EMPTY);
    assert_eq!(i.write(0x10, 8, 0x9000_0000), Reaction::Noted);
    assert_eq!(
        i.write(0x18, 8, 0x4000),
        Reaction::Journal {
            address: IntermediateAddress(0x9000_0000),
            length: 0x4000
        }
    );
}

/// The step that draws so many errors.
const fn draws(errors: u32, seed: u64) -> Step {
    Step {
        task: None,
        number: 0,
        window: Window::Checkpoint,
        skip: 0,
        times: errors,
        injection: Injection::Draw { seed },
    }
}

/// A seed that draws from a hole of weight 3, an SError of weight 1 and nothing of weight 4, until ten errors came.
fn drawing(errors: u32) -> Plan {
    let step = |skip, times, injection| Step {
        task: None,
        number: 1,
        window: Window::Checkpoint,
        skip,
        times,
        injection,
    };
    let serror = Injection::SError {
        syndrome: Some(0x1811),
    };
    Plan::new(&[
        draws(errors, 1_234_567),
        step(3, 1, Injection::Hole),
        step(1, 1, serror),
        step(4, 1, Injection::Nothing),
    ])
    .unwrap()
}

fn drawn(i: &mut Interpreter) -> Option<u16> {
    match i.write(0x20, 8, announcement(4, 1)) {
        Reaction::Inject { step, .. } => Some(step),
        Reaction::Announced { step, .. } => step,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_drawn_follows_from_the_seed_and_the_weights_until_all_errors_came() {
    let mut i = Interpreter::new(drawing(3));
    assert_eq!(i.read(0x80, 8), 3);
    // The published numbers of this seed, of 2^64: 0.350, 0.173, 0.532, 0.249, 0.889; below 3/8 a hole, below 4/8 an
    // SError, else nothing.
    let first: [_; 5] = core::array::from_fn(|_| drawn(&mut i));
    assert_eq!(first, [Some(1), Some(1), Some(3), Some(1), None]);
    assert_eq!(i.read(0x80, 8), 0);
    // Another number or window is none of theirs, and draws nothing.
    let mut i = Interpreter::new(drawing(3));
    for (offset, number) in [(0x20, 2), (0x28, 1), (0x1000, 1)] {
        assert_eq!(injected(i.write(offset, 8, announcement(4, number))), None);
    }
    assert_eq!(drawn(&mut i), Some(1));
}

#[test]
fn steps_before_the_one_that_draws_come_first_and_what_left_off_goes_on_with_the_same_numbers() {
    let plan = drawing(1000);
    let mut whole = Interpreter::new(plan);
    let all: [_; 64] = core::array::from_fn(|_| drawn(&mut whole));
    let mut i = Interpreter::new(plan);
    for wanted in &all[..20] {
        assert_eq!(drawn(&mut i), *wanted);
    }
    let counts: [Count; 4] = {
        let mut counts = i.counts();
        core::array::from_fn(|_| counts.next().unwrap())
    };
    let mut i = Interpreter::resumed(plan, &counts, IntermediateAddress(0)).unwrap();
    for wanted in &all[20..] {
        assert_eq!(drawn(&mut i), *wanted);
    }
    assert_eq!(i.read(0x80, 8), whole.read(0x80, 8));
    let fixed = Step {
        task: None,
        number: 1,
        window: Window::Checkpoint,
        skip: 0,
        times: 2,
        injection: Injection::ReadOnly,
    };
    let mut steps = [fixed; 5];
    for (place, step) in steps.iter_mut().skip(1).zip(plan.steps()) {
        *place = step;
    }
    let mut i = Interpreter::new(Plan::new(&steps).unwrap());
    let first: [_; 4] = core::array::from_fn(|_| drawn(&mut i));
    assert_eq!(first, [Some(0), Some(0), Some(2), Some(2)]);
}

#[test]
fn what_would_hide_an_serror_that_is_still_to_come_is_left_out() {
    let step = |skip, times, injection| Step {
        task: None,
        number: 1,
        window: Window::Checkpoint,
        skip,
        times,
        injection,
    };
    let beside = Injection::HoleBesideSError { syndrome: 0xc11 };
    let plan = Plan::new(&[draws(5, 0), step(1, 1, beside)]).unwrap();
    let mut i = Interpreter::new(plan);
    let mut injects = || injected(i.write(0x20, 8, announcement(4, 1)));
    assert_eq!((injects(), injects()), (Some(1), None));
    assert_eq!(i.beside(1), Some(0xc11));
    assert_eq!(injected(i.write(0x20, 8, announcement(4, 1))), Some(1));
    assert_eq!(i.beside(1), Some(0xc11));
    // Two errors each: the fifth finds no room.
    assert_eq!(i.read(0x80, 8), 1);
    assert_eq!(injected(i.write(0x20, 8, announcement(4, 1))), None);
}
