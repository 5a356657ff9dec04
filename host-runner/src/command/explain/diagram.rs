//! The drawing: bits in the groups of their fields, and from each group a line to what it says.
//!
//! ```text
//! bits 31:0   101111 1 0 00000 0 00 0 0 0 110 0 0 0 0 010001
//!             │      │ │       │ │  │ │ │ │   │   │   ╰───────── dfsc  0x11  asynchronous SError
//! ```
//!
//! Where that is wider than the stream, what they say is a table under the bits: see [`table`].

use std::io::{self, Write};

use owo_colors::OwoColorize as _;
use seawall_agent::explain::Explanation;
use seawall_agent::syndrome::Field;

use crate::width::broken;

mod table;

/// Column at which paragraphs are broken where nobody says how wide the stream is.
const PARAGRAPHS: usize = 100;

/// Bits of the register that are drawn together.
struct Group<'a> {
    high: u8,
    low: u8,
    /// `None`: bits of a field that other fields stand in for.
    field: Option<&'a Field>,
}

/// Draws an explanation, for a stream of this width; without one the drawing is as wide as it is.
pub(super) fn draw(
    register: &str,
    value: u64,
    explanation: &Explanation,
    width: Option<usize>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let fields = chosen(explanation.fields.as_slice());
    let drawing = Drawing::new(&fields);
    heading(register, value, explanation, width, out)?;
    match width {
        Some(width) if drawing.columns() > width => table::draw(&fields, value, width, out)?,
        _ => drawing.draw(value, out)?,
    }
    for line in broken(&explanation.summary.to_string(), width.unwrap_or(PARAGRAPHS)) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// The register, and what it says, beside it or under it.
fn heading(
    register: &str,
    value: u64,
    explanation: &Explanation,
    width: Option<usize>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let severity = explanation
        .severity
        .map(|severity| format!(" · {}", severity.name()))
        .unwrap_or_default();
    let number = format!("{register} {value:#018x}");
    let class = explanation.class;
    let columns = [number.as_str(), "  ", class, &severity].map(|part| part.chars().count());
    if width.is_none_or(|width| columns.iter().sum::<usize>() <= width) {
        return writeln!(out, "{number}  {}{severity}\n", class.bold());
    }
    writeln!(out, "{number}")?;
    for line in broken(&format!("{class}{severity}"), width.unwrap_or(PARAGRAPHS)) {
        writeln!(out, "{}", line.bold())?;
    }
    writeln!(out)
}

/// A row of bits each.
const HALVES: [(&str, u8, u8); 2] = [("63:32", 63, 32), ("31:0", 31, 0)];

/// Both halves of a register.
struct Drawing<'a> {
    halves: [(&'static str, Vec<Group<'a>>); 2],
    /// Columns of the wider half's bits, each group with the blank behind it.
    width: usize,
    /// Columns of the longest name.
    names: usize,
}

impl<'a> Drawing<'a> {
    fn new(fields: &[&'a Field]) -> Self {
        let halves = HALVES.map(|(label, high, low)| (label, groups(fields, high, low)));
        Self {
            width: halves.iter().map(|(_, half)| columns(half)).max().unwrap_or(0),
            names: fields.iter().map(|field| field.name.len()).max().unwrap_or(0),
            halves,
        }
    }

    /// Columns of the longest line.
    fn columns(&self) -> usize {
        let said = self
            .halves
            .iter()
            .flat_map(|(_, half)| half.iter().filter(|group| told(group)));
        let longest = said
            .filter_map(|group| group.field)
            .map(|field| number(field).len().max(VALUES) + 1 + meaning(field).chars().count())
            .max()
            .unwrap_or(0);
        // The corner, the line, a blank, the name, a blank.
        MARGIN + self.width + 2 + self.names + 1 + longest
    }

    fn draw(&self, value: u64, out: &mut dyn Write) -> io::Result<()> {
        for (label, half) in &self.halves {
            row(half, label, value, out)?;
            callouts(half, self.width, self.names, out)?;
            writeln!(out)?;
        }
        Ok(())
    }
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
/// Columns of a value.
const VALUES: usize = 8;

fn row(groups: &[Group<'_>], label: &str, value: u64, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{:<MARGIN$}", format!("bits {label}").dimmed())?;
    for (index, group) in groups.iter().enumerate() {
        write!(out, "{}", if index == 0 { "" } else { " " })?;
        for bit in (group.low..=group.high).rev() {
            write!(out, "{}", value >> bit & 1)?;
        }
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
        let meaning = shaded(field, &meaning(field));
        let text = format!(
            "{:MARGIN$}{} {} {value:<VALUES$} {meaning}",
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

/// What a field says here, or why it says nothing.
fn meaning(field: &Field) -> String {
    match (field.absent, field.meaning) {
        (Some(reason), _) => format!("– {reason}"),
        (None, meaning) => meaning.unwrap_or_default().to_owned(),
    }
}

/// What says nothing stands back.
fn shaded(field: &Field, text: &str) -> String {
    if field.absent.is_some() {
        text.dimmed().to_string()
    } else {
        text.to_owned()
    }
}
