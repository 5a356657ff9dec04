//! Scenarios on a backend of this process, one guest after the other.

use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use super::keep::Keep;
use super::progress::Progress;
use super::{Output, again, skipped};
use crate::backend::{Backend, Limits, Missing, Request, Run, RunEnd, State};
use crate::budget::Passed;
use crate::events::{Evacuation, Event, ScenarioStarted};
use crate::judge::judge;
use crate::saved::ScenarioId;
use crate::scenario::{Platform, Scenario, boot};
use crate::timeline;

/// Why a scenario is not run on this platform, if it is not meant for it.
pub(super) fn not_for(scenario: &Scenario, platform: Platform) -> Option<Missing> {
    if scenario.platforms.contains(&platform) {
        return None;
    }
    let words = scenario.platforms.iter().map(|platform| match platform {
        Platform::Qemu => "on plain QEMU",
        Platform::Kvm => "under KVM",
    });
    let words: Vec<&str> = words.collect();
    let fix = if platform == Platform::Qemu {
        "seawall run --backend lab"
    } else {
        "seawall run --backend qemu"
    };
    Some(Missing {
        what: format!("this scenario runs only {}", words.join(" or ")),
        fix: fix.into(),
    })
}

pub(super) fn run(
    backend: &dyn Backend,
    image: &[u8],
    scenarios: &[Scenario],
    keep: &Keep,
    output: &mut Output,
) {
    let platform = Platform::of_backend(backend.name());
    for scenario in scenarios {
        if let Some(missing) = not_for(scenario, platform) {
            output.event(Event::Skipped(skipped(scenario, &missing)));
            continue;
        }
        say!("seawall: {} on {}", scenario.name, backend.name());
        let progress = Progress::of(&format!("{} on {}", scenario.name, backend.name()));
        let ended = one(backend, image, scenario, keep);
        drop(progress);
        match ended {
            // Judged as a whole, and by whoever goes on with it.
            Ok(Run {
                end: RunEnd::Saved(bytes),
                wall,
                ..
            }) => {
                // Whoever goes on with it says so itself.
                if keep.save.is_some() {
                    output.event(begun(scenario));
                }
                again::saved(scenario, &bytes, wall, keep, output);
            }
            Ok(Run {
                end: RunEnd::Evacuated { passed, file },
                wall,
                ..
            }) => {
                output.event(begun(scenario));
                let evacuation = evacuation(scenario, passed, keep);
                output.event(Event::Evacuation(evacuation.clone()));
                again::evacuated(scenario, &evacuation, &file, wall, keep, output);
            }
            Ok(run) => {
                output.event(begun(scenario));
                let judged = judge(scenario, &run, backend.kvm_version());
                timeline::events(scenario, &run, &judged)
                    .into_iter()
                    .for_each(|event| output.event(event));
            }
            Err(missing) => output.event(Event::Skipped(skipped(scenario, &missing))),
        }
    }
}

/// The timeline and verdict of one scenario that nothing saves.
pub(super) fn judged(
    backend: &dyn Backend,
    image: &[u8],
    scenario: &Scenario,
    keep: &Keep,
) -> Result<Vec<Event>, Missing> {
    let run = one(backend, image, scenario, keep)?;
    let judged = judge(scenario, &run, backend.kvm_version());
    let mut events = vec![begun(scenario)];
    events.extend(timeline::events(scenario, &run, &judged));
    Ok(events)
}

fn evacuation(scenario: &Scenario, passed: Passed, keep: &Keep) -> Evacuation {
    let budget = keep.budget.or(scenario.budget).unwrap_or_default();
    Evacuation {
        scenario: scenario.name.clone(),
        reason: passed.to_string(),
        pages: match passed {
            Passed::Pages { pages, .. } => Some(pages),
            Passed::Aborts { .. } => None,
        },
        budget: budget.to_string(),
    }
}

fn begun(scenario: &Scenario) -> Event {
    Event::ScenarioStarted(ScenarioStarted {
        scenario: scenario.name.clone(),
        title: scenario.title.clone(),
        teaches: scenario.teaches.clone(),
        linux: scenario.linux.clone(),
    })
}

/// One guest. A panic of a backend is that scenario's failure, and the next one runs.
fn one(backend: &dyn Backend, image: &[u8], scenario: &Scenario, keep: &Keep) -> Result<Run, Missing> {
    let stuck = |reason: String| Run {
        end: RunEnd::Stuck(reason),
        console: Vec::new(),
        journal: None,
        earlier: Vec::new(),
        events: Vec::new(),
        events_lost: 0,
        wall: Duration::ZERO,
        usage: None,
    };
    let plan = match boot::plan(&scenario.guest, &scenario.injections) {
        Ok((plan, _)) => plan,
        // Checked when the scenario was read.
        Err(error) => return Ok(stuck(error.to_string())),
    };
    let id = ScenarioId::of(&scenario.name, &scenario.source);
    let request = Request {
        image,
        memory_bytes: scenario.guest.memory_bytes,
        boot_arguments: &boot::arguments(&scenario.guest),
        plan,
        budget: keep.budget.or(scenario.budget),
        limits: Limits {
            wall: scenario.timeout,
            ..Limits::default()
        }
        .for_plan(&plan),
        state: State {
            scenario: Some(&id),
            saved: keep.restore.as_ref(),
        },
        vm: scenario.guest.vm,
    };
    panic::catch_unwind(AssertUnwindSafe(|| backend.run(&request))).unwrap_or_else(|_| {
        Ok(stuck(
            "the runner itself panicked; its message is on standard error".into(),
        ))
    })
}
