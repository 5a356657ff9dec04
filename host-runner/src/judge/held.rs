//! What the runner itself held of its host before the guest ran and afterwards: a guest must not make it grow, whatever
//! was injected.

use super::{Case, Findings};

/// Bytes that the runner may hold more at the end: pages of its allocator's, of the journal's and of stacks that were not
/// touched before. Books, transcript and console are there from the start, so this is the same for one injection and for
/// ten thousand. No scenario takes more than 16 KiB in the lab; other C libraries give each thread an arena and keep the
/// stacks of those that have ended.
const AT_MOST: u64 = 128 << 10;

pub(super) fn check(case: &Case<'_>, findings: &mut Findings) {
    let Some((before, after)) = case.run.usage else {
        return;
    };
    // Fewer are left where a line to the lab's outside was closed before the end.
    if after.descriptors > before.descriptors {
        findings.compare(
            "descriptors",
            "the runner, at the end",
            before.descriptors,
            after.descriptors,
        );
    }
    let grown = after.bytes.saturating_sub(before.bytes);
    // What a guest that began again left behind is kept for the judge.
    let kept: usize = case.run.earlier.iter().map(Vec::len).sum();
    let at_most = AT_MOST.saturating_add(kept as u64);
    if grown > at_most {
        findings.add(
            "memory",
            "the runner, at the end",
            format_args!(
                "at most {at_most} bytes more than at the start ({})",
                before.bytes
            ),
            format_args!("{grown} bytes more"),
        );
    }
}
