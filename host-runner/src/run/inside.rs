//! Scenarios in the lab: this command runs again inside, as NDJSON, and its events come out as they are.

use std::time::Duration;

use seawall_replay::plan::Injection;

use super::direct::not_for;
use super::keep::Keep;
use super::progress::Progress;
use super::{Output, again, skipped};
use crate::backend::Missing;
use crate::escape;
use crate::events::{Evacuation, Event, Finding, Outcome, RunStarted, Skipped, Verdict};
use crate::lab::{Lab, Line, OUT, Orders, Parcel, SessionEnd};
use crate::saved::{self, SavedError};
use crate::scenario::{Platform, Scenario};

/// Where the scenarios lie inside.
const FOLDER: &str = "/scenarios";
/// Where the guest's Image lies inside; the lab puts it there.
const IMAGE: &str = "/seawall.Image";
/// Where a VM that is restored lies inside.
const IN: &str = "/in";
/// How a saved VM is called inside.
const VM: &str = "vm.seawall";
/// What the lab may need to boot and to shut down.
const AROUND: Duration = Duration::from_secs(120);
/// Lines of the lab's own that are kept for the case that it is lost.
const KEPT_LINES: usize = 20;
/// How the command inside ends when the sandbox ends it, as the lab's init gives it: 128 and SIGSYS, which is 31 on arm64
/// Linux, whatever this host is.
const KILLED_BY_SIGSYS: i32 = 128 + 31;

pub(super) fn run(lab: &Lab, started: RunStarted, scenarios: &[Scenario], keep: &Keep, output: &mut Output) {
    let mut started = Some(started);
    let mut left = scenarios;
    while !left.is_empty() {
        let (arguments, files) = match inner_command(left, keep) {
            Ok(command) => command,
            Err(error) => {
                say!("seawall: {error}");
                return;
            }
        };
        let wall = left
            .iter()
            .fold(AROUND, |sum, scenario| sum.saturating_add(again::limit(scenario)));
        say!("seawall: the lab boots");
        let orders = Orders {
            arguments: &arguments,
            files: &files,
            wall,
            outside: left.iter().any(asks_outside),
            nested: left.iter().all(|scenario| scenario.guest.vm.el2),
        };
        left = follow(&mut started, left, keep, output, |line| lab.session(orders, line));
    }
}

/// Whether a scenario needs what the lab alone can have somebody outside do.
fn asks_outside(scenario: &Scenario) -> bool {
    scenario
        .injections
        .iter()
        .any(|inject| inject.injection == Injection::HostAbort)
}

/// Takes what a session says, and gives every scenario a verdict, also those that it left out; but for those behind one
/// in which the sandbox ended the command inside: they are given back, to be run without it.
fn follow<'a>(
    started: &mut Option<RunStarted>,
    scenarios: &'a [Scenario],
    keep: &Keep,
    output: &mut Output,
    session: impl FnOnce(&mut dyn FnMut(Line<'_>)) -> Result<SessionEnd, Missing>,
) -> &'a [Scenario] {
    let mut listener = Listener {
        started: started.take(),
        scenarios,
        output,
        last: Vec::new(),
        parcel: keep.save.is_some().then(|| Parcel::of(VM)),
        saved_after: None,
        evacuation: None,
    };
    let progress = Progress::of("the lab boots");
    let end = session(&mut |line| {
        let quiet = progress.quiet();
        listener.line(line);
        drop(quiet);
        if let Some(scenario) = listener.running() {
            progress.now(&format!("{} in the lab", scenario.name));
        }
    });
    drop(progress);
    let Listener {
        started: unsaid,
        last,
        parcel,
        saved_after,
        evacuation,
        ..
    } = listener;
    if let Some(unsaid) = unsaid {
        output.event(Event::RunStarted(unsaid));
    }
    let reason = match end {
        Ok(SessionEnd::Exited(KILLED_BY_SIGSYS)) => {
            // They are run in order, so it was in the first that has no verdict.
            let unreported = |scenario: &Scenario| !output.has_reported(&scenario.name);
            let Some(at) = scenarios.iter().position(unreported) else {
                return &[];
            };
            let (done, behind) = scenarios.split_at(at + 1);
            done.last().into_iter().for_each(|scenario| {
                output.event(Event::Verdict(killed(scenario)));
            });
            return behind;
        }
        Ok(SessionEnd::Exited(code)) => format!("the command inside ended with code {code} and left it out"),
        Ok(SessionEnd::Lost(seen)) => format!("the lab was lost: {}", escape::text(&seen)),
        Err(missing) => {
            for scenario in scenarios {
                output.event(Event::Skipped(skipped(scenario, &missing)));
            }
            return &[];
        }
    };
    if let (Some(parcel), Some(before), [scenario]) = (parcel, saved_after, scenarios) {
        match parcel.finish() {
            Ok(bytes) => match evacuation {
                Some(evacuation) => again::evacuated(scenario, &evacuation, &bytes, before, keep, output),
                None => again::saved(scenario, &bytes, before, keep, output),
            },
            Err(problem) => output.event(Event::Verdict(lost(scenario, &problem))),
        }
    }
    let mut first = true;
    for scenario in scenarios {
        if output.has_reported(&scenario.name) {
            continue;
        }
        if let Some(missing) = not_for(scenario, Platform::Kvm) {
            // The command inside leaves those out that nobody asked it for by name.
            output.event(Event::Skipped(skipped(scenario, &missing)));
        } else {
            if std::mem::take(&mut first) {
                last.iter().for_each(|line| say!("lab: {line}"));
            }
            output.event(Event::Verdict(lost(scenario, &reason)));
        }
    }
    &[]
}

