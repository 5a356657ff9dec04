//! The table of einj_mem_uc: every case has its row, with what shows it or why nothing can.

use super::tree::read;
use super::{Keepers, quoted};

const DOCUMENT: &str = "docs/einj-mem-uc.md";

/// The cases of ras-tools' `einj_mem_uc` on arm64.
const CASES: [&str; 36] = [
    "single",
    "double",
    "split",
    "THP",
    "hugetlb",
    "store",
    "strbyte",
    "strword",
    "strdword",
    "strqword",
    "prefetch",
    "memcpy",
    "instr",
    "patrol",
    "thread",
    "share",
    "overflow",
    "copyin",
    "copyout",
    "copy-on-write",
    "futex",
    "mlock",
    "cmn_non_fatal",
    "cmn_fatal",
    "gic_ce",
    "gic_non_fatal",
    "smmu_tcu_ce",
    "smmu_tcu_non_fatal",
    "smmu_tcu_fatal",
    "smmu_tbu_ce",
    "smmu_tbu_non_fatal",
    "smmu_tbu_fatal",
    "llc",
    "core_ce",
    "core_non_fatal",
    "core_fatal",
];

#[test]
fn every_case_of_einj_mem_uc_has_scenarios_or_a_reason() {
    let keepers = Keepers::of_the_tree();
    let text = read(DOCUMENT);
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| case |") && !line.starts_with("| ---"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let cases: Vec<&str> = rows.iter().filter_map(|row| row.first().copied()).collect();
    assert_eq!(cases, CASES);
    for row in &rows {
        let [case, does, scenarios, expected] = row.as_slice() else {
            panic!("{DOCUMENT}: four columns: {row:?}")
        };
        assert!(
            !does.is_empty() && expected.len() >= 8,
            "{DOCUMENT}: {case}: what it does, and what is expected or why nothing is"
        );
        assert!(
            *scenarios == "–" || quoted(scenarios).next().is_some(),
            "{DOCUMENT}: {case}: scenarios, or a dash"
        );
        for name in quoted(scenarios).chain(quoted(expected)) {
            assert!(
                name.ends_with(".toml"),
                "{DOCUMENT}: {case}: `{name}` is no scenario"
            );
            assert!(keepers.exists(name), "{DOCUMENT}: {case}: there is no `{name}`");
        }
    }
}
