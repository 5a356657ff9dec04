//! The drawing for narrow streams: the bits, and under them a table of what their fields say.
//!
//! ```text
//! bits 31:0   101111 1 0 00000 0 00 0 0 0 110 0 0 0 0 010001
//!
//! field  bits   value  meaning
//! ec     31:26  0x2f   SError exception
//! ```

use std::io::{self, Write};

use owo_colors::OwoColorize as _;
use seawall_agent::syndrome::Field;

use super::{Group, HALVES, groups, meaning, number, row, shaded, told};
use crate::width::broken;

/// A field's line, but for what it says.
struct Line<'a> {
    field: &'a Field,
    bits: String,
    value: String,
}

pub(super) fn draw(fields: &[&Field], value: u64, width: usize, out: &mut dyn Write) -> io::Result<()> {
    // Half a register with a blank between its groups fits into the least width that there is.
    for (label, high, low) in HALVES {
        row(&groups(fields, high, low), label, value, out)?;
    }
    writeln!(out)?;
    let whole = groups(fields, 63, 0);
    let lines: Vec<Line<'_>> = whole
        .iter()
        .filter(|group| told(group))
        .filter_map(line)
        .collect();
    let longest = |head: &str, of: fn(&Line<'_>) -> usize| {
        let cells = lines.iter().map(of);
        cells.chain([head.len()]).max().unwrap_or(0)
    };
    let (names, bits, values) = (
        longest("field", |line| line.field.name.len()),
        longest("bits", |line| line.bits.len()),
        longest("value", |line| line.value.len()),
    );
    let head = format!(
        "{:<names$}  {:<bits$}  {:<values$}  meaning",
        "field", "bits", "value"
    );
    writeln!(out, "{}", head.dimmed())?;
    let before = names + bits + values + 6;
    for line in &lines {
        let mut meanings = broken(&meaning(line.field), width.saturating_sub(before)).into_iter();
        let first = meanings.next().unwrap_or_default();
        let (name, number) = (format!("{:<names$}", line.field.name), &line.value);
        let text = format!(
            "{}  {:<bits$}  {number:<values$}  {}",
            name.bold(),
            line.bits,
            shaded(line.field, &first)
        );
        writeln!(out, "{}", text.trim_end())?;
        for more in meanings {
            writeln!(out, "{:before$}{}", "", shaded(line.field, &more))?;
        }
    }
    writeln!(out)
}

fn line<'a>(group: &Group<'a>) -> Option<Line<'a>> {
    let field = group.field?;
    Some(Line {
        field,
        bits: if field.high == field.low {
            field.high.to_string()
        } else {
            format!("{}:{}", field.high, field.low)
        },
        value: number(field),
    })
}
