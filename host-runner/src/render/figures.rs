//! The bench's figures, for people.

use std::io::{self, Write};

use owo_colors::OwoColorize as _;

use crate::events::{Curve, Measure, Place};

fn mark(is_within: bool) -> String {
    if is_within {
        "✔".green().to_string()
    } else {
        "✘".red().to_string()
    }
}

fn number(value: Option<u64>) -> String {
    value.map_or_else(|| "not measured".into(), |value| value.to_string())
}

/// A figure and its limit: one line.
pub(super) fn measure(measure: &Measure, out: &mut dyn Write) -> io::Result<()> {
    let is_within = measure.value.is_some_and(|value| value <= measure.limit);
    let (name, unit, limit) = (&measure.name, &measure.unit, measure.limit);
    let (mark, value) = (mark(is_within), number(measure.value));
    let linux = match (measure.linux, &measure.kernel) {
        (Some(value), Some(kernel)) => format!(" · Linux {kernel}: {value}"),
        _ => String::new(),
    };
    writeln!(
        out,
        "{mark} {name:<58} {value:>12} {unit}, at most {limit}{linux}"
    )
}

/// A figure along its curve: a line for what it is, and one for each place.
pub(super) fn curve(curve: &Curve, out: &mut dyn Write) -> io::Result<()> {
    let (name, over, unit) = (&curve.name, &curve.over, &curve.unit);
    writeln!(
        out,
        "{} {name}, over {over}; for each doubling at most {} more",
        mark(!curve.is_passed()),
        curve.for_each_doubling
    )?;
    for place in &curve.places {
        let Place { at, value, most } = *place;
        let (mark, value) = (mark(place.is_within()), number(value));
        let of = format!("{at} {over}");
        writeln!(out, "  {mark} {of:>56} {value:>12} {unit}, at most {most}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_shows_each_place_and_what_it_may_be() {
        let place = |at, value, most| Place { at, value, most };
        let all = Curve {
            name: "kill".into(),
            over: "tasks".into(),
            unit: "instructions".into(),
            limit: 600,
            for_each_doubling: 8,
            places: vec![
                place(1, Some(500), 500),
                place(64, Some(549), 548),
                place(4096, None, 596),
            ],
        };
        let mut text = Vec::new();
        curve(&all, &mut text).unwrap();
        let text = anstream::adapter::strip_str(std::str::from_utf8(&text).unwrap()).to_string();
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        assert_eq!(lines[0], "✘ kill, over tasks; for each doubling at most 8 more");
        assert!(
            lines[1].starts_with('✔') && lines[1].ends_with("1 tasks          500 instructions, at most 500")
        );
        assert!(
            lines[2].starts_with('✘')
                && lines[2].ends_with("64 tasks          549 instructions, at most 548")
        );
        assert!(
            lines[3].starts_with('✘')
                && lines[3].ends_with("4096 tasks not measured instructions, at most 596")
        );
    }
}
