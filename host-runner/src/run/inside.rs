//! Scenarios in the lab: this command runs again inside, as NDJSON, and its events come out as they are.

use std::time::Duration;

use seawall_replay::plan::Injection;

use super::{Output, skipped};
use crate::backend::Missing;
use crate::escape;
use crate::events::{Event, Finding, Outcome, RunStarted, Skipped, Verdict};
use crate::lab::{Lab, Line, Orders, SessionEnd};
use crate::scenario::Scenario;

/// Where the scenarios lie inside.
const FOLDER: &str = "/scenarios";
/// Where the guest's Image lies inside; the lab puts it there.
const IMAGE: &str = "/seawall.Image";
/// What the lab may need to boot and to shut down.
const AROUND: Duration = Duration::from_secs(120);
/// Lines of the lab's own that are kept for the case that it is lost.
const KEPT_LINES: usize = 20;

pub(super) fn run(lab: &Lab, started: RunStarted, scenarios: &[Scenario], output: &mut Output) {
    let (arguments, files) = inner_command(scenarios);
    let wall = scenarios
        .iter()
        .fold(AROUND, |sum, scenario| sum.saturating_add(scenario.timeout));
    eprintln!("seawall: the lab boots");
    follow(started, scenarios, output, |line| {
        let orders = Orders {
            arguments: &arguments,
            files: &files,
            wall,
            outside: scenarios.iter().any(asks_outside),
        };
        lab.session(orders, line)
    });
}

/// Whether a scenario needs what the lab alone can have somebody outside do.
fn asks_outside(scenario: &Scenario) -> bool {
    scenario
        .injections
        .iter()
        .any(|inject| inject.injection == Injection::HostAbort)
}

/// Takes what a session says, and gives every scenario a verdict, also those that it left out.
fn follow(
    started: RunStarted,
    scenarios: &[Scenario],
    output: &mut Output,
    session: impl FnOnce(&mut dyn FnMut(Line<'_>)) -> Result<SessionEnd, Missing>,
) {
    let mut listener = Listener {
        started: Some(started),
        scenarios,
        output,
        last: Vec::new(),
    };
    let end = session(&mut |line| listener.line(line));
    let Listener { started, last, .. } = listener;
    if let Some(started) = started {
        output.event(Event::RunStarted(started));
    }
    let reason = match end {
        Ok(SessionEnd::Exited(code)) => format!("the command inside ended with code {code} and left it out"),
        Ok(SessionEnd::Lost(seen)) => format!("the lab was lost: {}", escape::text(&seen)),
        Err(missing) => {
            for scenario in scenarios {
                output.event(Event::Skipped(skipped(scenario, &missing)));
            }
            return;
        }
    };
    let mut first = true;
    for scenario in scenarios {
        if !output.has_reported(&scenario.name) {
            if std::mem::take(&mut first) {
                last.iter().for_each(|line| eprintln!("lab: {line}"));
            }
            output.event(Event::Verdict(lost(scenario, &reason)));
        }
    }
}

/// The command inside, and the files it needs. What runs there is exactly what was read here: each scenario goes in as
/// its own text.
fn inner_command(scenarios: &[Scenario]) -> (Vec<String>, Vec<(String, Vec<u8>)>) {
    let arguments = [
        "run",
        "--backend",
        "kvm",
        "--format",
        "ndjson",
        "--image",
        IMAGE,
        "--scenarios",
        FOLDER,
    ];
    let files = scenarios.iter().map(|scenario| {
        (
            format!("{FOLDER}/{}.toml", scenario.name),
            scenario.source.clone().into_bytes(),
        )
    });
    (arguments.map(str::to_owned).to_vec(), files.collect())
}

fn lost(scenario: &Scenario, reason: &str) -> Verdict {
    Verdict {
        scenario: scenario.name.clone(),
        verdict: Outcome::Fail,
        wall_ms: 0,
        aborts: 0,
        findings: vec![Finding {
            check: "lab".into(),
            at: "the lab".into(),
            expected: "a verdict".into(),
            got: reason.to_owned(),
        }],
    }
}

/// Takes what the lab prints. Nothing in there is trusted more than the guest is: lines that are no events are shown
/// as they are, escaped.
struct Listener<'a> {
    started: Option<RunStarted>,
    scenarios: &'a [Scenario],
    output: &'a mut Output,
    last: Vec<String>,
}

impl Listener<'_> {
    fn line(&mut self, line: Line<'_>) {
        match line {
            Line::Out(text) => match serde_json::from_str::<Event>(text) {
                Ok(event) => self.event(event),
                Err(_) => self.keep(text),
            },
            Line::Err(text) => eprintln!("lab: {}", escape::text(text)),
            Line::Kernel(text) => self.keep(text),
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::RunStarted(inner) => {
                if let Some(started) = self.started.take() {
                    self.output.event(Event::RunStarted(RunStarted {
                        kvm: inner.kvm,
                        ..started
                    }));
                }
            }
            // The counts are this side's own.
            Event::RunEnded(_) => {}
            // One verdict for each scenario that was asked for, and for no other.
            Event::Verdict(Verdict { ref scenario, .. }) | Event::Skipped(Skipped { ref scenario, .. })
                if self.output.has_reported(scenario)
                    || self.scenarios.iter().all(|asked| asked.name != *scenario) => {}
            event => {
                if let Some(started) = self.started.take() {
                    self.output.event(Event::RunStarted(started));
                }
                self.output.event(event);
            }
        }
    }

    fn keep(&mut self, text: &str) {
        if self.last.len() == KEPT_LINES {
            self.last.remove(0);
        }
        self.last.push(escape::text(text));
    }
}

#[cfg(test)]
mod tests;
