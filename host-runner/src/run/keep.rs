//! What `--save` and `--restore` ask for, checked before anything runs.

use std::path::{Path, PathBuf};

use seawall_replay::plan::Injection;

use crate::budget::Budget;
use crate::saved::file::{self, FileError};
use crate::saved::{Saved, ScenarioId};
use crate::scenario::Scenario;

/// What becomes of a VM that is saved, and where one comes from.
#[derive(Debug, Default)]
pub(super) struct Keep {
    /// Where it is saved to; else it goes on at once, in another process.
    pub(super) save: Option<PathBuf>,
    /// Anything that has that name may go.
    pub(super) overwrite: bool,
    /// What is gone on with.
    pub(super) restore: Option<Saved>,
    /// The guest's Image, for the process that goes on.
    pub(super) image: PathBuf,
    /// What a VM may meet on this host, in place of what its scenario says.
    pub(super) budget: Option<Budget>,
    /// What is run once a VM was evacuated.
    pub(super) on_evacuate: Option<String>,
}

/// Reads the VM that is to be restored.
///
/// # Errors
/// See [`FileError`].
pub(super) fn restored(path: Option<&Path>) -> Result<Option<Saved>, FileError> {
    path.map(file::read).transpose()
}

/// Whether this is the very scenario that the file was saved under.
///
/// # Errors
/// What to do about it.
pub(super) fn is_of(saved: &Saved, scenario: &Scenario) -> Result<(), String> {
    if saved.scenario == ScenarioId::of(&scenario.name, &scenario.source) {
        return Ok(());
    }
    let seed = scenario.random.as_ref().map_or_else(String::new, |random| {
        format!(
            ", or say with --seed from which seed it drew, if that was not {:#x}",
            random.seed
        )
    });
    Err(format!(
        "the scenario `{}` in {} is not the one that the VM was saved under: name that one with --scenarios{seed}",
        scenario.name, scenario.file
    ))
}

/// Whether these scenarios can be saved there.
///
/// # Errors
/// What to do about it.
pub(super) fn can_save(
    to: &Path,
    overwrite: bool,
    budget: Option<Budget>,
    scenarios: &[Scenario],
) -> Result<(), String> {
    let [scenario] = scenarios else {
        let count = scenarios.len();
        return Err(format!(
            "--save is for one scenario, and {count} were named: say =NAME"
        ));
    };
    if saves(scenario) == 0 && budget.or(scenario.budget).is_none() {
        let name = &scenario.name;
        return Err(format!(
            "`{name}` has no step that saves (route = \"save\"), and there is no --budget to overdraw"
        ));
    }
    file::can_write(to, overwrite).map_err(|error| error.to_string())
}

/// How often a scenario saves, or leaves its host.
pub(super) fn saves(scenario: &Scenario) -> u32 {
    let steps = scenario
        .injections
        .iter()
        .filter(|inject| matches!(inject.injection, Injection::Save(_)));
    steps
        .map(|inject| inject.times)
        .fold(scenario.expect.evacuations, u32::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::library;

    #[test]
    fn a_vm_is_of_its_scenario_under_its_seed_alone() {
        let all = library::load(&[]).unwrap();
        let one = |name: &str| {
            library::select(all.clone(), &[format!("={name}")], &[])
                .unwrap()
                .remove(0)
        };
        let drawn = one("random-thousands");
        let again = drawn.with_seed(7).unwrap().unwrap();
        let saved = Saved {
            scenario: ScenarioId::of(&again.name, &again.source),
            ..crate::saved::tests::sample()
        };
        assert_eq!(is_of(&saved, &again), Ok(()));
        let error = is_of(&saved, &drawn).unwrap_err();
        let seed = drawn.random.as_ref().unwrap().seed;
        assert!(
            error.contains(&format!(
                "--seed from which seed it drew, if that was not {seed:#x}"
            )),
            "{error}"
        );
        assert!(!is_of(&saved, &one("load")).unwrap_err().contains("--seed"));
    }
}
