//! How wide what is printed for people may be.

use std::io::{self, IsTerminal as _};

/// Narrower than this nothing is made: the bits of half a register would be broken.
pub const LEAST: usize = 60;

/// Columns of what standard output goes to: by COLUMNS where that is set, else the terminal's. `None`: it is no terminal,
/// or does not say, and what is printed has a width of its own.
#[must_use]
pub fn of_stdout() -> Option<usize> {
    let stdout = io::stdout();
    chosen(std::env::var("COLUMNS").ok().as_deref(), || {
        let size = stdout
            .is_terminal()
            .then(|| terminal_size::terminal_size_of(&stdout));
        size.flatten().map(|(width, _)| usize::from(width.0))
    })
}

fn chosen(columns: Option<&str>, terminal: impl FnOnce() -> Option<usize>) -> Option<usize> {
    let is_wide = |columns: &usize| *columns > 0;
    columns
        .and_then(|columns| columns.trim().parse().ok())
        .filter(is_wide)
        .or_else(|| terminal().filter(is_wide))
        .map(|columns: usize| columns.max(LEAST))
}

/// Breaks text at words. A word that is longer than a line stays whole: it is a path, and is to be copied.
#[must_use]
pub fn broken(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_go_before_the_terminal_and_nothing_is_narrower_than_the_least() {
        for (columns, terminal, width) in [
            (None, None, None),
            (None, Some(0), None),
            (None, Some(132), Some(132)),
            (None, Some(20), Some(LEAST)),
            (Some("100"), Some(132), Some(100)),
            (Some("1"), None, Some(LEAST)),
            (Some("0"), Some(80), Some(80)),
            (Some("wide"), Some(80), Some(80)),
            (Some(""), None, None),
        ] {
            assert_eq!(chosen(columns, || terminal), width, "{columns:?} {terminal:?}");
        }
    }

    #[test]
    fn lines_are_broken_at_words_and_long_words_are_whole() {
        assert_eq!(broken("a bb ccc", 4), ["a bb", "ccc"]);
        assert_eq!(broken("a /very/long b", 4), ["a", "/very/long", "b"]);
        assert_eq!(broken("  ", 4), [""; 0]);
    }
}
