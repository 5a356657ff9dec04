//! JUnit XML, as one document at the end.

use std::io::{self, Write};
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Renderer, table};
use crate::events::{Event, Finding, Outcome};

#[derive(Default)]
pub(super) struct Junit {
    backend: String,
    cases: Vec<TestCase>,
    console: Vec<String>,
}

impl Renderer for Junit {
    fn event(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()> {
        match event {
            Event::RunStarted(run) => self.backend.clone_from(&run.backend),
            Event::ScenarioStarted(_) => self.console.clear(),
            Event::Console(console) => self.console.push(console.line.clone()),
            Event::Verdict(verdict) => {
                let mut status = match verdict.verdict {
                    Outcome::Pass => TestCaseStatus::success(),
                    Outcome::Saved | Outcome::Evacuated => TestCaseStatus::skipped(),
                    Outcome::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
                    Outcome::Timeout => TestCaseStatus::non_success(NonSuccessKind::Error),
                };
                if matches!(verdict.verdict, Outcome::Saved | Outcome::Evacuated) {
                    let word = table::word(verdict.verdict);
                    status.set_message(format!("{word}; its verdict comes with seawall run --restore"));
                } else if verdict.verdict != Outcome::Pass {
                    let first = verdict.findings.first().map(sentence).unwrap_or_default();
                    let all: Vec<String> = verdict.findings.iter().map(sentence).collect();
                    status.set_message(first).set_description(all.join("\n"));
                    status.set_type(if verdict.verdict == Outcome::Timeout {
                        "timeout"
                    } else {
                        "verdict"
                    });
                }
                self.case(&verdict.scenario, status, verdict.wall_ms);
            }
            Event::Skipped(skipped) => {
                let mut status = TestCaseStatus::skipped();
                status.set_message(format!("{} ({})", skipped.reason, skipped.fix));
                self.case(&skipped.scenario, status, 0);
            }
            Event::RunEnded(totals) => {
                let mut suite = TestSuite::new(format!("seawall.{}", self.backend));
                suite.set_time(Duration::from_millis(totals.wall_ms));
                suite.add_test_cases(self.cases.drain(..));
                let mut report = Report::new("seawall");
                report.set_time(Duration::from_millis(totals.wall_ms));
                report.add_test_suite(suite);
                let xml = report.to_string().map_err(io::Error::other)?;
                out.write_all(xml.as_bytes())?;
            }
            Event::Saved(_)
            | Event::Compared(_)
            | Event::Evacuation(_)
            | Event::Trigger(_)
            | Event::Injection(_)
            | Event::Advice(_)
            | Event::Delivery(_)
            | Event::KeptOut(_)
            | Event::Random(_)
            | Event::Held(_)
            | Event::Abort(_)
            | Event::Told(_)
            | Event::Tasks(_)
            | Event::Measure(_)
            | Event::Curve(_) => {}
        }
        Ok(())
    }
}

impl Junit {
    fn case(&mut self, name: &str, status: TestCaseStatus, wall_ms: u64) {
        let mut case = TestCase::new(name, status);
        case.set_classname(format!("seawall.{}", self.backend));
        case.set_time(Duration::from_millis(wall_ms));
        if !self.console.is_empty() {
            case.set_system_out(std::mem::take(&mut self.console).join("\n"));
        }
        self.cases.push(case);
    }
}

fn sentence(finding: &Finding) -> String {
    format!(
        "{}: {}: expected {}, got {}",
        finding.check, finding.at, finding.expected, finding.got
    )
}
