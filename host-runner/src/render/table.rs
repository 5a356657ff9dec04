//! The table that closes a run in text.

use std::io::{self, Write};

use owo_colors::OwoColorize as _;

use super::seconds;
use crate::events::{Finding, Outcome, Totals};

/// A row: a scenario and how it came out.
pub(super) struct Row {
    pub(super) name: String,
    /// `None`: it was skipped.
    pub(super) outcome: Option<Outcome>,
    /// `None`: nothing was judged, so nobody has counted them.
    pub(super) aborts: Option<u64>,
    pub(super) cost: Option<u64>,
    pub(super) wall_ms: u64,
    pub(super) findings: Vec<Finding>,
}

pub(super) fn draw(rows: &[Row], totals: &Totals, backend: &str, out: &mut dyn Write) -> io::Result<()> {
    let width = rows
        .iter()
        .map(|row| row.name.chars().count())
        .max()
        .unwrap_or(0)
        .max(8);
    writeln!(
        out,
        "\n{:<width$}  verdict  aborts  most instr.      time",
        "scenario".bold()
    )?;
    for row in rows {
        let verdict = format!("{:<7}", row.outcome.map_or("skip", word));
        let verdict = match row.outcome {
            Some(Outcome::Pass) => verdict.green().to_string(),
            Some(Outcome::Saved | Outcome::Evacuated) => verdict.cyan().to_string(),
            Some(Outcome::Fail | Outcome::Timeout) => verdict.red().bold().to_string(),
            None => verdict.yellow().to_string(),
        };
        let known = |figure: Option<u64>| figure.map_or_else(|| "–".to_owned(), |figure| figure.to_string());
        let (aborts, cost) = (known(row.aborts), known(row.cost));
        let (name, wall) = (&row.name, seconds(row.wall_ms));
        writeln!(
            out,
            "{name:<width$}  {verdict}  {aborts:>6}  {cost:>11}  {wall:>8}"
        )?;
    }
    let failed = totals.failed + totals.timed_out;
    let summary = format!(
        "{} passed, {failed} failed, {} skipped",
        totals.passed, totals.skipped
    );
    let summary = if failed > 0 {
        summary.red().bold().to_string()
    } else {
        summary.green().bold().to_string()
    };
    let others = [(totals.saved, "saved"), (totals.evacuated, "evacuated")].map(|(count, word)| {
        if count > 0 {
            format!(", {count} {word}")
        } else {
            String::new()
        }
    });
    let saved = others.concat();
    let late = if totals.timed_out > 0 {
        format!(", {} of them timed out", totals.timed_out)
    } else {
        String::new()
    };
    writeln!(
        out,
        "\n{backend}: {summary}{saved}{late} in {}",
        seconds(totals.wall_ms)
    )?;
    failures(rows, out)
}

/// Names what failed once more: its timeline may be thousands of lines above.
fn failures(rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
    for row in rows {
        let (Some(Outcome::Fail | Outcome::Timeout), name) = (row.outcome, row.name.bold()) else {
            continue;
        };
        match row.findings.split_first() {
            Some((first, others)) => {
                let more = match others.len() {
                    0 => String::new(),
                    more => format!("; {more} more above"),
                };
                let Finding {
                    check,
                    at,
                    expected,
                    got,
                } = first;
                writeln!(
                    out,
                    "  {} {name}  {check}: {at}: expected {expected}, got {got}{more}",
                    "✘".red()
                )?;
            }
            None => writeln!(out, "  {} {name}", "✘".red())?,
        }
    }
    Ok(())
}

pub(super) const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "FAIL",
        Outcome::Timeout => "TIMEOUT",
        Outcome::Saved => "saved",
        Outcome::Evacuated => "evacuated",
    }
}
