//! Whether everything was injected that the scenario injects: an abort that was never sent is no abort survived.

use std::collections::BTreeSet;

use seawall_replay::plan::{Injection, Step};

use super::{Case, Findings, silent};
use crate::scenario::boot;

pub(super) fn check(case: &Case<'_>, findings: &mut Findings) {
    let scenario = case.scenario;
    // A checked scenario has a plan.
    let Ok((plan, _)) = boot::plan(&scenario.guest, &scenario.injections) else {
        return;
    };
    let steps: Vec<_> = plan.steps().collect();
    let fixed = |step: &Step| !matches!(step.injection, Injection::Draw { .. });
    for (index, step) in steps.iter().enumerate().take_while(|(_, step)| fixed(step)) {
        if silent::check(case, &steps, index, findings) {
            continue;
        }
        let slot = step
            .task
            .map_or_else(|| "any slot".to_owned(), |slot| format!("slot {slot}"));
        let at = format!("step {index} ({slot}, checkpoint {})", step.number);
        let kinds = [Some(step.injection.noted_as()), step.injection.noted_besides_as()];
        for what in kinds.into_iter().flatten() {
            let fired = case
                .evidence
                .injections
                .iter()
                .filter(|event| event.what == what && event.step.map(usize::from) == Some(index));
            findings.compare("injected", &at, u64::from(step.times), fired.count() as u64);
        }
    }
    // Elsewhere it is the command line that gives a budget, and expects nothing.
    if scenario.budget.is_some() {
        findings.compare(
            "evacuations",
            "evacuations of the VM",
            scenario.expect.evacuations,
            case.evidence.evacuations,
        );
    }
    if let Some(advised) = scenario.expect.advised {
        let told: BTreeSet<u64> = case.evidence.advised.iter().map(|event| event.ipa).collect();
        findings.compare(
            "advised",
            "pages that the host told of",
            advised,
            told.len() as u64,
        );
    }
    let foreign = case
        .evidence
        .injections
        .iter()
        .filter(|event| event.step.is_none_or(|step| usize::from(step) >= steps.len()));
    findings.compare("injected", "without a step of the plan", 0, foreign.count());
}
