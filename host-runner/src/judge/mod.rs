//! The judge: holds what a run left behind against what its scenario expects, and gives the verdict.
//!
//! Nothing here believes the guest: its journal is read from a copy with every bound checked, its word about how it
//! ended is held against the journal and the replayer's own transcript, and what a scenario does not expect is a
//! failure as much as what is missing.

mod aborts;
mod end;
pub mod evidence;
mod held;
pub mod incidents;
mod injections;
mod itself;
mod mapping;
mod pending;
pub mod random;
mod silent;
mod stock;
mod tasks;
pub(crate) mod told;

use std::fmt;

use crate::backend::{Run, RunEnd};
use crate::scenario::{GuestEnd, Scenario};

pub(crate) use tasks::state_text;

use evidence::Evidence;
use incidents::Incident;

/// How a scenario came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Everything is as expected.
    Pass,
    /// Something is not.
    Fail,
    /// The guest was still running at its limit.
    Timeout,
}

/// One thing that is not as expected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Which check: a stable word.
    pub check: &'static str,
    /// Where, for people: which abort, which task.
    pub at: String,
    /// What the scenario expects.
    pub expected: String,
    /// What was found.
    pub got: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}: expected {}, got {}",
            self.check, self.at, self.expected, self.got
        )
    }
}

/// The verdict on one run.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// How it came out.
    pub outcome: Outcome,
    /// What is not as expected, most telling first.
    pub findings: Vec<Finding>,
}

/// A run as the judge saw it: the verdict, and what the timeline is made of.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// What was found in journal and transcript.
    pub evidence: Evidence,
    /// Injections and aborts, brought together.
    pub incidents: Vec<Incident>,
}

/// Judges one run. `kvm` is the version of Linux whose KVM replayed, if one did.
#[must_use]
pub fn judge(scenario: &Scenario, run: &Run, kvm: Option<(u32, u32)>) -> Judged {
    let evidence = Evidence::gather(run);
    let incidents = incidents::pair(&evidence);
    let mut findings = Findings::default();
    let case = Case {
        scenario,
        run,
        kvm,
        evidence: &evidence,
        incidents: &incidents,
    };
    // Of a run that went to its end, what was never injected says most; of another, how it ended.
    let went_to_its_end = run.end == RunEnd::PoweredOff;
    if went_to_its_end {
        injections::check(&case, &mut findings);
    }
    end::check(&case, &mut findings);
    if !went_to_its_end {
        injections::check(&case, &mut findings);
    }
    held::check(&case, &mut findings);
    itself::check(&case, &mut findings);
    // Without a journal all else would be missing too, and say nothing more.
    let has_journal = evidence.journal_error.is_none();
    if has_journal {
        if scenario.random.is_some() {
            random::check(&case, &mut findings);
        } else {
            aborts::check(&case, &mut findings);
        }
        pending::check(&case, &mut findings);
        mapping::check(&case, &mut findings);
        told::check(&case, &mut findings);
    }
    if has_journal && scenario.expect.end == GuestEnd::Done {
        tasks::check(&case, &mut findings);
        stock::check(&case, &mut findings);
    }
    let findings = findings.finish();
    let outcome = match (&run.end, findings.is_empty()) {
        (RunEnd::TimedOut, _) => Outcome::Timeout,
        (_, true) => Outcome::Pass,
        (_, false) => Outcome::Fail,
    };
    Judged {
        verdict: Verdict { outcome, findings },
        evidence,
        incidents,
    }
}

/// What every check looks at.
struct Case<'a> {
    scenario: &'a Scenario,
    run: &'a Run,
    kvm: Option<(u32, u32)>,
    evidence: &'a Evidence,
    incidents: &'a [Incident],
}

impl Case<'_> {
    /// How many frames must be lost in the end.
    fn retired(&self) -> u64 {
        random::retired(self).unwrap_or(self.scenario.expect.retired)
    }
}

/// More of one kind than this are counted, not told.
const MOST_OF_A_KIND: usize = 6;

/// Collects findings; a thousand equal ones become a few and a number.
#[derive(Default)]
struct Findings {
    kept: Vec<Finding>,
    more: Vec<(&'static str, usize)>,
}

impl Findings {
    fn add(
        &mut self,
        check: &'static str,
        at: impl fmt::Display,
        expected: impl fmt::Display,
        got: impl fmt::Display,
    ) {
        if self.kept.iter().filter(|finding| finding.check == check).count() < MOST_OF_A_KIND {
            let (at, expected, got) = (at.to_string(), expected.to_string(), got.to_string());
            self.kept.push(Finding {
                check,
                at,
                expected,
                got,
            });
        } else if let Some((_, count)) = self.more.iter_mut().find(|(known, _)| *known == check) {
            *count += 1;
        } else {
            self.more.push((check, 1));
        }
    }

    /// Adds a finding when the two differ.
    fn compare<T: PartialEq + fmt::Display>(
        &mut self,
        check: &'static str,
        at: impl fmt::Display,
        expected: T,
        got: T,
    ) {
        if expected != got {
            self.add(check, at, expected, got);
        }
    }

    fn finish(mut self) -> Vec<Finding> {
        for (check, count) in self.more {
            self.kept.push(Finding {
                check,
                at: "elsewhere".into(),
                expected: "none".into(),
                got: format!("{count} more of this kind"),
            });
        }
        self.kept
    }
}

#[cfg(test)]
mod events_tests;
#[cfg(test)]
pub(crate) mod test_run;
#[cfg(test)]
mod tests;
