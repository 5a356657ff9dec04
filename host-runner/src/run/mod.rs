//! `seawall run`: scenarios on a backend, and the verdicts.

mod again;
mod choose;
mod compare;
mod direct;
mod inside;
mod keep;
mod output;
pub mod place;
mod progress;

use std::path::PathBuf;

use clap::Args;

pub use output::Output;

use crate::backend::Missing;
use crate::budget::Budget;
use crate::command::{ColourChoice, Exit, complain};
use crate::events::{Event, RunStarted, SCHEMA, Skipped};
use crate::lab::Lab;
use crate::render::{Format, are, counted};
use crate::scenario::{Platform, Scenario, library};

use choose::{Backend, Choice, Unchosen};
use keep::Keep;

/// What `seawall run` can be told.
#[derive(Args, Debug)]
pub struct RunArguments {
    /// Only scenarios whose name contains this; `=NAME` for exactly that one
    pub filters: Vec<String>,
    /// Where to run
    #[arg(long, value_enum, default_value = "auto")]
    pub backend: BackendName,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
    /// Only scenarios with this tag
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Run these instead of the built-in ones: a file, or a folder of them
    #[arg(long = "scenarios", value_name = "PATH")]
    pub scenarios: Vec<PathBuf>,
    /// Save the VM to this file where its scenario says so, and end there
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Let --save replace a file that is not a saved VM
    #[arg(long, requires = "save")]
    pub overwrite: bool,
    /// Go on with the VM in this file; it is judged by the scenario that it was saved under
    #[arg(long, value_name = "FILE", conflicts_with = "filters")]
    pub restore: Option<PathBuf>,
    /// Draw errors from this seed, in place of the scenario's own; a VM that was saved under one is restored under it
    #[arg(long, value_name = "N", conflicts_with = "compare", value_parser = seed)]
    pub seed: Option<u64>,
    /// Save the VM and end with code 5 when it meets more than this on this host: pages=N,aborts=N/60s
    #[arg(long, value_name = "BUDGET", requires = "save")]
    pub budget: Option<Budget>,
    /// Run this by the shell once a VM was saved for its budget; SEAWALL_FILE, SEAWALL_SCENARIO and SEAWALL_REASON say what
    #[arg(long, value_name = "COMMAND", requires = "save")]
    pub on_evacuate: Option<String>,
    /// Run each scenario in Linux too, on the same QEMU under the same plan, and say how the two come out
    #[arg(long, value_enum, value_name = "OTHER", conflicts_with_all = ["save", "restore", "unprivileged"])]
    pub compare: Option<compare::Other>,
    /// In the lab, run as a user who may open /dev/kvm and has no privilege
    #[arg(long)]
    pub unprivileged: bool,
    /// Where the guest, the shim and the lab's parts lie
    #[command(flatten)]
    pub place: place::PlaceArguments,
    /// When to use colours
    #[arg(long, value_enum, default_value = "auto")]
    pub color: ColourChoice,
}

/// A backend's name on the command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum BackendName {
    /// The first that works
    Auto,
    /// /dev/kvm of this host
    Kvm,
    /// Real KVM inside QEMU's emulation of an arm64 host
    Lab,
    /// The shim on plain QEMU
    Qemu,
}

/// Runs scenarios; gives the exit code.
#[must_use]
pub fn run(arguments: &RunArguments) -> Exit {
    let restore = match keep::restored(arguments.restore.as_deref()) {
        Ok(restore) => restore,
        Err(error) => return complain::about_usage(&error),
    };
    let of_file: Vec<String> = restore
        .iter()
        .map(|saved| format!("={}", saved.scenario.name))
        .collect();
    let filters = if of_file.is_empty() {
        &arguments.filters
    } else {
        &of_file
    };
    let selected =
        library::load(&arguments.scenarios).and_then(|all| library::select(all, filters, &arguments.tags));
    let scenarios = match selected {
        Ok(scenarios) => scenarios,
        Err(error) => return complain::about_library(&error, arguments.color),
    };
    let scenarios = match reseeded(scenarios, arguments.seed) {
        Ok(scenarios) => scenarios,
        Err(error) => return complain::about_usage(&error),
    };
    let fits = match (&restore, scenarios.first()) {
        (Some(saved), Some(scenario)) => keep::is_of(saved, scenario),
        _ => Ok(()),
    };
    let can_save = |to: &PathBuf| keep::can_save(to, arguments.overwrite, arguments.budget, &scenarios);
    if let Err(reason) = fits.and_then(|()| arguments.save.as_ref().map_or(Ok(()), can_save)) {
        return complain::about_usage(&reason);
    }
    if let Err(reason) = arguments.place.check() {
        return complain::about_place(&reason);
    }
    let keep = Keep {
        save: arguments.save.clone(),
        overwrite: arguments.overwrite,
        restore,
        image: arguments.place.image(),
        budget: arguments.budget,
        on_evacuate: arguments.on_evacuate.clone(),
    };
    let mut output = Output::new(arguments.format, arguments.color);
    if arguments.compare == Some(compare::Other::Linux) {
        let failed = compare::run(arguments, scenarios, &mut output);
        return failed.unwrap_or_else(|| output.finish());
    }
    let needs_kvm = needs_kvm(arguments);
    if arguments.backend == BackendName::Qemu
        && let Some(wanted) = needs_kvm
    {
        return complain::about_usage(&format!(
            "{wanted} is for KVM: use --backend kvm or --backend lab"
        ));
    }
    let choice = match choose::choose(arguments.backend, needs_kvm.is_some(), &arguments.place) {
        Ok(choice) => choice,
        Err(Unchosen::Environment(missing)) => {
            for (backend, missing) in &missing {
                complain::about_missing(backend, missing);
            }
            return Exit::Environment;
        }
        Err(Unchosen::Skip(missing)) => {
            complain::about_missing("lab", &missing);
            skip_all(&scenarios, "lab", &missing, &mut output);
            return output.finish();
        }
    };
    let choice = match unprivileged(choice, arguments.unprivileged) {
        Ok(choice) => choice,
        Err(backend) => {
            say!("error: --unprivileged is for the lab: under {backend} it is you who runs the guest");
            return Exit::Usage;
        }
    };
    for unavailable in &choice.not {
        say!("seawall: not on {}: {}", unavailable.backend, unavailable.reason);
    }
    say!("seawall: backend: {} ({})", choice.name, choice.why);
    let scenarios = leave_out(scenarios, choice.name, !filters.is_empty());
    let started = started(&choice, &scenarios);
    match &choice.backend {
        Backend::Direct(backend, image) => {
            output.event(Event::RunStarted(started));
            direct::run(backend.as_ref(), image, &scenarios, &keep, &mut output);
        }
        Backend::Lab(lab) => inside::run(lab, started, &scenarios, &keep, &mut output),
    }
    output.finish()
}

