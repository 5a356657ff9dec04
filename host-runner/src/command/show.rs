//! `seawall show`: all that a scenario says, and its text.

use std::io::{self, Write};
use std::path::PathBuf;

use anstream::AutoStream;
use clap::{Args, ValueEnum};
use owo_colors::OwoColorize as _;

use super::list::{backends, routes};
use super::{ColourChoice, Exit, complain};
use crate::escape;
use crate::scenario::{Scenario, library};
use crate::width::{self, broken};

/// What `seawall show` can be told.
#[derive(Args, Debug)]
pub(super) struct ShowArguments {
    /// The scenario's name
    name: String,
    /// How to show it
    #[arg(long, value_enum, default_value = "text")]
    format: ShowFormat,
    /// Look here instead of among the built-in ones: a file, or a folder of them
    #[arg(long = "scenarios", value_name = "PATH")]
    scenarios: Vec<PathBuf>,
    /// When to use colours
    #[arg(long, value_enum, default_value = "auto")]
    color: ColourChoice,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum ShowFormat {
    /// For people
    Text,
    /// The scenario's own text and nothing else, to be changed and given to `seawall run --scenarios`
    Toml,
}

/// Shows one scenario.
pub(super) fn show(arguments: &ShowArguments) -> Exit {
    let name = arguments.name.trim_start_matches('=');
    let selected =
        library::load(&arguments.scenarios).and_then(|all| library::select(all, &[format!("={name}")], &[]));
    let scenarios = match selected {
        Ok(scenarios) => scenarios,
        Err(error) => return complain::about_library(&error, arguments.color),
    };
    let mut out = AutoStream::new(io::stdout(), arguments.color.anstream());
    let written = scenarios.iter().try_for_each(|scenario| match arguments.format {
        ShowFormat::Text => text(scenario, width::of_stdout().unwrap_or(100), &mut out),
        ShowFormat::Toml => out.write_all(scenario.source.as_bytes()),
    });
    complain::about_writing(written.and_then(|()| out.flush()))
}

fn text(scenario: &Scenario, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let (name, title) = (scenario.name.bold(), escape::text(&scenario.title));
    writeln!(out, "{name}  {title}\n")?;
    let rows = [
        ("teaches", scenario.teaches.clone()),
        ("runs on", backends(scenario).join(", ")),
        ("routes", routes(scenario).join(", ")),
        ("Linux", scenario.linux.clone().unwrap_or_default()),
        ("tags", scenario.tags.join(", ")),
    ];
    let cites = scenario.cites.iter().map(|cited| ("cites", cited.clone()));
    for (label, said) in rows.into_iter().chain(cites) {
        if said.trim().is_empty() {
            continue;
        }
        let mut label = label;
        for line in broken(&escape::text(&said.replace('\n', " ")), width.saturating_sub(9)) {
            match std::mem::take(&mut label) {
                "" => writeln!(out, "         {line}")?,
                label => writeln!(out, "{}  {line}", format!("{label:<7}").dimmed())?,
            }
        }
    }
    writeln!(out, "\n{}\n", escape::text(&scenario.file).dimmed())?;
    for line in scenario.source.lines() {
        writeln!(out, "{}", escape::text(line))?;
    }
    Ok(())
}