/// Arguments, and files with their paths.
type Inner = (Vec<String>, Vec<(String, Vec<u8>)>);

/// The command inside, and the files it needs. What runs there is exactly what was read here: each scenario goes in as
/// its own text.
fn inner_command(scenarios: &[Scenario], keep: &Keep) -> Result<Inner, SavedError> {
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
    let mut arguments = arguments.map(str::to_owned).to_vec();
    let texts = scenarios.iter().map(|scenario| {
        (
            format!("{FOLDER}/{}.toml", scenario.name),
            scenario.source.clone().into_bytes(),
        )
    });
    let mut files: Vec<_> = texts.collect();
    if keep.save.is_some() {
        arguments.extend(["--save".to_owned(), format!("{OUT}/{VM}")]);
    }
    if let Some(budget) = keep.budget {
        arguments.extend(["--budget".to_owned(), budget.to_string()]);
    }
    if let Some(saved) = &keep.restore {
        let path = format!("{IN}/{VM}");
        arguments.extend(["--restore".to_owned(), path.clone()]);
        files.push((path, saved::encode(saved)?));
    }
    Ok((arguments, files))
}

fn lost(scenario: &Scenario, reason: &str) -> Verdict {
    failed(scenario, "lab", "the lab", "a verdict", reason)
}

fn killed(scenario: &Scenario) -> Verdict {
    failed(
        scenario,
        "sandbox",
        "the vCPU's thread",
        "the system calls of its list alone",
        "another one: the runner was killed by SIGSYS",
    )
}

fn failed(scenario: &Scenario, check: &str, at: &str, expected: &str, got: &str) -> Verdict {
    Verdict {
        scenario: scenario.name.clone(),
        verdict: Outcome::Fail,
        wall_ms: 0,
        aborts: None,
        findings: vec![Finding {
            check: check.into(),
            at: at.into(),
            expected: expected.into(),
            got: got.to_owned(),
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
    /// The saved VM that comes out, if one is to.
    parcel: Option<Parcel>,
    /// How long it had run.
    saved_after: Option<Duration>,
    /// Why it was saved, if its budget was overdrawn.
    evacuation: Option<Evacuation>,
}

impl Listener<'_> {
    /// Which scenario runs by now: the command inside runs them in order.
    fn running(&self) -> Option<&Scenario> {
        let mut unreported = self
            .scenarios
            .iter()
            .filter(|scenario| !self.output.has_reported(&scenario.name));
        unreported.next().filter(|_| self.started.is_none())
    }

    fn line(&mut self, line: Line<'_>) {
        match line {
            Line::Out(text) => match serde_json::from_str::<Event>(text) {
                Ok(event) => self.event(event),
                Err(_) => self.keep(text),
            },
            Line::Err(text) => say!("lab: {}", escape::text(text)),
            Line::Kernel(text) => self.keep(text),
            Line::File(part) => {
                if let Some(parcel) = &mut self.parcel {
                    parcel.take(part);
                }
            }
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
            // Said again once the file is out here.
            Event::Saved(_) => {}
            Event::Verdict(Verdict {
                verdict: Outcome::Saved | Outcome::Evacuated,
                wall_ms,
                ..
            }) => self.saved_after = Some(Duration::from_millis(wall_ms)),
            Event::Evacuation(evacuation) => {
                self.evacuation = Some(evacuation.clone());
                self.output.event(Event::Evacuation(evacuation));
            }
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
