//! Where scenarios come from: the binary itself, or files and folders that were named.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::diagnose::BadScenario;
use super::{Scenario, parse};

/// Every scenario that was in `host-runner/scenarios/` when this command was built: name and text.
pub const EMBEDDED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/scenarios.rs"));

/// Why scenarios could not be had. Each is the user's to mend, and nothing is run.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// A scenario is wrong.
    #[error("{0}")]
    Bad(Box<BadScenario>),
    /// A file or folder cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A folder without scenarios.
    #[error("no *.toml in {}", .0.display())]
    Empty(PathBuf),
    /// Two scenarios have one name.
    #[error("two scenarios are called `{name}`: {first} and {second}")]
    Twice {
        /// The name.
        name: String,
        /// One file.
        first: String,
        /// The other.
        second: String,
    },
    /// The filters and tags leave nothing.
    #[error("no scenario matches {what}{}", hint.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default())]
    NoMatch {
        /// What was asked for.
        what: String,
        /// What was probably meant.
        hint: Option<String>,
    },
}

/// Reads the scenarios of `paths`, or the embedded ones when there are none, sorted by name.
///
/// # Errors
/// See [`LibraryError`].
pub fn load(paths: &[PathBuf]) -> Result<Vec<Scenario>, LibraryError> {
    let mut scenarios = Vec::new();
    if paths.is_empty() {
        for (name, text) in EMBEDDED {
            scenarios.push(checked(&format!("host-runner/scenarios/{name}.toml"), text)?);
        }
    }
    for path in paths {
        for file in files(path)? {
            let text = fs::read_to_string(&file).map_err(|error| unreadable(&file, error))?;
            scenarios.push(checked(&file.display().to_string(), &text)?);
        }
    }
    scenarios.sort_by(|a, b| a.name.cmp(&b.name));
    for pair in scenarios.windows(2) {
        if let [first, second] = pair
            && first.name == second.name
        {
            return Err(LibraryError::Twice {
                name: first.name.clone(),
                first: first.file.clone(),
                second: second.file.clone(),
            });
        }
    }
    Ok(scenarios)
}

/// Keeps those whose name contains one of the filters (`=name`: is it) and which have one of the tags.
///
/// # Errors
/// [`LibraryError::NoMatch`] when a filter, or all together, leave nothing.
pub fn select(
    scenarios: Vec<Scenario>,
    filters: &[String],
    tags: &[String],
) -> Result<Vec<Scenario>, LibraryError> {
    let names: Vec<String> = scenarios.iter().map(|scenario| scenario.name.clone()).collect();
    for filter in filters {
        if !names.iter().any(|name| matches(filter, name)) {
            let hint = super::words::nearest(filter, names.iter().map(String::as_str)).map(str::to_owned);
            return Err(LibraryError::NoMatch {
                what: format!("`{filter}`"),
                hint,
            });
        }
    }
    let wanted = |scenario: &Scenario| {
        (filters.is_empty() || filters.iter().any(|filter| matches(filter, &scenario.name)))
            && (tags.is_empty() || tags.iter().any(|tag| scenario.tags.contains(tag)))
    };
    let kept: Vec<Scenario> = scenarios.into_iter().filter(wanted).collect();
    if kept.is_empty() {
        let what = [filters, tags].concat().join(", ");
        return Err(LibraryError::NoMatch {
            what: format!("`{what}`"),
            hint: None,
        });
    }
    Ok(kept)
}

fn matches(filter: &str, name: &str) -> bool {
    filter
        .strip_prefix('=')
        .map_or_else(|| name.contains(filter), |exact| exact == name)
}

fn checked(file: &str, text: &str) -> Result<Scenario, LibraryError> {
    parse(file, text).map_err(|bad| LibraryError::Bad(Box::new(bad)))
}

fn files(path: &Path) -> Result<Vec<PathBuf>, LibraryError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).and_then(|entries| {
        entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()
    });
    let mut files = entries.map_err(|error| unreadable(path, error))?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    if files.is_empty() {
        Err(LibraryError::Empty(path.to_owned()))
    } else {
        Ok(files)
    }
}

fn unreadable(path: &Path, error: io::Error) -> LibraryError {
    LibraryError::Unreadable {
        path: path.to_owned(),
        error,
    }
}
