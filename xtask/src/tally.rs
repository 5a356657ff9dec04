//! Counting: what cargo's tests, the runner's KTAP and single steps say, added up.

use std::fmt;
use std::ops::AddAssign;

/// Passed, failed, skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) skipped: u32,
}

impl Tally {
    pub(crate) const PASSED: Self = Self {
        passed: 1,
        failed: 0,
        skipped: 0,
    };
    pub(crate) const FAILED: Self = Self {
        passed: 0,
        failed: 1,
        skipped: 0,
    };
    pub(crate) const SKIPPED: Self = Self {
        passed: 0,
        failed: 0,
        skipped: 1,
    };

    pub(crate) fn of(ok: bool) -> Self {
        if ok { Self::PASSED } else { Self::FAILED }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

/// The sum of the `test result:` lines of `cargo test`.
pub(crate) fn cargo_test(text: &str) -> Tally {
    let mut tally = Tally::default();
    for line in text.lines() {
        let Some((_, counts)) = line.split_once("test result: ") else {
            continue;
        };
        let count = |word: &str| -> u32 {
            counts
                .split(['.', ';'])
                .filter_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok())
                .next()
                .unwrap_or(0)
        };
        tally += Tally {
            passed: count("passed"),
            failed: count("failed"),
            skipped: count("ignored"),
        };
    }
    tally
}

/// What QEMU's CPUs and their KVM do not have, whoever runs them.
const LACKED_BY_ALL: [&str; 2] = ["FEAT_DoubleFault2", "KVM_CAP_ARM_EL2"];

/// The results of a KTAP stream that was made without privileges: what was skipped for want of CAP_SYS_ADMIN is as it should
/// be, and counts for nothing; so does what the lab's CPU lacks for anyone. What was skipped for another reason has failed.
/// Without any of the first kind there were privileges.
pub(crate) fn without_privileges(text: &str) -> Tally {
    let skips = text.lines().filter(|line| is_skip(line));
    let skips = skips.filter(|line| LACKED_BY_ALL.iter().all(|lacked| !line.contains(lacked)));
    let (rightly, wrongly): (Vec<_>, Vec<_>) = skips.partition(|line| line.contains("CAP_SYS_ADMIN"));
    let count = |lines: &[&str]| u32::try_from(lines.len()).unwrap_or(u32::MAX);
    let Tally { passed, failed, .. } = ktap(text);
    Tally {
        passed,
        failed: failed + count(&wrongly) + u32::from(rightly.is_empty() || passed == 0),
        skipped: 0,
    }
}

/// The top-level results of a KTAP stream; sub-tests are indented and belong to theirs. What the plan
/// announces and no line reports has failed.
pub(crate) fn ktap(text: &str) -> Tally {
    let mut tally = Tally::default();
    let mut planned = None;
    let mut reported: u32 = 0;
    for line in text.lines() {
        if let Some(plan) = line.strip_prefix("1..") {
            let digits = plan
                .split(|c: char| !c.is_ascii_digit())
                .next()
                .unwrap_or_default();
            planned = digits.parse::<u32>().ok();
            if planned == Some(0) {
                tally += Tally::SKIPPED;
            }
        } else if line.starts_with("not ok ") {
            reported += 1;
            tally += Tally::FAILED;
        } else if let Some(result) = line.strip_prefix("ok ") {
            reported += 1;
            tally += if is_skip(result) {
                Tally::SKIPPED
            } else {
                Tally::PASSED
            };
        } else if line.starts_with("Bail out!") {
            tally += Tally::FAILED;
        }
    }
    tally.failed += planned.unwrap_or(reported).saturating_sub(reported);
    tally
}

fn is_skip(result: &str) -> bool {
    result.split_once('#').is_some_and(|(_, directive)| {
        directive
            .trim_start()
            .get(..4)
            .is_some_and(|word| word.eq_ignore_ascii_case("skip"))
    })
}

#[cfg(test)]
mod tests {
    use super::{Tally, cargo_test, ktap, without_privileges};

    fn counts(passed: u32, failed: u32, skipped: u32) -> Tally {
        Tally {
            passed,
            failed,
            skipped,
        }
    }

    #[test]
    fn test_results_are_added_up() {
        let text = "running 2 tests\ntest a ... ok\n\
            test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.01s\n\n\
            test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(cargo_test(text), counts(15, 2, 1));
        assert_eq!(cargo_test("error: could not compile\n"), counts(0, 0, 0));
    }

    #[test]
    fn ktap_counts_top_level_lines_alone() {
        let text = "KTAP version 1\n1..4\n    KTAP version 1\n    1..2\n    ok 1 sub\n    not ok 2 sub\n\
            not ok 1 load\nok 2 store\nok 3 fetch # SKIP no kernel\nok 4 - walk # skip: other\n";
        assert_eq!(ktap(text), counts(1, 1, 2));
    }

    #[test]
    fn scenario_that_was_never_reported_has_failed() {
        assert_eq!(ktap("KTAP version 1\n1..3\nok 1 load\n"), counts(1, 2, 0));
        assert_eq!(
            ktap("KTAP version 1\n1..2\nok 1 load\nBail out! QEMU died\n"),
            counts(1, 2, 0)
        );
    }

    #[test]
    fn without_privileges_only_what_needs_them_may_be_skipped() {
        let text = "1..3\nok 1 load\nok 2 uffd-load\nok 3 hwpoison # SKIP CAP_SYS_ADMIN, which it asks for\n";
        assert_eq!(without_privileges(text), counts(2, 0, 0));
        assert_eq!(
            without_privileges(&text.replace("ok 2 uffd-load", "ok 2 uffd-load # SKIP no userfaultfd")),
            counts(1, 1, 0)
        );
        let lacked = "ok 2 uffd-load # SKIP KVM_CAP_ARM_EL2 (capability 240)";
        assert_eq!(
            without_privileges(&text.replace("ok 2 uffd-load", lacked)),
            counts(1, 0, 0)
        );
        assert_eq!(
            without_privileges("1..1\nok 1 load\n"),
            counts(1, 1, 0),
            "it had privileges"
        );
        assert_eq!(without_privileges("1..1\nnot ok 1 load\n"), counts(0, 2, 0));
        assert_eq!(without_privileges(""), counts(0, 1, 0));
    }

    #[test]
    fn empty_plan_is_a_skip_and_hash_in_a_name_is_none() {
        assert_eq!(
            ktap("KTAP version 1\n1..0 # SKIP nothing to run\n"),
            counts(0, 0, 1)
        );
        assert_eq!(ktap("1..1\nok 1 load #1\n"), counts(1, 0, 0));
    }
}
