//! Every abort record against what is expected, field by field, in order, and none beside them.

use std::collections::BTreeMap;

use seawall_agent::{AbortRecord, Cause, Level, TaskId};

use super::evidence::Recorded;
use super::{Case, Findings, Incident};
use crate::render::counted;
use crate::scenario::{ExpectedAbort, Far, Frame};

pub(super) fn check(case: &Case<'_>, findings: &mut Findings) {
    let expected: Vec<&ExpectedAbort> = case
        .scenario
        .expect
        .aborts
        .iter()
        .flat_map(|abort| std::iter::repeat_n(abort, usize::try_from(abort.times).unwrap_or(usize::MAX)))
        .collect();
    let found = &case.evidence.aborts;
    if expected.len() != found.len() {
        findings.add(
            "aborts",
            "the journal",
            counted(expected.len() as u64, "abort"),
            found.len(),
        );
    }
    let incidents: BTreeMap<usize, &Incident> = case
        .incidents
        .iter()
        .filter_map(|incident| incident.abort.map(|(at, _)| (at, incident)))
        .collect();
    for (index, (expected, abort)) in expected.iter().zip(found).enumerate() {
        one(case, findings, expected, abort, incidents.get(&index).copied());
    }
    for abort in found.iter().skip(expected.len()) {
        let got = format!(
            "ESR {:#x}, decision {}",
            syndrome(&abort.record),
            abort.record.decision.name()
        );
        findings.add(
            "abort-unexpected",
            format_args!("record {}", abort.sequence),
            "no abort",
            got,
        );
    }
}

/// The register that says what happened.
pub(super) fn syndrome(record: &AbortRecord) -> u64 {
    match record.cause {
        Cause::Deferred => record.disr,
        Cause::Synchronous | Cause::SError | Cause::Patrol => record.esr,
    }
}

pub(super) fn one(
    case: &Case<'_>,
    findings: &mut Findings,
    expected: &ExpectedAbort,
    abort: &Recorded,
    incident: Option<&Incident>,
) {
    let record = &abort.record;
    let at = format!("record {}", abort.sequence);
    let (wanted, frame, because) = expected.under(case.kvm);
    let deferred = expected
        .may_defer(case.kvm)
        .filter(|_| record.cause == Cause::Deferred);
    let (cause, wanted) = match deferred {
        Some(disr) => (Cause::Deferred.name(), disr),
        None => (expected.cause.word(), wanted),
    };
    findings.compare("cause", &at, cause, record.cause.name());
    findings.compare("from", &at, expected.from.word(), record.from.name());
    if syndrome(record) != wanted {
        let because = because.map(|because| format!(" ({because})")).unwrap_or_default();
        let wanted = format!("{wanted:#010x}{because}");
        findings.add(
            "syndrome",
            &at,
            wanted,
            format_args!("{:#010x}", syndrome(record)),
        );
    }
    findings.compare("severity", &at, expected.severity.word(), record.severity.name());
    findings.compare(
        "decision",
        &at,
        expected.decision.word().replace('-', " ").as_str(),
        record.decision.name(),
    );
    let far = record.valid_far().map(|address| address.0);
    match (expected.far, far) {
        (Far::Invalid, None) | (Far::Any, Some(_)) => {}
        (Far::Exactly(wanted), Some(address)) if wanted == address => {}
        (wanted, got) => findings.add(
            "far",
            &at,
            far_text(wanted),
            got.map_or("no valid address".into(), hex),
        ),
    }
    charged(case, findings, expected, abort, incident);
    let announced = incident
        .and_then(|incident| incident.injection)
        .map(|event| event.ipa >> 12);
    let got = record.frame.map(|frame| frame.0);
    let fits = match frame {
        Frame::Announced => got.is_some() && got == announced,
        Frame::None => got.is_none(),
        Frame::Any => got.is_some(),
    };
    if !fits {
        let wanted = match (frame, announced) {
            (Frame::Announced, Some(frame)) => format!("the announced frame {frame:#x}"),
            (Frame::Announced, None) => "the announced frame, but nothing was injected for it".into(),
            (Frame::None | Frame::Any, _) => frame.word().to_owned(),
        };
        findings.add("frame", &at, wanted, got.map_or("none".into(), hex));
    }
}

/// Who was charged: the program that the scenario names, and the very task whose announcement brought the error.
fn charged(
    case: &Case<'_>,
    findings: &mut Findings,
    expected: &ExpectedAbort,
    abort: &Recorded,
    incident: Option<&Incident>,
) {
    let at = format!("record {}", abort.sequence);
    let slot = abort.record.charged().map(|TaskId(slot)| slot);
    let program = slot.map(|slot| {
        let started = case.evidence.program_at(slot, abort.sequence);
        started
            .or_else(|| case.scenario.guest.program(slot))
            .unwrap_or("a task that was never started")
    });
    if program != expected.task.as_deref() {
        let got = match (program, slot) {
            (Some(program), Some(slot)) => format!("{program} (slot {slot})"),
            _ => "nobody".into(),
        };
        findings.add("charged", &at, expected.task.as_deref().unwrap_or("nobody"), got);
        return;
    }
    // What the kernel meets in a frame that the scenario leaves open may have been another's when that announced it.
    if expected.frame == Frame::Any && abort.record.from == Level::El1 {
        return;
    }
    let announced = incident
        .and_then(|incident| incident.injection)
        .map(|event| event.task);
    if let (Some(slot), Some(announced)) = (slot, announced)
        && slot != announced
    {
        let wanted = format!("slot {announced}, which announced it");
        findings.add("charged", &at, wanted, format_args!("slot {slot}"));
    }
}

fn far_text(far: Far) -> String {
    match far {
        Far::Invalid => "no valid address".into(),
        Far::Exactly(address) => hex(address),
        Far::Any => "a valid address".into(),
    }
}

fn hex(value: u64) -> String {
    format!("{value:#x}")
}
