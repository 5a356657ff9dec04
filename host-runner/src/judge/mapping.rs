//! What the kernel found when it read retired frames by its own mapping of memory, and what taking them out of it cost.

use std::collections::BTreeSet;

use seawall_agent::Flags;

use super::{Case, Findings};

/// Bits of an address below the upper half's first one; the linear map begins there.
const OFFSET: u64 = (1 << 39) - 1;

pub(super) fn check(case: &Case<'_>, findings: &mut Findings) {
    let expected = &case.scenario.expect.mapping;
    let found = &case.evidence.mapping;
    findings.compare("mapping", "the journal", expected.len(), found.len());
    let retired = retired(case);
    for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
        let at = format!("retired frame {index}");
        if !retired.contains(&found.frame) {
            let got = format!("{:#x}", found.frame);
            findings.add("mapping", &at, "a frame that was retired", got);
        }
        let hex = |value| format!("{value:#010x}");
        findings.compare(
            "mapping",
            format_args!("{at}, ESR_EL1"),
            hex(expected.esr),
            hex(found.esr),
        );
        findings.compare(
            "mapping",
            format_args!("{at}, FAR_EL1"),
            hex(u64::MAX << 39 | found.frame << 12 & OFFSET),
            hex(found.far),
        );
        findings.compare(
            "mapping",
            format_args!("{at}, frames of its 2 MiB that can be read"),
            expected.sound,
            found.sound,
        );
    }
}

/// The frames that the journal says were retired.
fn retired(case: &Case<'_>) -> BTreeSet<u64> {
    let records = case.evidence.aborts.iter().map(|abort| &abort.record);
    records
        .filter(|record| record.flags.contains(Flags::NEW_FRAME) || record.flags.contains(Flags::LEDGER_FULL))
        .filter_map(|record| record.frame)
        .map(|frame| frame.0)
        .collect()
}

/// How many tables the kernel needs at least and at most so that its mapping is without the retired frames: one for each
/// 2 MiB that one of them lies in, and one more for each 1 GiB that was a block of its own. `None` where the journal does
/// not have all of them, which is told elsewhere.
pub(super) fn tables(case: &Case<'_>) -> Option<(u64, u64)> {
    let retired = retired(case);
    if retired.len() as u64 != case.retired() {
        return None;
    }
    let of = |shift: u32| {
        let blocks: BTreeSet<u64> = retired.iter().map(|frame| frame >> shift).collect();
        blocks.len() as u64
    };
    Some((of(9), of(9).saturating_add(of(18))))
}
