//! The rows as a table for people. Styles are always written; the stream takes them out where nobody would see them.

use std::io::{self, Write};

use owo_colors::OwoColorize as _;

use super::rows::{Route, Row, Rows, can_run};
use crate::escape;
use crate::width::broken;

/// Column at which long sentences are broken where nobody says how wide the stream is.
const WIDTH: usize = 96;
/// Below this there is no room for values beside the names: they stand under them.
const BESIDE: usize = 80;
/// Before a row's name.
const MARGIN: usize = 4;

/// Where things stand.
#[derive(Clone, Copy)]
struct Page {
    /// Columns of the longest name.
    names: usize,
    /// Column at which values begin.
    values: usize,
    /// Columns for a value.
    room: usize,
}

impl Page {
    fn new(rows: &[Rows], width: usize) -> Self {
        let names = rows.iter().filter_map(name).max().unwrap_or(0);
        let values = if width < BESIDE {
            MARGIN + 2
        } else {
            MARGIN + names + 2
        };
        Self {
            names,
            values,
            room: width.saturating_sub(values),
        }
    }

    const fn is_beside(self) -> bool {
        self.values > MARGIN + self.names
    }
}

/// Draws a report, for a stream of this width.
///
/// # Errors
/// Whatever the stream says.
pub fn draw(rows: &[Rows], width: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    let page = Page::new(rows, width.unwrap_or(WIDTH));
    let mut last = "";
    // What the row above costs, and its fix: said once for rows that share them.
    let mut said = None;
    for row in rows {
        let heading = heading(row);
        if heading != last {
            let gap = if last.is_empty() { "" } else { "\n" };
            writeln!(out, "{gap}{}", heading.bold())?;
            last = heading;
            said = None;
        }
        let (Rows::Fact(inner) | Rows::Backend(inner) | Rows::Route(Route { row: inner, .. })) = row else {
            continue;
        };
        match row {
            Rows::Route(route) => draw_route(route, page, out)?,
            _ => draw_row(inner, &inner.value, page, out)?,
        }
        let says = (&inner.costs, &inner.fix);
        if said != Some(says) {
            for (label, text) in [("costs", says.0), ("fix", says.1)] {
                if let Some(text) = text {
                    block(out, label, text, page)?;
                }
            }
        }
        said = Some(says);
    }
    writeln!(out, "\n{}", legend(rows))?;
    let usable: Vec<_> = rows
        .iter()
        .filter_map(|row| match row {
            Rows::Backend(row) if row.ok == Some(true) => Some(escape::text(&row.id)),
            _ => None,
        })
        .collect();
    if can_run(rows) {
        let names = usable.join(", ");
        writeln!(out, "{} {names}", "scenarios can run on:".green().bold())
    } else {
        writeln!(out, "{}", "no backend can run scenarios".red().bold())
    }
}

fn name(row: &Rows) -> Option<usize> {
    match row {
        Rows::DoctorStarted(_) => None,
        Rows::Fact(row) | Rows::Backend(row) | Rows::Route(Route { row, .. }) => {
            Some(escape::text(&row.name).chars().count())
        }
    }
}

fn heading(row: &Rows) -> &'static str {
    match row {
        Rows::DoctorStarted(started) if started.on == "lab" => "seen from inside the lab",
        Rows::DoctorStarted(_) => "this host",
        Rows::Fact(_) => "this host",
        Rows::Backend(_) => "backends",
        Rows::Route(Route { planned: false, .. }) => "ways to inject",
        Rows::Route(Route { planned: true, .. }) => "what a host can do besides; no scenario injects so yet",
    }
}

fn draw_route(route: &Route, page: Page, out: &mut dyn Write) -> io::Result<()> {
    let value = if route.on.is_empty() {
        route.row.value.clone()
    } else {
        format!("{}: {}", route.on.join(", "), route.row.value)
    };
    draw_row(&route.row, &value, page, out)?;
    if route.row.ok == Some(false) {
        return Ok(());
    }
    for lack in &route.not {
        let text = format!("{}; to get it: {}", lack.reason, lack.fix);
        block(out, &format!("not {}", lack.backend), &text, page)?;
    }
    Ok(())
}

/// The mark of a row that is as it should be, of one that is missing, and of any other.
fn mark(ok: Option<bool>) -> String {
    match ok {
        Some(true) => "✔".green().to_string(),
        Some(false) => "✘".red().to_string(),
        None => "–".dimmed().to_string(),
    }
}

/// What the marks mean that this report has.
fn legend(rows: &[Rows]) -> String {
    let has = |ok| {
        rows.iter().any(|row| match row {
            Rows::DoctorStarted(_) => false,
            Rows::Fact(row) | Rows::Backend(row) | Rows::Route(Route { row, .. }) => row.ok == ok,
        })
    };
    let meanings = [
        (Some(true), "available"),
        (Some(false), "missing"),
        (None, "information, or not known"),
    ];
    let marks = meanings.iter().filter(|(ok, _)| has(*ok));
    let marks: Vec<_> = marks
        .map(|(ok, meaning)| format!("{} {}", mark(*ok), meaning.dimmed()))
        .collect();
    marks.join("   ")
}

fn draw_row(row: &Row, value: &str, page: Page, out: &mut dyn Write) -> io::Result<()> {
    let (name, mark) = (escape::text(&row.name), mark(row.ok));
    let mut lines = broken(&escape::text(value), page.room).into_iter();
    if page.is_beside() {
        let first = lines.next().unwrap_or_default();
        writeln!(out, "  {mark} {name:<width$}  {first}", width = page.names)?;
    } else {
        writeln!(out, "  {mark} {name}")?;
    }
    let hang = " ".repeat(page.values);
    for line in lines {
        writeln!(out, "{hang}{line}")?;
    }
    Ok(())
}

/// A labelled sentence below a row's value.
fn block(out: &mut dyn Write, label: &str, text: &str, page: Page) -> io::Result<()> {
    let label = format!("{:<8}", escape::text(label));
    let room = page.room.saturating_sub(label.chars().count() + 1);
    let hang = " ".repeat(page.values);
    let mut shown = label.dimmed().to_string();
    for line in broken(&escape::text(text), room) {
        writeln!(out, "{hang}{shown} {line}")?;
        shown = " ".repeat(label.chars().count());
    }
    Ok(())
}
