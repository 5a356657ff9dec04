//! Pages that the guest is told of, and asks for.

use super::tests::{MEMORY, board, restored, word};
use super::*;

const PATROL: u64 = PORT + 0x60;
const LOST_FROM: u64 = PORT + 0x68;
const LOST: u64 = PORT + 0x70;

fn report(board: &mut Board, page: u64) -> Answer {
    let answer = board.write(PORT + 0x20, 8, word(page, 1));
    if let Answer::Report(cause, failing) = answer {
        board.reported(cause, failing);
    }
    answer
}

#[test]
fn what_was_reported_is_read_once_in_order() {
    for (failing, bits) in [(false, 1), (true, 3)] {
        let mut board = board(Injection::Patrol { failing });
        for page in [0x8000_5000, 0x8000_1000] {
            assert!(matches!(report(&mut board, page), Answer::Report(_, told) if told == failing));
        }
        assert_eq!(report(&mut board, 0x8400_0000), Answer::Done, "that is no memory");
        let read: Vec<_> = (0..3).map(|_| board.read(PATROL, 8)).collect();
        assert_eq!(
            read,
            [Some(0x8000_5000 | bits), Some(0x8000_1000 | bits), Some(0)]
        );
    }
}

#[test]
fn pages_that_are_out_are_found_in_order_and_none_beyond() {
    let mut board = board(Injection::Patrol { failing: false });
    for page in [0x8000_5000, 0x83ff_f000, 0x8000_1000] {
        assert!(matches!(report(&mut board, page), Answer::Report(..)));
    }
    let mut find = |from: u64| {
        assert_eq!(board.write(LOST_FROM, 8, from), Answer::Done);
        board.read(LOST, 8)
    };
    for (from, found) in [
        (0, 0x8000_1001),
        (0x8000_1000, 0x8000_1001),
        (0x8000_1001, 0x8000_5001),
        (0x8000_5001, 0x83ff_f001),
        (0x83ff_f001, 0),
        (u64::MAX, 0),
    ] {
        assert_eq!(find(from), Some(found), "{from:#x}");
    }
}

#[test]
fn more_than_there_is_room_for_is_refused_and_said() {
    let step = Injection::Patrol { failing: false };
    let plan = plan_of(step);
    let mut board = Board::new(MEMORY, plan, &Limits::default());
    for page in 0..65 {
        assert!(matches!(
            report(&mut board, 0x8000_0000 + page * 0x1000),
            Answer::Report(..)
        ));
    }
    let mut again = restored(&board, plan).unwrap();
    assert_eq!(again.to_saved(), board.to_saved());
    assert_eq!(
        again.read(PATROL, 8),
        Some(0x8000_0001),
        "what waits goes on waiting"
    );
    let refused = board
        .into_remains()
        .events
        .into_iter()
        .filter(|event| event.what == What::Refused);
    assert_eq!(refused.map(|event| event.ipa).collect::<Vec<_>>(), [0x8004_0000]);
}

#[test]
fn a_guest_begins_again_when_it_says_so_and_not_for_ever() {
    const END: u64 = PORT + 0x38;
    let mut board = board(Injection::Patrol { failing: false });
    assert!(matches!(report(&mut board, 0x8000_1000), Answer::Report(..)));
    for word in [1, 3, 4, 5] {
        assert_eq!(board.write(END, 8, word), Answer::Done);
        assert_eq!(board.wants_reboot(), word == 4);
    }
    for life in 0..4 {
        assert_eq!(board.write(PORT + 0x10, 8, 0x8000_4000), Answer::Done);
        assert_eq!(board.write(PORT + 0x18, 8, 0x1000), Answer::Done);
        assert_eq!(board.journal(), Some(&(0x8000_4000..0x8000_5000)));
        assert_eq!(board.write(END, 8, 4), Answer::Done);
        assert!(board.wants_reboot());
        board.rebooted(vec![life]);
        assert!(!board.wants_reboot(), "it has to say so again");
        assert_eq!(board.journal(), None);
        assert_eq!(board.read(PATROL, 8), Some(0));
        assert_eq!(board.write(LOST_FROM, 8, 0), Answer::Done);
        assert_eq!(board.read(LOST, 8), Some(0x8000_1001), "what is out stays out");
    }
    assert_eq!(board.write(END, 8, 4), Answer::Done);
    assert!(!board.wants_reboot());
    assert_eq!(board.into_remains().earlier, [[0], [1], [2], [3]]);
}

#[test]
fn a_saved_guest_remembers_its_lives_and_that_it_begins_again() {
    const END: u64 = PORT + 0x38;
    let step = Injection::Patrol { failing: false };
    let plan = plan_of(step);
    let mut board = Board::new(MEMORY, plan, &Limits::default());
    for life in 0..3 {
        assert_eq!(board.write(END, 8, 4), Answer::Done);
        board.rebooted(vec![life]);
    }
    let mut again = restored(&board, plan).unwrap();
    assert!(!again.wants_reboot());
    assert_eq!(again.write(END, 8, 4), Answer::Done);
    let mut again = restored(&again, plan).unwrap();
    assert!(again.wants_reboot(), "it was said before the save");
    again.rebooted(vec![3]);
    assert_eq!(again.write(END, 8, 4), Answer::Done);
    assert!(!again.wants_reboot(), "lives before the save count");
    assert_eq!(again.into_remains().earlier, [[0], [1], [2], [3]]);
}

fn plan_of(injection: Injection) -> Plan {
    let step = seawall_replay::plan::Step {
        task: None,
        number: 1,
        window: port::Window::Checkpoint,
        skip: 0,
        times: 0,
        injection,
    };
    Plan::new(&[step]).unwrap()
}
