use std::time::Duration;

use super::{both, in_a_line, leave_out};
use crate::events::{Abort, Event, Outcome, Task, Tasks, Verdict};
use crate::linux;
use crate::scenario::{LinuxOutcome, Scenario, parse};

const TEXT: &str = include_str!("../../../scenarios/serror-uer.toml");

fn scenario(text: &str) -> Scenario {
    parse("serror-uer.toml", text).unwrap()
}

fn ours() -> Vec<Event> {
    let bystander = |slot, progress, damage| Task {
        slot,
        program: "bystander".into(),
        bystander: true,
        state: "alive".into(),
        progress,
        progress_at_last_abort: 10,
        damage,
        restarts: 0,
        charged: 0,
    };
    vec![
        Event::Abort(Box::new(Abort {
            scenario: "serror-uer".into(),
            sequence: 0,
            times: 1,
            vector: String::new(),
            cause: "serror".into(),
            from: "el0".into(),
            register: "esr".into(),
            syndrome: "0xbe000c11".into(),
            summary: String::new(),
            far: None,
            elr: "0x400000".into(),
            frame: None,
            severity: "recoverable".into(),
            origin: "task".into(),
            slot: Some(1),
            program: Some("serror".into()),
            decision: "kill".into(),
            cost: None,
        })),
        Event::Tasks(Tasks {
            scenario: "serror-uer".into(),
            tasks: vec![bystander(2, 11, 0), bystander(3, 10, 0), bystander(4, 12, 1)],
        }),
        Event::Verdict(Verdict {
            scenario: "serror-uer".into(),
            verdict: Outcome::Pass,
            wall_ms: 1,
            aborts: Some(1),
            findings: vec![],
        }),
    ]
}

fn judged(outcome: Result<LinuxOutcome, String>) -> (Option<String>, Verdict) {
    let scenario = scenario(TEXT);
    let theirs = linux::Compared {
        kernel: Some("7.2".into()),
        outcome,
        lines: vec!["Kernel panic".into()],
        wall: Duration::from_secs(2),
    };
    let events = both(&scenario, scenario.expect_linux.unwrap(), ours(), theirs);
    assert_eq!(events.len(), 4);
    match &events[2..] {
        [Event::Compared(compared), Event::Verdict(verdict)] => (compared.outcome.clone(), verdict.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_linux_that_does_as_is_said_leaves_the_verdict_alone() {
    let (outcome, verdict) = judged(Ok(LinuxOutcome::Panic));
    assert_eq!(outcome.as_deref(), Some("panic"));
    assert_eq!((verdict.verdict, verdict.findings.len()), (Outcome::Pass, 0));
}

#[test]
fn a_linux_that_does_something_else_or_says_nothing_fails_the_scenario() {
    for (outcome, got) in [
        (Ok(LinuxOutcome::SigBus), "sigbus"),
        (Err("it stood still".into()), "it stood still"),
    ] {
        let (_, verdict) = judged(outcome);
        let finding = &verdict.findings[0];
        assert_eq!(verdict.verdict, Outcome::Fail);
        assert_eq!((finding.expected.as_str(), finding.got.as_str()), ("panic", got));
    }
}

#[test]
fn a_bystander_counts_as_unharmed_only_if_it_got_on_and_found_nothing_changed() {
    assert_eq!(
        in_a_line(&ours()),
        "kill, charged to serror · 1 of 3 bystanders unharmed"
    );
    assert_eq!(in_a_line(&[]), "no abort");
}

#[test]
fn what_says_nothing_of_linux_is_left_out_unless_it_is_all_there_is() {
    let says = scenario(TEXT);
    let (without, _) = TEXT.split_once("\n[expect.linux]").unwrap();
    let silent = scenario(without);
    assert_eq!(leave_out(vec![says.clone(), silent.clone()]).len(), 1);
    assert!(leave_out(vec![silent])[0].expect_linux.is_none());
}
