//! KTAP version 1. <https://docs.kernel.org/dev-tools/ktap.html>

use std::io::{self, Write};

use super::Renderer;
use crate::events::{Event, Outcome};

#[derive(Default)]
pub(super) struct Ktap {
    number: usize,
}

impl Renderer for Ktap {
    fn event(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()> {
        match event {
            Event::RunStarted(run) => {
                writeln!(
                    out,
                    "KTAP version 1\n# backend: {} ({})\n1..{}",
                    run.backend, run.why, run.scenarios
                )
            }
            Event::Verdict(verdict) => {
                self.number += 1;
                for finding in &verdict.findings {
                    let (check, at) = (&finding.check, &finding.at);
                    writeln!(
                        out,
                        "# {check}: {at}: expected {}, got {}",
                        finding.expected, finding.got
                    )?;
                }
                let (word, directive) = match verdict.verdict {
                    Outcome::Pass => ("ok", ""),
                    Outcome::Fail => ("not ok", ""),
                    Outcome::Timeout => ("not ok", " # TIMEOUT"),
                    // Nothing was judged.
                    Outcome::Saved => ("ok", " # SKIP saved"),
                    Outcome::Evacuated => ("ok", " # SKIP evacuated"),
                };
                let name = name(&verdict.scenario);
                writeln!(out, "{word} {} {name}{directive}", self.number)
            }
            Event::Skipped(skipped) => {
                self.number += 1;
                // A number sign would end the reason.
                let reason = format!("{} ({})", skipped.reason, skipped.fix).replace('#', "no.");
                let name = name(&skipped.scenario);
                writeln!(out, "ok {} {name} # SKIP {reason}", self.number)
            }
            Event::RunEnded(totals) => writeln!(
                out,
                "# Totals: pass:{} fail:{} xfail:0 xpass:0 skip:{} error:0",
                totals.passed,
                totals.failed + totals.timed_out,
                totals.skipped + totals.saved + totals.evacuated
            ),
            Event::ScenarioStarted(_)
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
            | Event::Console(_)
            | Event::Compared(_)
            | Event::Saved(_)
            | Event::Evacuation(_)
            | Event::Measure(_)
            | Event::Curve(_) => Ok(()),
        }
    }
}

/// A test's name: behind a number sign a directive would begin.
fn name(scenario: &str) -> String {
    scenario.replace('#', "no.")
}
