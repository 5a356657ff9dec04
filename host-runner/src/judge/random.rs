//! Errors that were drawn: each as its seed has it, each with the record that is expected of what was drawn.

use std::fmt;

use seawall_agent::{AbortRecord, Cause, TaskId};
use seawall_replay::IntermediateAddress;
use seawall_replay::interpreter::{Interpreter, Reaction};
use seawall_replay::plan::{Injection, Plan, Step};
use seawall_replay::port::Announcement;
use seawall_replay::transcript::{Event, What};

use super::evidence::Evidence;
use super::{Case, Findings, Incident, aborts};
use crate::backend::Run;
use crate::scenario::{self, ExpectedAbort, Frame, Scenario, boot};

/// A digest of things in order: FNV-1a of 64 bits [draft-eastlake-fnv]. It tells two runs apart, and proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Digest(u64);

impl Digest {
    const EMPTY: Self = Self(0xcbf2_9ce4_8422_2325);

    fn with(self, word: u64) -> Self {
        let bytes = word.to_le_bytes();
        Self(bytes.iter().fold(self.0, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        }))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

/// What was drawn, and what came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary {
    /// Announcements that something was drawn for, nothing among it.
    pub drawn: u64,
    /// Of what was drawn, in order, and for whom.
    pub decisions: Digest,
    /// Of the journal's aborts, in order, without their times and costs.
    pub journal: Digest,
}

/// The plan of a scenario that draws, and the number of the step that does.
fn plan(scenario: &Scenario) -> Option<(Plan, Vec<usize>, usize)> {
    let (plan, origins) = boot::plan(&scenario.guest, &scenario.injections).ok()?;
    let draw = plan
        .steps()
        .position(|step| matches!(step.injection, Injection::Draw { .. }))?;
    Some((plan, origins, draw))
}

/// What the transcript says of a step that is drawn from.
enum Said {
    /// It was drawn, and done, or left out.
    Drawn,
    /// The SError beside its hole came.
    Beside,
}

/// What the transcript says of the steps behind the one that draws, in order.
fn said<'a>(
    run: &'a Run,
    plan: &'a Plan,
    draw: usize,
) -> impl Iterator<Item = (usize, Step, &'a Event, Said)> {
    let steps: Vec<Step> = plan.steps().collect();
    run.events.iter().filter_map(move |event| {
        let number = usize::from(event.step?);
        let step = steps.get(number).copied().filter(|_| number > draw)?;
        let said = match event.what {
            What::Announced => Said::Drawn,
            what if what == step.injection.noted_as() => Said::Drawn,
            what if Some(what) == step.injection.noted_besides_as() => Said::Beside,
            // What the guest is given belongs to a decision and is none.
            _ => return None,
        };
        Some((number, step, event, said))
    })
}

/// What was drawn in this run, if its scenario draws.
#[must_use]
pub fn summary(scenario: &Scenario, run: &Run, evidence: &Evidence) -> Option<Summary> {
    let (plan, _, draw) = plan(scenario)?;
    let mut summary = Summary {
        drawn: 0,
        decisions: Digest::EMPTY,
        journal: Digest::EMPTY,
    };
    let drawn = said(run, &plan, draw).filter(|(.., said)| matches!(said, Said::Drawn));
    for (number, _, event, _) in drawn {
        summary.drawn += 1;
        let who = u64::from(event.task) << 16 | u64::from(event.number);
        summary.decisions = summary
            .decisions
            .with(number as u64)
            .with(who)
            .with(event.what.number().into());
    }
    for abort in &evidence.aborts {
        summary.journal = of_record(summary.journal, &abort.record);
    }
    Some(summary)
}

fn of_record(digest: Digest, record: &AbortRecord) -> Digest {
    let kinds = [
        record.cause as u64,
        record.from as u64,
        record.severity as u64,
        record.decision as u64,
    ];
    let charged = record.charged().map_or(u64::MAX, |TaskId(slot)| slot.into());
    let far = record.valid_far().map_or(u64::MAX, |far| far.0);
    let frame = record.frame.map_or(u64::MAX, |frame| frame.0);
    kinds
        .into_iter()
        .chain([record.esr, record.disr, charged, far, frame])
        .fold(digest, Digest::with)
}

