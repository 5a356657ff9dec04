//! The guest's stock: what was retired, and that nothing else is missing at the end.

use seawall_replay::report::Census;

use super::{Case, Findings, mapping};

pub(super) fn check(case: &Case<'_>, findings: &mut Findings) {
    let evidence = case.evidence;
    let lives = evidence.earlier_stock.iter().copied();
    let lives = lives.chain([(evidence.census_start, evidence.census_end)]);
    let mut retired = 0_u64;
    let mut before: Option<Census> = None;
    for (start, end) in lives {
        let (Some(start), Some(end)) = (start, end) else {
            findings.add(
                "census",
                "the journal",
                "the stock at start and end",
                "it is missing",
            );
            return;
        };
        // What was out before is out from the start.
        if let Some(before) = before {
            findings.compare(
                "retired",
                "frames that are out when the guest begins again",
                before.retired,
                start.retired,
            );
        }
        retired = retired.saturating_add(end.retired.saturating_sub(start.retired));
        // Of several lives only the sum is known.
        let lost = match evidence.earlier_stock.as_slice() {
            [] => case.retired(),
            _ => end.retired.saturating_sub(start.retired),
        };
        one(&start, &end, lost, findings);
        before = Some(end);
    }
    findings.compare("retired", "frames retired", case.retired(), retired);
    if let (Some(start), Some(end), Some((least, most)), []) = (
        evidence.census_start,
        evidence.census_end,
        mapping::tables(case),
        evidence.earlier_stock.as_slice(),
    ) {
        let tables = end.tables.saturating_sub(start.tables);
        if !(least..=most).contains(&tables) {
            let wanted = format!("{least} to {most}");
            findings.add("tables", "tables of the kernel's own mapping", wanted, tables);
        }
    }
}

/// One life: nothing is missing at its end but what was retired.
fn one(start: &Census, end: &Census, lost: u64, findings: &mut Findings) {
    findings.compare("frames", "frames that exist", start.frames, end.frames);
    findings.compare("heap", "size of the heap", start.heap, end.heap);
    // Before it counts for the last time, the guest takes back what its tasks have, also of those that still lived or
    // were kept for inspection: what is missing then is lost.
    let left = end
        .free
        .saturating_add(lost)
        .saturating_add(end.tables.saturating_sub(start.tables));
    let what = "frames free, those retired, and the tables that map what lies beside them";
    findings.compare("leak", what, start.free, left);
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
