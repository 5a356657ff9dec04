//! The guest's stock: what was retired, and that nothing else is missing at the end.

use super::{Case, Findings, mapping};

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
    let retired = case.retired();
    findings.compare(
        "retired",
        "frames retired",
        retired,
        end.retired.saturating_sub(start.retired),
    );
    findings.compare("frames", "frames that exist", start.frames, end.frames);
    findings.compare("heap", "size of the heap", start.heap, end.heap);
    // Before it counts for the last time, the guest takes back what its tasks have, also of those that still lived or
    // were kept for inspection: what is missing then is lost.
    let tables = end.tables.saturating_sub(start.tables);
    let left = end.free.saturating_add(retired).saturating_add(tables);
    let what = "frames free, those retired, and the tables that map what lies beside them";
    findings.compare("leak", what, start.free, left);
    if let Some((least, most)) = mapping::tables(case)
        && !(least..=most).contains(&tables)
    {
        let wanted = format!("{least} to {most}");
        findings.add("tables", "tables of the kernel's own mapping", wanted, tables);
    }
    findings.compare(
        "mapped",
        "retired frames that the kernel maps",
        0,
        end.still_mapped,
    );
    findings.compare(
        "heap-leak",
        "bytes of heap in use",
        start.heap_used,
        end.heap_used,
    );
}
