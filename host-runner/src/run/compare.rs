//! `seawall run --compare linux`: each scenario twice on one QEMU, with our guest and with Linux, under one plan.

use clap::ValueEnum;

use super::choose::{self, Choice, Unchosen};
use super::keep::Keep;
use super::progress::Progress;
use super::{BackendName, Output, RunArguments, direct, skip_all, skipped, started};
use crate::backend::Missing;
use crate::command::{Exit, complain};
use crate::escape;
use crate::events::{Compared, Event, Finding, Outcome, Verdict};
use crate::linux::{self, Linux};
use crate::render::{are, counted};
use crate::scenario::{ExpectedLinux, Scenario};

/// With what our guest is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Other {
    /// The lab's kernel, in the guest's place
    Linux,
}

/// Runs and compares; gives the exit code.
pub(super) fn run(arguments: &RunArguments, scenarios: Vec<Scenario>, output: &mut Output) -> Option<Exit> {
    if !matches!(arguments.backend, BackendName::Auto | BackendName::Qemu) {
        say!("error: --compare is for the backend qemu: its machine runs Linux in the guest's place");
        return Some(Exit::Usage);
    }
    let choice = match choose::choose(BackendName::Qemu, false, &arguments.place) {
        Ok(choice) => choice,
        Err(Unchosen::Environment(missing)) => {
            for (backend, missing) in &missing {
                complain::about_missing(backend, missing);
            }
            return Some(Exit::Environment);
        }
        // A kernel is missing for the lab alone.
        Err(Unchosen::Skip(missing)) => {
            complain::about_missing("qemu", &missing);
            return Some(Exit::Environment);
        }
    };
    let Choice {
        backend: choose::Backend::Direct(backend, image),
        ..
    } = &choice
    else {
        return Some(Exit::Environment);
    };
    let scenarios = leave_out(scenarios);
    let place = &arguments.place;
    match Linux::find(&place.folder(), place.kernel.as_deref()) {
        Ok(linux) => {
            output.event(Event::RunStarted(started(&choice, &scenarios)));
            for scenario in &scenarios {
                let Some(expected) = scenario.expect_linux else {
                    output.event(Event::Skipped(skipped(scenario, &says_nothing())));
                    continue;
                };
                say!("seawall: {} on qemu, and in Linux", scenario.name);
                let progress = Progress::of(&format!("{} on qemu", scenario.name));
                let events = direct::judged(backend.as_ref(), image, scenario, &Keep::default());
                progress.now(&format!("{} in Linux", scenario.name));
                let both_ran = events.and_then(|ours| Ok((ours, linux.meets(scenario, expected)?)));
                drop(progress);
                match both_ran {
                    Ok((ours, theirs)) => both(scenario, expected, ours, theirs)
                        .into_iter()
                        .for_each(|event| output.event(event)),
                    Err(missing) => output.event(Event::Skipped(skipped(scenario, &missing))),
                }
            }
        }
        Err(missing) => {
            complain::about_missing("linux", &missing);
            skip_all(&scenarios, choice.name, &missing, output);
        }
    }
    None
}

/// Leaves out what says nothing of Linux; if that is all, it stays, to be skipped with the reason.
fn leave_out(scenarios: Vec<Scenario>) -> Vec<Scenario> {
    let (meant, others): (Vec<_>, Vec<_>) = scenarios
        .into_iter()
        .partition(|scenario| scenario.expect_linux.is_some());
    if meant.is_empty() {
        return others;
    }
    if !others.is_empty() {
        let (count, verb) = (counted(others.len() as u64, "scenario"), are(others.len()));
        say!("seawall: {count} without [expect.linux] {verb} left out");
    }
    meant
}

fn says_nothing() -> Missing {
    Missing {
        what: "this scenario does not say what Linux is to do: it has no [expect.linux]".into(),
        fix: "seawall list --compared".into(),
    }
}

/// The events of both: the guest's own, with Linux before their verdict, which counts for both.
fn both(
    scenario: &Scenario,
    expected: ExpectedLinux,
    mut ours: Vec<Event>,
    theirs: linux::Compared,
) -> Vec<Event> {
    let compared = compared(scenario, expected, &ours, &theirs);
    let Some(Event::Verdict(mut verdict)) = ours.pop() else {
        return ours;
    };
    judge(&mut verdict, &compared);
    ours.extend([Event::Compared(Box::new(compared)), Event::Verdict(verdict)]);
    ours
}

fn compared(
    scenario: &Scenario,
    expected: ExpectedLinux,
    ours: &[Event],
    theirs: &linux::Compared,
) -> Compared {
    let (outcome, trouble) = match &theirs.outcome {
        Ok(outcome) => (Some(outcome.word().to_owned()), None),
        Err(reason) => (None, Some(escape::text(reason))),
    };
    Compared {
        scenario: scenario.name.clone(),
        kernel: theirs.kernel.clone(),
        does: expected.does.word().into(),
        panic_on_oops: expected.panic_on_oops,
        as_expected: theirs.outcome == Ok(expected.outcome),
        expected: expected.outcome.word().into(),
        outcome,
        trouble,
        lines: theirs.lines.clone(),
        ours: in_a_line(ours),
        wall_ms: u64::try_from(theirs.wall.as_millis()).unwrap_or(u64::MAX),
    }
}

/// A Linux that did something else fails the scenario: what is said of it is then wrong.
fn judge(verdict: &mut Verdict, compared: &Compared) {
    if compared.as_expected {
        return;
    }
    let got = compared.outcome.clone().or_else(|| compared.trouble.clone());
    verdict.findings.push(Finding {
        check: "linux".into(),
        at: format!("Linux {}", compared.kernel.as_deref().unwrap_or("(no version)")),
        expected: compared.expected.clone(),
        got: got.unwrap_or_default(),
    });
    if verdict.verdict == Outcome::Pass {
        verdict.verdict = Outcome::Fail;
    }
}

/// How our guest came out, by the events of its run: what was decided last, and how its bystanders are.
fn in_a_line(events: &[Event]) -> String {
    let decided = events.iter().rev().find_map(|event| match event {
        Event::Abort(abort) => Some(match &abort.program {
            Some(program) => format!("{}, charged to {program}", abort.decision),
            None => abort.decision.clone(),
        }),
        _ => None,
    });
    let bystanders = events.iter().rev().find_map(|event| match event {
        Event::Tasks(tasks) => Some(tasks.tasks.iter().filter(|task| task.bystander)),
        _ => None,
    });
    let lived = bystanders.map(|bystanders| {
        let all = bystanders.clone().count();
        let well = bystanders.filter(|task| task.damage == 0 && task.progress > task.progress_at_last_abort);
        format!("{} of {all} bystanders unharmed", well.count())
    });
    let decided = decided.unwrap_or_else(|| "no abort".into());
    [Some(decided), lived]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" · ")
}

#[cfg(test)]
mod tests;
