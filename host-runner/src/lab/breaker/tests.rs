use std::os::unix::net::UnixListener;
use std::thread::{self, JoinHandle};

use super::super::stub::{self, Machine};
use super::*;

/// Stage 2 as KVM has it for 40 bits: IPA 0x80000000 leads over 0x40005000 and 0x40007000 to page 0x4abcd000.
fn machine() -> Machine {
    let words = [
        (0x4000_2010, 0x4000_5003),
        (0x4000_5000, 0x4000_7003),
        (0x4000_5010, 0x4000_8003),
        (0x4000_5018, 0x0060_0000_5560_07fd),
        (0x4000_7000, 0x0040_0000_4abc_d7ff),
    ];
    Machine {
        memory: words.into(),
        vttbr: 0x0007_0000_4000_2001,
        vtcr: 24 | (1 << 6) | (5 << 16) | (1 << 31),
        ..Machine::default()
    }
}

/// A breaker, and the machine as it was left.
fn breaker(machine: Machine) -> (Breaker, JoinHandle<Machine>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gdb");
    let listener = UnixListener::bind(&path).unwrap();
    let serving = thread::spawn(move || stub::serve(machine, listener.accept().unwrap().0).join().unwrap());
    (Breaker::new(path), serving, folder)
}

fn answers(machine: Machine, questions: &[&str]) -> (Vec<String>, Machine) {
    let (mut breaker, serving, _folder) = breaker(machine);
    let answers = questions
        .iter()
        .map(|question| breaker.answer(question).unwrap().unwrap())
        .collect();
    drop(breaker);
    (answers, serving.join().unwrap())
}

const BREAK: &str = "7 break 80400000 80000000 4abcd000";

#[test]
fn a_table_is_pointed_at_nothing_and_put_back() {
    let (answers, after) = answers(machine(), &[BREAK, "8 mend 80400000", "9 mend 80400000"]);
    assert_eq!(answers, ["7 done", "8 done", "9 done"]);
    assert_eq!(
        after.log,
        [
            "stop",
            "40005010 = b000003",
            "go",
            "stop",
            "40005010 = 40008003",
            "go"
        ]
    );
    assert_eq!(after.memory, machine().memory);
}

#[test]
fn where_there_was_no_table_there_is_none_afterwards() {
    let (answers, after) = answers(
        machine(),
        &["1 break 80200000 80000000 4abcd000", "2 mend 80200000"],
    );
    assert_eq!(answers, ["1 done", "2 done"]);
    assert_eq!(after.memory[&0x4000_5008], 0);
}

#[test]
fn another_vms_tables_are_left_alone_and_so_is_what_cannot_be_broken() {
    let tables = machine().memory;
    for (question, told) in [
        (
            "1 break 80400000 80000000 4abce000",
            "leads from 0x80000000 to 0x4abcd000 and not to 0x4abce000",
        ),
        ("1 break 80001000 80000000 4abcd000", "in the same 2 MiB"),
        (
            "1 break 80600000 80000000 4abcd000",
            "meets 0x600000556007fd at level 2",
        ),
        ("1 break 10000000000 80000000 4abcd000", "beyond"),
        ("1 break 40000000 80000000 4abcd000", "meets 0x0 at level 1"),
        ("1 break 80400000 80800000 4abcd000", "at level 2"),
    ] {
        let (answers, after) = answers(machine(), &[question]);
        assert!(
            answers[0].starts_with("1 failed") && answers[0].contains(told),
            "{answers:?}"
        );
        assert_eq!(after.memory, tables);
        assert_eq!(after.log, ["stop", "go"], "it goes on whatever came of it");
    }
    let (twice, after) = answers(machine(), &[BREAK, BREAK]);
    assert!(twice[1].contains("out of reach already"), "{twice:?}");
    assert_eq!(after.log.iter().filter(|line| line.contains('=')).count(), 1);
    let none = Machine {
        vttbr: 0,
        ..machine()
    };
    assert!(answers(none, &[BREAK]).0[0].contains("no stage 2"));
}

#[test]
fn what_the_machine_changed_meanwhile_is_not_put_back() {
    let (mut breaker, serving, _folder) = breaker(machine());
    assert_eq!(breaker.answer(BREAK).unwrap().unwrap(), "7 done");
    breaker.broken[0].place = 0x4000_7000;
    let answer = breaker.answer("8 mend 80400000").unwrap().unwrap();
    assert!(answer.contains("has made 0x4000004abcd7ff"), "{answer}");
    assert!(breaker.broken.is_empty() && breaker.due().is_none());
    drop(breaker);
    assert_eq!(
        serving.join().unwrap().memory[&0x4000_7000],
        0x0040_0000_4abc_d7ff
    );
}

#[test]
fn what_nobody_asks_to_mend_is_mended_all_the_same() {
    let (mut breaker, serving, _folder) = breaker(machine());
    assert_eq!(breaker.due(), None);
    assert_eq!(breaker.answer(BREAK).unwrap().unwrap(), "7 done");
    let due = breaker.due().unwrap().saturating_duration_since(Instant::now());
    assert!(due <= MEND_AFTER && due > MEND_AFTER / 2);
    breaker.mend_overdue().unwrap();
    assert_eq!(breaker.due(), None);
    drop(breaker);
    assert_eq!(serving.join().unwrap().memory, machine().memory);
}

#[test]
fn a_machine_that_cannot_be_let_go_on_is_told_and_no_question_is_made_up() {
    let silent = Machine {
        wrong: vec![("M", "")],
        ..machine()
    };
    let (mut breaker, _serving, _folder) = breaker(silent);
    assert!(breaker.answer("nonsense").unwrap().is_none());
    assert!(breaker.answer(BREAK).unwrap_err().0.contains("in time"));
    // Nobody listens: the scenario fails, and the machine was never stopped.
    let mut nobody = Breaker::new("/nonexistent/gdb".into());
    let answer = nobody.answer(BREAK).unwrap().unwrap();
    assert!(answer.starts_with("7 failed QEMU's gdb stub:"), "{answer}");
    // A stub that lacks what is needed fails the scenario, and the machine goes on.
    let poor = Machine {
        wrong: vec![("Qqemu", "$#00")],
        ..machine()
    };
    let (answers, after) = answers(poor, &[BREAK]);
    assert!(answers[0].contains("failed"), "{answers:?}");
    assert_eq!(after.log, ["stop", "go"]);
}

#[test]
fn no_more_are_broken_at_a_time_than_can_be_kept() {
    let mut machine = machine();
    let questions: Vec<String> = (1..=MOST + 1)
        .map(|n| format!("{n} break {:x} 80000000 4abcd000", 0x8000_0000 + n * 0x20_0000))
        .collect();
    machine.memory.remove(&0x4000_5018);
    let questions: Vec<&str> = questions.iter().map(String::as_str).collect();
    let (answers, _) = answers(machine, &questions);
    assert!(
        answers[..MOST].iter().all(|answer| answer.ends_with("done")),
        "{answers:?}"
    );
    assert!(answers[MOST].contains("16 pages are out of reach"));
}