/// What is expected of an abort: by what was drawn for it, who was charged, and how it came.
fn expected<'a>(case: &Case<'a>, origins: &[usize], incident: &Incident) -> Option<&'a ExpectedAbort> {
    let (_, abort) = incident.abort?;
    let step = usize::from(incident.injection?.step?);
    let name = case
        .scenario
        .injections
        .get(*origins.get(step)?)?
        .name
        .as_deref()?;
    let slot = abort.record.charged().map(|TaskId(slot)| slot);
    let program = slot.and_then(|slot| case.evidence.program_at(slot, abort.sequence));
    let may_come = |expected: &&ExpectedAbort| match (expected.cause, abort.record.cause) {
        (scenario::Cause::SError, Cause::Deferred) => expected.may_defer(case.kvm).is_some(),
        (expected, cause) => expected.word() == cause.name(),
    };
    let of = case.scenario.expect.aborts.iter().filter(may_come);
    of.filter(|expected| expected.of.as_deref() == Some(name))
        .find(|expected| expected.task.as_deref() == program)
}

/// How many frames must be lost in the end: one for each abort that is expected to cost one.
pub(super) fn retired(case: &Case<'_>) -> Option<u64> {
    let (_, origins, _) = plan(case.scenario)?;
    let costs = |incident: &&Incident| {
        expected(case, &origins, incident).is_some_and(|expected| expected.frame != Frame::None)
    };
    Some(case.incidents.iter().filter(costs).count() as u64)
}

/// The decisions are those of the seed, all errors came, and each has its record.
pub(super) fn check(case: &Case<'_>, findings: &mut Findings) {
    let Some((plan, origins, draw)) = plan(case.scenario) else {
        return;
    };
    let errors = plan.steps().nth(draw).map_or(0, |step| u64::from(step.times));
    let drawn = again(case.run, &plan, draw, findings);
    findings.compare("drawn", "errors that were drawn", errors, drawn);
    findings.compare("aborts", "the journal", errors, case.evidence.aborts.len() as u64);
    for incident in case.incidents {
        match (incident.injection, incident.abort) {
            (Some(injection), None) => findings.add(
                "lost",
                format_args!("{:?} of slot {}", injection.what, injection.task),
                "a record",
                "none",
            ),
            (_, Some((_, abort))) => match expected(case, &origins, incident) {
                Some(expected) => aborts::one(case, findings, expected, &abort, Some(incident)),
                None => findings.add(
                    "abort-unexpected",
                    format_args!("record {}", abort.sequence),
                    "no such abort of what was drawn",
                    format_args!(
                        "{} {:#x}, charged to {:?}",
                        abort.record.cause.name(),
                        aborts::syndrome(&abort.record),
                        abort.record.charged()
                    ),
                ),
            },
            (None, None) => {}
        }
    }
}

/// Draws once more, for the same announcements; gives the errors. The replayer's word is held against it.
fn again(run: &Run, plan: &Plan, draw: usize, findings: &mut Findings) -> u64 {
    let mut interpreter = Interpreter::new(*plan);
    let mut errors = 0;
    for (place, (number, step, event, said)) in said(run, plan, draw).enumerate() {
        if let Said::Beside = said {
            let _ = interpreter.beside(event.step.unwrap_or(u16::MAX));
            continue;
        }
        let announcement = Announcement {
            task: event.task,
            number: event.number,
            // Which page it is decides nothing.
            page: IntermediateAddress(0),
        };
        let offset = step.window.register().offset();
        let (drawn, what) = match interpreter.write(offset, 8, announcement.to_word()) {
            Reaction::Inject { step, injection, .. } => {
                errors += u64::from(injection.errors());
                (Some(step), injection.noted_as())
            }
            Reaction::Announced { step, .. } => (step, What::Announced),
            _ => (None, What::Refused),
        };
        if (drawn.map(usize::from), what) != (Some(number), event.what) {
            findings.add(
                "drawn",
                format_args!("event {place}"),
                format_args!("{what:?} of step {drawn:?}"),
                format_args!("{:?} of step {number}", event.what),
            );
        }
    }
    errors
}

#[cfg(test)]
mod tests;
