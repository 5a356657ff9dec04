//! The table of the kernel's own selftest: every case has its row, and what a row names is there.

use std::collections::BTreeSet;

use super::tree::read;
use super::{Keepers, quoted};

const DOCUMENT: &str = "docs/external-aborts.md";

/// The cases of Linux's `external_aborts.c`, and what it leaves out.
const CASES: [&str; 17] = [
    "test_mmio_abort",
    "test_mmio_nisv",
    "test_mmio_nisv_abort",
    "test_serror",
    "test_serror_masked",
    "test_serror_emulated",
    "test_mmio_ease",
    "test_s1ptw_abort",
    "test_serror_amo",
    "ext_dabt from EL0",
    "IABT",
    "SET/FnV",
    "invalid-argument matrix",
    "GET/SET round trip",
    "ESB/DISR",
    "double injection",
    "both events in one call",
];

#[test]
fn every_case_of_the_kernels_selftest_has_scenarios_that_exist() {
    let keepers = Keepers::of_the_tree();
    let text = read(DOCUMENT);
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| case |") && !line.starts_with("| ---"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let cases: Vec<&str> = rows.iter().filter_map(|row| row.first().copied()).collect();
    assert_eq!(cases, CASES);
    let mut named = BTreeSet::new();
    for row in &rows {
        let [case, shows, scenarios, place] = row.as_slice() else {
            panic!("{DOCUMENT}: four columns: {row:?}")
        };
        assert!(!shows.is_empty() && !place.is_empty(), "{DOCUMENT}: {case}");
        let names: Vec<&str> = quoted(scenarios).collect();
        assert!(!names.is_empty(), "{DOCUMENT}: nothing shows {case}");
        for name in names {
            assert!(keepers.exists(name), "{DOCUMENT}: {case}: there is no `{name}`");
            named.insert(name);
        }
    }
    // Scenarios that are made for this table are in it.
    for entry in std::fs::read_dir(super::root().join("host-runner/scenarios")).expect("the scenarios") {
        let name = entry
            .expect("a scenario")
            .file_name()
            .to_string_lossy()
            .into_owned();
        let for_the_table = [
            "masked-",
            "start-",
            "kick-",
            "beside-",
            "ease-",
            "el2-",
            "self-walk-",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix));
        assert!(
            !for_the_table || named.contains(name.as_str()),
            "{DOCUMENT}: {name} is in no row"
        );
    }
}
