//! What KVM is to do by itself: the runner may have given EL0 no abort for it.

use super::{Case, Findings};
use crate::scenario::boot;

pub(super) fn check(case: &Case<'_>, findings: &mut Findings) {
    // The shim is KVM and runner in one.
    if case.kvm.is_none() {
        return;
    }
    let scenario = case.scenario;
    let Ok((_, origins)) = boot::plan(&scenario.guest, &scenario.injections) else {
        return;
    };
    for event in &case.evidence.delivered {
        let inject = event
            .step
            .and_then(|step| scenario.injections.get(*origins.get(usize::from(step))?));
        // Classes 0x20 and 0x24 come from EL0. A kernel that is told no level (before Linux 6.18) walks the tables itself,
        // at EL1, and is given an abort for that.
        let from_el0 = matches!(event.syndrome >> 26, 0x20 | 0x24);
        if from_el0 && inject.is_some_and(|inject| inject.by_itself) {
            findings.add(
                "by-itself",
                format_args!("IPA {:#x}", event.ipa),
                "an abort by KVM alone",
                "one by the runner",
            );
        }
    }
}