/// The option that the backend qemu cannot do: it would run another guest, and say that this one is well.
fn needs_kvm(arguments: &RunArguments) -> Option<&'static str> {
    let options = [
        ("--save", arguments.save.is_some()),
        ("--restore", arguments.restore.is_some()),
    ];
    options
        .into_iter()
        .find_map(|(option, is_asked)| is_asked.then_some(option))
}

/// A seed, in decimal or with 0x; a scenario's file has room for 63 bits.
fn seed(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x");
    let number = digits.map_or_else(|| text.parse(), |digits| u64::from_str_radix(digits, 16));
    number
        .ok()
        .filter(|seed| i64::try_from(*seed).is_ok())
        .ok_or_else(|| "a seed is a number from 0 to 0x7fffffffffffffff".to_owned())
}

/// The same scenarios, where those that draw do so from this seed.
fn reseeded(scenarios: Vec<Scenario>, seed: Option<u64>) -> Result<Vec<Scenario>, String> {
    let Some(seed) = seed else {
        return Ok(scenarios);
    };
    if scenarios.iter().all(|scenario| scenario.random.is_none()) {
        return Err("--seed is for scenarios that draw errors, and none of these does: see `seawall list --tag random`".into());
    }
    let reseeded = scenarios
        .into_iter()
        .map(|scenario| match scenario.with_seed(seed) {
            Some(again) => again.map_err(|error| error.to_string()),
            None => Ok(scenario),
        });
    reseeded.collect()
}

/// The same choice, with the lab's command run by an ordinary user; or the backend for which that means nothing.
fn unprivileged(choice: Choice, wanted: bool) -> Result<Choice, &'static str> {
    match choice.backend {
        _ if !wanted => Ok(choice),
        Backend::Lab(lab) => Ok(Choice {
            backend: Backend::Lab(Lab {
                unprivileged: true,
                ..lab
            }),
            ..choice
        }),
        Backend::Direct(..) => Err(choice.name),
    }
}

/// Leaves out what this backend is not for, and says so. A scenario that was asked for by name stays, to be skipped with
/// its reason; so do all when none is for this backend.
fn leave_out(scenarios: Vec<Scenario>, backend: &str, by_name: bool) -> Vec<Scenario> {
    let platform = Platform::of_backend(backend);
    let (meant, others): (Vec<_>, Vec<_>) = scenarios
        .into_iter()
        .partition(|scenario| by_name || scenario.platforms.contains(&platform));
    if meant.is_empty() {
        return others;
    }
    if !others.is_empty() {
        let (count, verb) = (counted(others.len() as u64, "scenario"), are(others.len()));
        say!(
            "seawall: {count} {verb} not for {backend}, and left out: `seawall list` says which backends each runs on"
        );
    }
    meant
}

fn started(choice: &Choice, scenarios: &[Scenario]) -> RunStarted {
    let kvm = match &choice.backend {
        Backend::Direct(backend, _) => backend.kvm_version(),
        Backend::Lab(_) => None,
    };
    RunStarted {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").into(),
        backend: choice.name.into(),
        kvm: kvm.map(|(major, minor)| format!("{major}.{minor}")),
        why: choice.why.clone(),
        not: choice.not.clone(),
        scenarios: scenarios.len(),
    }
}

/// What would have run them is not there: every scenario is a skip that says so, never a silent green.
fn skip_all(scenarios: &[Scenario], backend: &str, missing: &Missing, output: &mut Output) {
    output.event(Event::RunStarted(RunStarted {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").into(),
        backend: backend.into(),
        kvm: None,
        why: "requested".into(),
        not: Vec::new(),
        scenarios: scenarios.len(),
    }));
    for scenario in scenarios {
        output.event(Event::Skipped(skipped(scenario, missing)));
    }
}

fn skipped(scenario: &Scenario, missing: &Missing) -> Skipped {
    Skipped {
        scenario: scenario.name.clone(),
        reason: missing.what.clone(),
        fix: missing.fix.clone(),
    }
}

#[cfg(test)]
mod tests;
