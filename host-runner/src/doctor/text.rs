//! The rows as a table for people. Styles are always written; the stream takes them out where nobody would see them.

use std::io::{self, Write};

use owo_colors::OwoColorize as _;

use super::rows::{Route, Row, Rows, can_run};
use crate::escape;

/// Column at which long sentences are broken.
const WIDTH: usize = 96;
/// Before a row's name.
const MARGIN: usize = 4;

/// Draws a report.
///
/// # Errors
/// Whatever the stream says.
pub fn draw(rows: &[Rows], out: &mut dyn Write) -> io::Result<()> {
    let width = rows.iter().filter_map(name).max().unwrap_or(0);
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
            Rows::Route(route) => draw_route(route, width, out)?,
            _ => draw_row(inner, &inner.value, width, out)?,
        }
        let says = (&inner.costs, &inner.fix);
        if said != Some(says) {
            for (label, text) in [("costs", says.0), ("fix", says.1)] {
                if let Some(text) = text {
                    block(out, label, text, width)?;
                }
            }
        }
        said = Some(says);
    }
    let usable: Vec<_> = rows
        .iter()
        .filter_map(|row| match row {
            Rows::Backend(row) if row.ok == Some(true) => Some(escape::text(&row.id)),
            _ => None,
        })
        .collect();
    if can_run(rows) {
        let names = usable.join(", ");
        writeln!(out, "\n{} {names}", "scenarios can run on:".green().bold())
    } else {
        writeln!(out, "\n{}", "no backend can run scenarios".red().bold())
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

fn draw_route(route: &Route, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let value = if route.on.is_empty() {
        route.row.value.clone()
    } else {
        format!("{}: {}", route.on.join(", "), route.row.value)
    };
    draw_row(&route.row, &value, width, out)?;
    if route.row.ok == Some(false) {
        return Ok(());
    }
    for lack in &route.not {
        let text = format!("{}; to get it: {}", lack.reason, lack.fix);
        block(out, &format!("not {}", lack.backend), &text, width)?;
    }
    Ok(())
}

fn draw_row(row: &Row, value: &str, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let name = escape::text(&row.name);
    let mut lines = broken(value, WIDTH.saturating_sub(MARGIN + width + 2)).into_iter();
    let first = lines.next().unwrap_or_default();
    let mark = match row.ok {
        Some(true) => "✔".green().to_string(),
        Some(false) => "✘".red().to_string(),
        None => "–".dimmed().to_string(),
    };
    writeln!(out, "  {mark} {name:<width$}  {first}")?;
    let hang = " ".repeat(MARGIN + width + 2);
    for line in lines {
        writeln!(out, "{hang}{line}")?;
    }
    Ok(())
}

/// A labelled sentence below a row's value.
fn block(out: &mut dyn Write, label: &str, text: &str, width: usize) -> io::Result<()> {
    let label = format!("{:<8}", escape::text(label));
    let room = WIDTH.saturating_sub(MARGIN + width + 2 + label.chars().count() + 1);
    let hang = " ".repeat(MARGIN + width + 2);
    let mut shown = label.dimmed().to_string();
    for line in broken(text, room) {
        writeln!(out, "{hang}{shown} {line}")?;
        shown = " ".repeat(label.chars().count());
    }
    Ok(())
}

/// Broken at words. A word that is longer than a line stays whole: it is a path, and is to be copied.
fn broken(text: &str, room: usize) -> Vec<String> {
    let text = escape::text(text);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_ascii_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}
