//! From text to a checked scenario.

use std::path::Path;

use super::Scenario;
use super::check::Checker;
use super::diagnose::BadScenario;
use super::raw::RawScenario;
use super::shape;

/// Reads and checks one scenario. `file` is the name for messages; its stem is the scenario's name.
///
/// # Errors
/// [`BadScenario`] with every place that is wrong. No part of a bad scenario is ever run.
pub fn parse(file: &str, text: &str) -> Result<Scenario, BadScenario> {
    let raw: RawScenario = toml::from_str(text)
        .map_err(|error| BadScenario::new(file, text, vec![shape::problem(&error, text)]))?;
    let name = Path::new(file)
        .file_stem()
        .map_or_else(|| file.to_owned(), |stem| stem.to_string_lossy().into_owned());
    let mut checker = Checker::default();
    let scenario = checker.scenario(name, file, text, raw);
    if checker.problems.is_empty() {
        Ok(scenario)
    } else {
        Err(BadScenario::new(file, text, checker.problems))
    }
}
