//! Scenarios on a backend of this process, one guest after the other.

use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use super::{Output, skipped};
use crate::backend::{Backend, Limits, Missing, Request, Run, RunEnd};
use crate::events::{Event, ScenarioStarted};
use crate::judge::judge;
use crate::scenario::{Platform, Scenario, boot};
use crate::timeline;

pub(super) fn run(backend: &dyn Backend, image: &[u8], scenarios: &[Scenario], output: &mut Output) {
    let platform = Platform::of_backend(backend.name());
    for scenario in scenarios {
        if !scenario.platforms.contains(&platform) {
            let words: Vec<&str> = scenario
                .platforms
                .iter()
                .map(|platform| platform.word())
                .collect();
            let fix = if platform == Platform::Qemu {
                "seawall run --backend lab"
            } else {
                "seawall run --backend qemu"
            };
            let what = format!("this scenario is for {} alone", words.join(", "));
            output.event(Event::Skipped(skipped(
                scenario,
                &Missing {
                    what,
                    fix: fix.into(),
                },
            )));
            continue;
        }
        eprintln!("seawall: {} on {}", scenario.name, backend.name());
        match one(backend, image, scenario) {
            Ok(run) => {
                output.event(Event::ScenarioStarted(ScenarioStarted {
                    scenario: scenario.name.clone(),
                    title: scenario.title.clone(),
                    linux: scenario.linux.clone(),
                }));
                let judged = judge(scenario, &run, backend.kvm_version());
                timeline::events(scenario, &run, &judged)
                    .into_iter()
                    .for_each(|event| output.event(event));
            }
            Err(missing) => output.event(Event::Skipped(skipped(scenario, &missing))),
        }
    }
}

/// One guest. A panic of a backend is that scenario's failure, and the next one runs.
fn one(backend: &dyn Backend, image: &[u8], scenario: &Scenario) -> Result<Run, Missing> {
    let stuck = |reason: String| Run {
        end: RunEnd::Stuck(reason),
        console: Vec::new(),
        journal: None,
        events: Vec::new(),
        events_lost: 0,
        wall: Duration::ZERO,
    };
    let plan = match boot::plan(&scenario.guest, &scenario.injections) {
        Ok((plan, _)) => plan,
        // Checked when the scenario was read.
        Err(error) => return Ok(stuck(error.to_string())),
    };
    let request = Request {
        image,
        memory_bytes: scenario.guest.memory_bytes,
        boot_arguments: &boot::arguments(&scenario.guest),
        plan,
        budget: scenario.budget,
        limits: Limits {
            wall: scenario.timeout,
            ..Limits::default()
        },
    };
    panic::catch_unwind(AssertUnwindSafe(|| backend.run(&request))).unwrap_or_else(|_| {
        Ok(stuck(
            "the runner itself panicked; its message is on standard error".into(),
        ))
    })
}
