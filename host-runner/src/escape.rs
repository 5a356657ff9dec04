//! Text from the other side, made fit for terminals and files: control characters and broken UTF-8 become visible
//! escapes, so that no guest can move a cursor, end a tag, or break a line.

use std::fmt::Write as _;

/// Longer lines are cut.
pub const LONGEST_LINE: usize = 400;

/// One piece of text without control characters; tabs become spaces.
#[must_use]
pub fn text(raw: &str) -> String {
    let mut clean = String::with_capacity(raw.len());
    for character in raw.chars() {
        push(&mut clean, character);
    }
    clean
}

/// The lines of a console's bytes, each escaped and cut to a length.
#[must_use]
pub fn lines(raw: &[u8]) -> Vec<String> {
    let mut raw_lines: Vec<&[u8]> = raw.split(|byte| *byte == b'\n').collect();
    if raw_lines.last().is_some_and(|line| line.is_empty()) {
        raw_lines.pop();
    }
    raw_lines
        .into_iter()
        .map(|line| self::line(line.strip_suffix(b"\r").unwrap_or(line)))
        .collect()
}

fn line(raw: &[u8]) -> String {
    let mut clean = String::new();
    for chunk in raw.utf8_chunks() {
        chunk
            .valid()
            .chars()
            .for_each(|character| push(&mut clean, character));
        for byte in chunk.invalid() {
            let _ = write!(clean, "\\x{byte:02x}");
        }
        if clean.chars().count() > LONGEST_LINE {
            break;
        }
    }
    match clean.char_indices().nth(LONGEST_LINE) {
        Some((cut, _)) => format!("{}…", clean.get(..cut).unwrap_or_default()),
        None => clean,
    }
}

fn push(clean: &mut String, character: char) {
    match character {
        '\t' => clean.push_str("    "),
        // Bidirectional controls reorder what a terminal shows.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => clean.extend(character.escape_unicode()),
        control if control.is_control() => clean.extend(control.escape_default()),
        other => clean.push(other),
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_LINE, lines, text};

    #[test]
    fn no_control_character_survives() {
        assert_eq!(text("a\x1b[31mb\u{202e}c\x07"), "a\\u{1b}[31mb\\u{202e}c\\u{7}");
        assert_eq!(
            lines(b"one\r\n\x1b]0;x\x07\n\xff\xfe\n"),
            ["one", "\\u{1b}]0;x\\u{7}", "\\xff\\xfe"]
        );
        let all: Vec<u8> = (0..=255).collect();
        assert!(lines(&all).iter().all(|line| !line.chars().any(char::is_control)));
    }

    #[test]
    fn endless_lines_are_cut() {
        let cut = lines(&[b'x'; 100_000]);
        assert_eq!(
            cut.first().map(|line| line.chars().count()),
            Some(LONGEST_LINE + 1)
        );
    }
}
