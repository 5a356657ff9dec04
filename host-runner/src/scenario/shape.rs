//! What serde and the TOML parser find wrong with a file's shape, in this project's words and with a hint.

use std::ops::Range;

use super::diagnose::Problem;
use super::words::{Route, Word, listed, nearest};
use super::{Cause, Decision, Does, GuestEnd, Level, LinuxOutcome, Severity};

/// A message, and what to do about it.
type Said = (String, Option<String>);

pub(super) fn problem(error: &toml::de::Error, text: &str) -> Problem {
    let message = error.message().lines().collect::<Vec<_>>().join("; ");
    let end = text.len().saturating_sub(1);
    let span = error.span().unwrap_or(end..text.len());
    let span = span.start.min(end)..span.end.min(text.len());
    let (message, help) = unknown_key(&message)
        .or_else(|| missing_key(&message))
        .or_else(|| wrong_type(&message, short(text, &span)))
        .or_else(|| too_large(&message))
        .unwrap_or((message, None));
    Problem { span, message, help }
}

/// For "unknown field `x`, expected one of `a`, `b`": which of them. All are listed only where none is near.
fn unknown_key(message: &str) -> Option<Said> {
    let rest = message.strip_prefix("unknown field `")?;
    let (wrong, rest) = rest.split_once('`')?;
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let help = nearest(wrong, known.iter().copied()).map_or_else(
        || format!("the keys here are {}", known.join(", ")),
        |meant| format!("did you mean `{meant}`?"),
    );
    Some((format!("unknown key `{wrong}`"), Some(help)))
}

/// For "missing field `x`": what it looks like.
fn missing_key(message: &str) -> Option<Said> {
    let key = message.strip_prefix("missing field `")?.strip_suffix('`')?;
    let help = match key {
        "route" => a_word::<Route>(key),
        "end" => a_word::<GuestEnd>(key),
        "cause" => a_word::<Cause>(key),
        "from" => a_word::<Level>(key),
        "severity" => a_word::<Severity>(key),
        "decision" => a_word::<Decision>(key),
        "does" => a_word::<Does>(key),
        "outcome" => a_word::<LinuxOutcome>(key),
        "guest" => "[guest] with `tasks`".to_owned(),
        "expect" => "[expect] with `end`".to_owned(),
        "tasks" => "tasks = [\"load\", \"bystander\", \"bystander\"]".to_owned(),
        "task" => "task = \"load\"".to_owned(),
        "title" => "title = \"what this shows, as a claim\"".to_owned(),
        "teaches" => "teaches = \"a few sentences\"".to_owned(),
        "cites" => "cites = [\"where the expected values come from\"]".to_owned(),
        "linux" => "linux = \"6.18\", the first version that does otherwise".to_owned(),
        "because" => "because = \"why it differs\"".to_owned(),
        "serror" => "serror = true or false".to_owned(),
        "esr" => "esr = 0x92000010".to_owned(),
        "address" => "address = 0x50000040".to_owned(),
        number => format!("{number} = 1"),
    };
    Some((format!("the key `{key}` is missing"), Some(help)))
}

fn a_word<T: Word>(key: &str) -> String {
    format!("`{key}` is one of {}", listed::<T>())
}

/// For "invalid type: a, expected b": how b is written. `written` is what stands there, if it is short.
fn wrong_type(message: &str, written: Option<&str>) -> Option<Said> {
    let (found, wanted) = message
        .strip_prefix("invalid type: ")?
        .rsplit_once(", expected ")?;
    // serde takes a list for a table's keys in their order, and finds a table where the first key's value should be.
    if let Some(header) = written.filter(|written| found == "map" && written.starts_with("[[")) {
        let single = header.trim_start_matches('[').trim_end_matches(']');
        let help = format!("write `[{single}]`, in single brackets: there is only one");
        return Some(("expected a table, found a list of them".to_owned(), Some(help)));
    }
    let (found, rest) = found.split_once(' ').unwrap_or((found, ""));
    let wanted = match wanted {
        "a sequence" => "a list",
        "a map" => "a table",
        "a boolean" => "true or false",
        wanted if wanted.starts_with("struct ") => "a table",
        wanted => wanted,
    };
    let quoted = |before: &str| match written {
        Some(written) => format!("{before}: {written}"),
        None => before.to_owned(),
    };
    let bare = written.map(|written| written.trim_matches(['"', '\'']));
    let help = match (found, wanted, written) {
        ("map", "a list", Some(header)) if header.starts_with('[') => Some(format!(
            "write `[{header}]`, in double brackets: there may be several"
        )),
        ("map", "a list", _) => Some("a list of tables, each in double brackets: [[…]]".to_owned()),
        ("sequence", "a table", Some(header)) if header.starts_with("[[") => {
            let single = header.trim_start_matches('[').trim_end_matches(']');
            Some(format!(
                "write `[{single}]`, in single brackets: there is only one"
            ))
        }
        ("string", "a list", Some(written)) => Some(format!("in brackets: [{written}]")),
        ("string", "a number", _) => Some(match bare.filter(|bare| is_number(bare)) {
            Some(number) => format!("a number without quotes: {number}"),
            None => "a number without quotes".to_owned(),
        }),
        ("string", "true or false", _) => Some("true or false, without quotes".to_owned()),
        ("integer" | "floating" | "boolean", "a string", Some(written)) => {
            Some(format!("in quotes: \"{written}\""))
        }
        ("floating", "a number", _) => Some("a whole number".to_owned()),
        _ => None,
    };
    let found = match found {
        "map" => "a table".to_owned(),
        "sequence" => "a list".to_owned(),
        "string" => quoted("a string"),
        "boolean" => quoted("true or false"),
        "integer" => quoted("a number"),
        "floating" => quoted("a number with a fraction"),
        other => format!("{other} {rest}"),
    };
    Some((format!("expected {wanted}, found {}", found.trim()), help))
}

fn too_large(message: &str) -> Option<Said> {
    let help = || Some(format!("the largest number of TOML is {:#x}", i64::MAX));
    (message == "integer number overflowed").then(|| ("the number is too large".to_owned(), help()))
}

/// What stands in the text, where it is short enough for a message.
fn short<'a>(text: &'a str, span: &Range<usize>) -> Option<&'a str> {
    let written = text.get(span.clone())?.trim();
    let is_short = written.chars().count() <= 40 && !written.is_empty();
    Some(written).filter(|_| is_short && !written.contains(char::is_control))
}

fn is_number(text: &str) -> bool {
    let digits = text.replace('_', "");
    digits.parse::<i64>().is_ok()
        || digits
            .strip_prefix("0x")
            .is_some_and(|digits| u64::from_str_radix(digits, 16).is_ok())
}
