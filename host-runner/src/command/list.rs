//! `seawall list`: the scenarios there are.

use std::io::{self, Write};
use std::path::PathBuf;

use anstream::AutoStream;
use clap::{Args, ValueEnum};
use owo_colors::OwoColorize as _;
use serde::Serialize;

use super::{ColourChoice, Exit, complain};
use crate::escape;
use crate::scenario::{Platform, Scenario, library};
use crate::width::{self, broken};

/// What `seawall list` can be told.
#[derive(Args, Debug)]
pub(super) struct ListArguments {
    /// Only scenarios whose name contains this; `=NAME` for exactly that one
    filters: Vec<String>,
    /// How to list
    #[arg(long, value_enum, default_value = "text")]
    format: ListFormat,
    /// Only scenarios with this tag
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Only scenarios that say what Linux does, and whose claim `seawall run --compare linux` tests
    #[arg(long)]
    compared: bool,
    /// List these instead of the built-in ones: a file, or a folder of them
    #[arg(long = "scenarios", value_name = "PATH")]
    scenarios: Vec<PathBuf>,
    /// When to use colours
    #[arg(long, value_enum, default_value = "auto")]
    color: ColourChoice,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum ListFormat {
    /// For people
    Text,
    /// One JSON object a line
    Ndjson,
}

/// A scenario as NDJSON. The shape is stable: fields are added, never changed or taken away.
#[derive(Serialize)]
struct Listed<'a> {
    scenario: &'a str,
    title: &'a str,
    teaches: &'a str,
    cites: &'a [String],
    linux: Option<&'a str>,
    /// What `seawall run --compare linux` finds, such as `panic`.
    linux_outcome: Option<&'static str>,
    tags: &'a [String],
    backends: Vec<&'static str>,
    routes: Vec<&'static str>,
    file: &'a str,
}

pub(super) fn list(arguments: &ListArguments) -> Exit {
    let selected = library::load(&arguments.scenarios)
        .and_then(|all| library::select(all, &arguments.filters, &arguments.tags));
    let scenarios = match selected {
        Ok(mut scenarios) => {
            scenarios.retain(|scenario| !arguments.compared || scenario.expect_linux.is_some());
            scenarios
        }
        Err(error) => return complain::about_library(&error, arguments.color),
    };
    let mut out = AutoStream::new(io::stdout(), arguments.color.anstream());
    let written = match arguments.format {
        ListFormat::Text => text(&scenarios, width::of_stdout(), &mut out),
        ListFormat::Ndjson => scenarios.iter().try_for_each(|scenario| {
            serde_json::to_writer(&mut out, &listed(scenario))?;
            writeln!(out)
        }),
    };
    complain::about_writing(written.and_then(|()| out.flush()))
}

fn listed(scenario: &Scenario) -> Listed<'_> {
    Listed {
        scenario: &scenario.name,
        title: &scenario.title,
        teaches: &scenario.teaches,
        cites: &scenario.cites,
        linux: scenario.linux.as_deref(),
        linux_outcome: scenario.expect_linux.map(|expected| expected.outcome.word()),
        tags: &scenario.tags,
        backends: scenario
            .platforms
            .iter()
            .map(|platform| platform.word())
            .collect(),
        routes: routes(scenario),
        file: &scenario.file,
    }
}

/// The routes of its injections, each once.
pub(super) fn routes(scenario: &Scenario) -> Vec<&'static str> {
    let mut routes: Vec<_> = scenario.injections.iter().map(|inject| inject.route).collect();
    routes.sort_unstable();
    routes.dedup();
    routes
}

/// The backends that it can run on; what needs KVM has it in the lab too.
pub(super) fn backends(scenario: &Scenario) -> Vec<&'static str> {
    let backends = scenario.platforms.iter().flat_map(|platform| match platform {
        Platform::Qemu => &["qemu"][..],
        Platform::Kvm => &["kvm", "lab"][..],
    });
    backends.copied().collect()
}

/// A line for each scenario; on a terminal of so many columns as many as it takes, and the titles below each other.
fn text(scenarios: &[Scenario], columns: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    let width = scenarios
        .iter()
        .map(|scenario| scenario.name.chars().count())
        .max()
        .unwrap_or(0);
    for scenario in scenarios {
        let name = escape::text(&scenario.name);
        let name = name.bold();
        let title = escape::text(&scenario.title);
        let details = details(scenario);
        let Some(columns) = columns else {
            writeln!(out, "{name:<width$}  {title}  {}", details.join("  ").dimmed())?;
            continue;
        };
        // A terminal that is narrower than the names is too narrow for anything.
        let room = columns.saturating_sub(width + 2).max(20);
        let indent = " ".repeat(width + 2);
        for (number, line) in broken(&title, room).iter().enumerate() {
            match number {
                0 => writeln!(out, "{name:<width$}  {line}")?,
                _ => writeln!(out, "{indent}{line}")?,
            }
        }
        for line in broken(&details.join(" · "), room) {
            writeln!(out, "{indent}{}", line.dimmed())?;
        }
    }
    Ok(())
}

/// What is said of a scenario beside its title, the tags last.
fn details(scenario: &Scenario) -> Vec<String> {
    let routes = routes(scenario).join(" + ");
    let linux = scenario.expect_linux.map(|expected| expected.outcome.word());
    let tags = escape::text(&scenario.tags.join(", "));
    let details = [
        (!routes.is_empty()).then(|| format!("by {routes}")),
        Some(format!("on {}", backends(scenario).join(", "))),
        linux.map(|word| format!("Linux: {word}")),
        (!tags.is_empty()).then(|| format!("[{tags}]")),
    ];
    details.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(names: &[&str], columns: Option<usize>) -> String {
        let filters: Vec<String> = names.iter().map(|name| format!("={name}")).collect();
        let scenarios = library::select(library::load(&[]).unwrap(), &filters, &[]).unwrap();
        let mut out = Vec::new();
        text(&scenarios, columns, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_list_is_a_line_for_each_in_a_pipe_and_fits_a_terminal() {
        let raw = listed(&["load", "serror-uer"], None);
        let piped = anstream::adapter::strip_str(&raw).to_string();
        assert_eq!(piped.lines().count(), 2, "{piped}");
        assert!(
            piped.contains("costs the one task that made it  by hole  on qemu, kvm, lab  Linux: sigbus  ["),
            "{piped}"
        );
        for columns in [60, 100] {
            let shown = listed(&["load", "serror-uer"], Some(columns));
            let shown = anstream::adapter::strip_str(&shown).to_string();
            assert!(
                shown.lines().all(|line| line.chars().count() <= columns),
                "{shown}"
            );
            assert!(shown.contains("by hole · on qemu, kvm, lab"), "{shown}");
        }
    }

    #[test]
    fn what_is_not_there_has_no_colour() {
        let clean = listed(&["no-injection"], None);
        assert!(!clean.contains("\x1b[2m\x1b[0m"), "{clean:?}");
        assert!(clean.contains("on qemu"), "{clean:?}");
    }
}
