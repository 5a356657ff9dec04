//! How the tasks stand at the end, and whether the bystanders are unharmed and have gone on.

use seawall_replay::report::{TaskReport, TaskState};

use super::evidence::name;
use super::{Case, Findings};
use crate::scenario::{BYSTANDER, FinalState};

pub(super) fn check(case: &Case<'_>, findings: &mut Findings) {
    let guest = &case.scenario.guest;
    for (slot, program) in (1..).zip(&guest.tasks) {
        let at = format!("{program} (slot {slot})");
        let reports: Vec<&TaskReport> = case
            .evidence
            .reports
            .iter()
            .filter(|report| report.task == slot)
            .collect();
        match reports.as_slice() {
            [] => findings.add("report", at, "a report at the end", "none"),
            [report] => own(case, findings, &at, program, report),
            [_, ..] => findings.add("report", at, "one report at the end", reports.len()),
        }
    }
    // Tasks that others started: judged by their program's name, when the scenario speaks of it.
    for report in &case.evidence.reports {
        if guest.program(report.task).is_none() {
            let program = name(&report.program);
            let at = format!("{program} (slot {})", report.task);
            match case.scenario.expect.tasks.get(&program) {
                Some(expected) => state(findings, &at, *expected, report.state),
                None => findings.add("report", at, "no task that was not asked for", "one"),
            }
        }
    }
    if case.incidents.iter().any(|incident| incident.injection.is_some()) {
        let sound = case
            .evidence
            .reports
            .iter()
            .filter(|report| guest.program(report.task) == Some(BYSTANDER) && report.damage == 0);
        let sound = sound.count();
        if sound < 2 {
            findings.add(
                "bystanders",
                "the guest",
                "at least two bystanders unharmed",
                sound,
            );
        }
    }
}

fn own(case: &Case<'_>, findings: &mut Findings, at: &str, program: &str, report: &TaskReport) {
    findings.compare("report", at, program, name(&report.program).as_str());
    let bystander = program == BYSTANDER;
    let expected = case.scenario.expect.tasks.get(program).copied();
    state(findings, at, expected.unwrap_or(FinalState::Alive), report.state);
    let restarts = case.scenario.expect.restarts.get(program).copied().unwrap_or(0);
    findings.compare("restarts", at, restarts, report.restarts);
    findings.compare("damage", at, 0, report.damage);
    if bystander {
        findings.compare("charged", at, 0, report.charged);
        // Where no abort came, the count at the last one is zero.
        if report.progress <= report.progress_at_last_abort {
            let wanted = format!("further than {}", report.progress_at_last_abort);
            findings.add("progress", at, wanted, report.progress);
        }
    }
}

fn state(findings: &mut Findings, at: &str, expected: FinalState, got: TaskState) {
    let fits = match (expected, got) {
        (FinalState::Exited, TaskState::Exited(code)) => code == 0,
        (expected, got) => expected.word() == got.name(),
    };
    if !fits {
        findings.add("state", at, expected.word(), state_text(got));
    }
}

/// A state with its detail.
pub(crate) fn state_text(state: TaskState) -> String {
    match state {
        TaskState::Exited(code) if code != 0 => format!("exited with code {code}"),
        TaskState::Faulted(class) => format!("faulted (class {class:#x})"),
        TaskState::Unknown(number) => format!("state {number}, which means nothing"),
        TaskState::Alive | TaskState::Exited(_) | TaskState::Killed | TaskState::Isolated => {
            state.name().to_owned()
        }
    }
}
