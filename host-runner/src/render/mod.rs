//! Renderers: each makes one format of the stream of events, and of nothing else.

mod figures;
mod junit;
mod kinds;
mod ktap;
mod sentences;
mod table;
mod text;

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use crate::escape;
use crate::events::{Event, Level};

/// A format of results.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Format {
    /// Timelines for people.
    Text,
    /// The kernel's test anything protocol, version 1.
    Ktap,
    /// One JSON object a line.
    Ndjson,
    /// JUnit XML, printed at the end.
    Junit,
}

/// Makes a format.
pub trait Renderer {
    /// Takes one event and writes what can be said by now.
    ///
    /// # Errors
    /// Whatever the stream says.
    fn event(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()>;
}

/// The renderer of a format.
#[must_use]
pub fn renderer(format: Format) -> Box<dyn Renderer> {
    match format {
        Format::Text => Box::<Clean<text::Text>>::default(),
        Format::Ktap => Box::<Clean<ktap::Ktap>>::default(),
        Format::Ndjson => Box::new(Ndjson),
        Format::Junit => Box::<junit::Junit>::default(),
    }
}

/// A format that writes text as it is. Most of it is escaped where it comes from; titles, and what comes out of a lab, are
/// whatever somebody wrote.
#[derive(Default)]
struct Clean<R>(R);

impl<R: Renderer> Renderer for Clean<R> {
    fn event(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()> {
        // As most are; a control character below U+0020 is an escape in JSON.
        let text = serde_json::to_string(event)?;
        if !text.contains('\\') && escape::text(&text) == text {
            return self.0.event(event, out);
        }
        let mut value = serde_json::to_value(event)?;
        clean(&mut value);
        self.0.event(&serde_json::from_value(value)?, out)
    }
}

/// Escapes every text in there; lines become one.
fn clean(value: &mut Value) {
    match value {
        Value::String(text) => *text = escape::text(&text.replace('\n', " ")),
        Value::Array(values) => values.iter_mut().for_each(clean),
        Value::Object(fields) => fields.values_mut().for_each(clean),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

struct Ndjson;

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    event: &'a Event,
    level: Level,
}

impl Renderer for Ndjson {
    fn event(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()> {
        let line = Line {
            event,
            level: event.level(),
        };
        serde_json::to_writer(&mut *out, &line)?;
        out.write_all(b"\n")
    }
}

/// Milliseconds for people.
fn seconds(ms: u64) -> String {
    format!("{}.{:02} s", ms / 1000, ms % 1000 / 10)
}

/// A number and what it counts.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// The verb for so many.
pub(crate) const fn are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

#[cfg(test)]
mod tests;
