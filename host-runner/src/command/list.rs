//! `seawall list`: the scenarios there are.

use std::io::{self, Write};
use std::path::PathBuf;

use anstream::AutoStream;
use clap::{Args, ValueEnum};
use owo_colors::OwoColorize as _;
use serde::Serialize;

use super::{ColourChoice, Exit, complain};
use crate::escape;
use crate::scenario::{Scenario, library};

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
        ListFormat::Text => text(&scenarios, &mut out),
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
fn routes(scenario: &Scenario) -> Vec<&'static str> {
    let mut routes: Vec<_> = scenario.injections.iter().map(|inject| inject.route).collect();
    routes.sort_unstable();
    routes.dedup();
    routes
}

fn text(scenarios: &[Scenario], out: &mut dyn Write) -> io::Result<()> {
    let width = scenarios
        .iter()
        .map(|scenario| scenario.name.chars().count())
        .max()
        .unwrap_or(0);
    for scenario in scenarios {
        let routes = match routes(scenario).join(" + ") {
            routes if routes.is_empty() => String::new(),
            routes => format!("  by {routes}"),
        };
        let linux = scenario.expect_linux.map_or_else(String::new, |expected| {
            format!("  Linux: {}", expected.outcome.word())
        });
        let tags = if scenario.tags.is_empty() {
            String::new()
        } else {
            format!("  [{}]", escape::text(&scenario.tags.join(", ")))
        };
        writeln!(
            out,
            "{:<width$}  {}{}{}{}",
            escape::text(&scenario.name).bold(),
            escape::text(&scenario.title),
            routes.dimmed(),
            linux.dimmed(),
            tags.dimmed()
        )?;
    }
    Ok(())
}
