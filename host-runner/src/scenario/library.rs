//! Where scenarios come from: the binary itself, or files and folders that were named.

use std::collections::BTreeSet;
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
    #[error("{0}")]
    NoMatch(String),
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
    let wrong = [unknown_names(&scenarios, filters), unknown_tags(&scenarios, tags)].concat();
    if !wrong.is_empty() {
        return Err(LibraryError::NoMatch(wrong.join("\n  ")));
    }
    let wanted = |scenario: &Scenario| {
        (filters.is_empty() || filters.iter().any(|filter| matches(filter, &scenario.name)))
            && (tags.is_empty() || tags.iter().any(|tag| scenario.tags.contains(tag)))
    };
    let kept: Vec<Scenario> = scenarios.into_iter().filter(wanted).collect();
    if kept.is_empty() {
        let what = format!(
            "no scenario has both a name like `{}` and the tag `{}`: each alone has some, as `seawall list` shows",
            filters.join("` or `"),
            tags.join("` or `")
        );
        return Err(LibraryError::NoMatch(what));
    }
    Ok(kept)
}

/// Each filter that matches no name, and where the names are.
fn unknown_names(scenarios: &[Scenario], filters: &[String]) -> Vec<String> {
    let names = || scenarios.iter().map(|scenario| scenario.name.as_str());
    let unknown = filters
        .iter()
        .filter(|filter| !names().any(|name| matches(filter, name)));
    let mut wrong: Vec<String> = unknown
        .map(|filter| match filter.strip_prefix('=') {
            Some(exact) => format!("no scenario is called `{exact}`{}", hint(exact, names())),
            None => format!("no scenario has `{filter}` in its name{}", hint(filter, names())),
        })
        .collect();
    if !wrong.is_empty() {
        wrong.push("`seawall list` names them all".into());
    }
    wrong
}

/// Each tag that no scenario has, and all that there are.
fn unknown_tags(scenarios: &[Scenario], tags: &[String]) -> Vec<String> {
    let known: BTreeSet<&str> = scenarios
        .iter()
        .flat_map(|scenario| scenario.tags.iter().map(String::as_str))
        .collect();
    let unknown = tags.iter().filter(|tag| !known.contains(tag.as_str()));
    let mut wrong: Vec<String> = unknown
        .map(|tag| {
            format!(
                "no scenario has the tag `{tag}`{}",
                hint(tag, known.iter().copied())
            )
        })
        .collect();
    if !wrong.is_empty() {
        let known: Vec<&str> = known.into_iter().collect();
        wrong.push(match known.is_empty() {
            true => "there are no tags".into(),
            false => format!("the tags are: {}", known.join(", ")),
        });
    }
    wrong
}

/// What was probably meant.
fn hint<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> String {
    let nearest = super::words::nearest(wrong, known);
    nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
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
