//! What the runner itself held of its host before the guest ran and afterwards: a guest must not make it grow but by the
//! books of what was injected.

use super::{Case, Findings};

/// Bytes that the runner may hold more at the end whatever was injected: its allocator's pages, and the journal's pages
/// and stacks that were not touched before.
const AT_MOST: u64 = 2 << 20;
/// And for each injection: the announced page's cause, and the slots around it; the transcript is there from the start. Ten
/// thousand take under 1 MiB in all, so that most of it is in the former already; a page for each would be sixty times what
/// is granted here.
const FOR_EACH: u64 = 64;

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
    let injections = u64::try_from(case.evidence.injections.len()).unwrap_or(u64::MAX);
    let most = AT_MOST.saturating_add(FOR_EACH.saturating_mul(injections));
    let grown = after.bytes.saturating_sub(before.bytes);
    if grown > most {
        findings.add(
            "memory",
            "the runner, at the end",
            format_args!("at most {most} bytes more than at the start ({})", before.bytes),
            format_args!("{grown} bytes more"),
        );
    }
}
