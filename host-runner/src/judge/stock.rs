//! The guest's stock: what was retired, and that nothing else is missing at the end.

use super::{Case, Findings};

pub(super) fn check(case: &Case<'_>, findings: &mut Findings) {
    let (Some(start), Some(end)) = (case.evidence.census_start, case.evidence.census_end) else {
        findings.add(
            "census",
            "the journal",
            "the stock at start and end",
            "it is missing",
        );
        return;
    };
    findings.compare(
        "retired",
        "frames retired",
        case.scenario.expect.retired,
        end.retired.saturating_sub(start.retired),
    );
    findings.compare("frames", "frames that exist", start.frames, end.frames);
    findings.compare("heap", "size of the heap", start.heap, end.heap);
    // Before it counts for the last time, the guest takes back what its tasks have, also of those that still lived or
    // were kept for inspection: what is missing then is lost.
    let left = end.free.saturating_add(case.scenario.expect.retired);
    findings.compare("leak", "frames free, and those retired", start.free, left);
    findings.compare(
        "heap-leak",
        "bytes of heap in use",
        start.heap_used,
        end.heap_used,
    );
}
