//! The drawing: bits in the groups of their fields, and from each group a line to what it says.
//!
//! ```text
//! bits 31:0   101111 1 0 00000 0 00 0 0 0 110 0 0 0 0 010001
//!             │      │ │       │ │  │ │ │ │   │   │   ╰───────── dfsc  0x11  asynchronous SError
//! ```

use std::io::{self, Write};

use owo_colors::OwoColorize as _;
use seawall_agent::explain::Explanation;
use seawall_agent::syndrome::Field;

/// Bits of the register that are drawn together.
struct Group<'a> {
    high: u8,
    low: u8,
    /// `None`: bits of a field that other fields stand in for.
    field: Option<&'a Field>,
}

pub(super) fn draw(
    register: &str,
    value: u64,
    explanation: &Explanation,
    out: &mut dyn Write,
) -> io::Result<()> {
    let severity = explanation
        .severity
        .map(|severity| format!(" · {}", severity.name()))
        .unwrap_or_default();
    writeln!(
        out,
        "{register} {value:#018x}  {}{severity}\n",
        explanation.class.bold()
    )?;
    let fields = chosen(explanation.fields.as_slice());
    let longest = fields.iter().map(|field| field.name.len()).max().unwrap_or(0);
    let halves = [groups(&fields, 63, 32), groups(&fields, 31, 0)];
    let width = halves.iter().map(|half| columns(half)).max().unwrap_or(0);
    for (half, label) in halves.iter().zip(["63:32", "31:0"]) {
        row(half, label, value, out)?;
        callouts(half, width, longest, out)?;
        writeln!(out)?;
    }
    for line in wrapped(&explanation.summary.to_string(), 100) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// The fields that are drawn: all that mean something, and of the rest those whose bits no other one has. Of bits
/// without a name only those that should be zero and are not.
fn chosen(all: &[Field]) -> Vec<&Field> {
    let mut chosen: Vec<&Field> = all.iter().filter(|field| field.absent.is_none()).collect();
    for field in all.iter().filter(|field| field.absent.is_some()) {
        if chosen
            .iter()
            .all(|other| other.low > field.high || field.low > other.high)
        {
            chosen.push(field);
        }
    }
    chosen.sort_by_key(|field| std::cmp::Reverse(field.high));
    chosen
}

/// Cuts bits `high` to `low` into groups that cover each bit once. A field across the border is cut in two.
fn groups<'a>(fields: &[&'a Field], high: u8, low: u8) -> Vec<Group<'a>> {
    let mut groups = Vec::new();
    let mut next = i16::from(high);
    for field in fields
        .iter()
        .filter(|field| field.low <= high && field.high >= low)
    {
        let top = field.high.min(high);
        let bottom = field.low.max(low);
        if i16::from(top) > next {
            continue;
        }
        if next > i16::from(top) {
            groups.push(Group {
                high: u8::try_from(next).unwrap_or(high),
                low: top + 1,
                field: None,
            });
        }
        groups.push(Group {
            high: top,
            low: bottom,
            field: Some(field),
        });
        next = i16::from(bottom) - 1;
    }
    if let Ok(rest) = u8::try_from(next)
        && rest >= low
    {
        groups.push(Group {
            high: rest,
            low,
            field: None,
        });
    }
    groups
}

fn size(group: &Group<'_>) -> usize {
    usize::from(group.high - group.low) + 1
}

fn columns(groups: &[Group<'_>]) -> usize {
    groups.iter().map(|group| size(group) + 1).sum()
}

const MARGIN: usize = 12;

fn row(groups: &[Group<'_>], label: &str, value: u64, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{:<MARGIN$}", format!("bits {label}").dimmed())?;
    for group in groups {
        for bit in (group.low..=group.high).rev() {
            write!(out, "{}", value >> bit & 1)?;
        }
        write!(out, " ")?;
    }
    writeln!(out)
}

/// Whether a group has a line of its own.
fn told(group: &Group<'_>) -> bool {
    group
        .field
        .is_some_and(|field| field.name != "res0" || field.value != 0)
}

fn callouts(groups: &[Group<'_>], width: usize, longest: usize, out: &mut dyn Write) -> io::Result<()> {
    for (index, group) in groups.iter().enumerate().rev() {
        let Some(field) = group.field.filter(|_| told(group)) else {
            continue;
        };
        let mut line = String::new();
        for before in groups.iter().take(index) {
            line.push(if told(before) { '│' } else { ' ' });
            line.push_str(&" ".repeat(size(before)));
        }
        line.push('╰');
        let used = line.chars().count();
        line.push_str(&"─".repeat(width.saturating_sub(used) + 1));
        let (name, value) = (format!("{:<longest$}", field.name), number(field));
        let meaning = match (field.absent, field.meaning) {
            (Some(reason), _) => format!("– {reason}").dimmed().to_string(),
            (None, meaning) => meaning.unwrap_or_default().to_owned(),
        };
        let text = format!(
            "{:MARGIN$}{} {} {value:<8} {meaning}",
            "",
            line.dimmed(),
            name.bold()
        );
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

fn number(field: &Field) -> String {
    if field.high == field.low {
        field.value.to_string()
    } else {
        format!("{:#x}", field.value)
    }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
