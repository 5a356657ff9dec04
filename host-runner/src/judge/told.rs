//! Who was told that a frame which it shared is lost, and what came of touching the page later.

use std::iter::repeat_n;

use seawall_agent::Decision;

use super::evidence::Told;
use super::{Case, Findings};
use crate::scenario::ExpectedTold;

/// What a touch is called that did not happen.
const ONLY_TOLD: &str = "told, and not touched";

pub(super) fn check(case: &Case<'_>, findings: &mut Findings) {
    let expected: Vec<&ExpectedTold> = case
        .scenario
        .expect
        .told
        .iter()
        .flat_map(|told| repeat_n(told, told.times as usize))
        .collect();
    let found = &case.evidence.told;
    findings.compare("told", "the journal", expected.len(), found.len());
    for (index, (expected, told)) in expected.iter().zip(found).enumerate() {
        let at = format!("telling {index}");
        findings.compare(
            "told",
            format_args!("{at}, task"),
            expected.task.as_str(),
            program(case, told).unwrap_or("nobody"),
        );
        findings.compare(
            "told",
            format_args!("{at}, address"),
            format!("{:#x}", expected.address),
            format!("{:#x}", told.address),
        );
        findings.compare(
            "told",
            format_args!("{at}, what came of the touch"),
            expected.touch.map_or(ONLY_TOLD, |decision| decision.word()),
            word(told).as_deref().unwrap_or(ONLY_TOLD),
        );
    }
    // Whatever else is said: a frame that nobody lost is nothing to be told of.
    for told in found {
        let lost = |frame| {
            case.evidence
                .aborts
                .iter()
                .any(|abort| abort.record.frame.map(|f| f.0) == Some(frame))
        };
        if !lost(told.frame) {
            let frame = format!("frame {:#x}", told.frame);
            findings.add("told", frame, "a frame that an abort names", "none does");
        }
    }
}

fn program<'a>(case: &'a Case<'_>, told: &Told) -> Option<&'a str> {
    let started = case.evidence.program_at(told.slot, told.sequence);
    started.or_else(|| case.scenario.guest.program(told.slot))
}

/// The word for what came of a touch, as scenarios have it.
pub(crate) fn word(told: &Told) -> Option<String> {
    told.touched.map(|code| {
        Decision::from_code(code).map_or_else(
            || format!("decision {code}, which means nothing"),
            |decision| decision.name().replace(' ', "-"),
        )
    })
}
