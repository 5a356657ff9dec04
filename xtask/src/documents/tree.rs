//! The tree as the checks see it: source files, their code without comments and texts, and the tests in them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The workspace's root. Cargo says it when the test runs: what it said at the build may be another clone's, where two
/// share a target directory.
pub(super) fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package)
        .parent()
        .expect("the xtask package has a parent folder")
        .to_path_buf()
}

/// A file by its path from the root.
pub(super) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A Rust source file.
pub(super) struct Source {
    /// From the root, with slashes.
    pub(super) path: String,
    pub(super) text: String,
    /// The text without comments, strings and characters.
    pub(super) code: String,
}

/// Every Rust source file of the workspace, without what was built.
pub(super) fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root(), &mut found);
    assert!(found.len() > 50, "the tree was not found");
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder of the workspace").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                collect(&path, found);
            }
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).expect("source is UTF-8");
            let from_root = path.strip_prefix(root()).expect("it lies under the root");
            found.push(Source {
                path: from_root.to_string_lossy().replace('\\', "/"),
                code: code(&text),
                text,
            });
        }
    }
}

/// The names of all test functions.
pub(super) fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for source in sources() {
        let mut is_test = false;
        for line in source.text.lines().map(str::trim) {
            if line == "#[test]" {
                is_test = true;
            } else if is_test
                && let Some((name, _)) = line.strip_prefix("fn ").and_then(|rest| rest.split_once('('))
            {
                names.insert(name.to_owned());
                is_test = false;
            }
        }
    }
    names
}

/// Source without its comments, strings and characters; line breaks stay.
pub(super) fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = code.ends_with(is_word);
        match no_code(rest, after_word) {
            Some(length) => {
                let (gone, left) = rest.split_at(length);
                code.push(' ');
                code.extend(gone.chars().filter(|c| *c == '\n'));
                rest = left;
            }
            None => {
                code.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    code
}

/// How many bytes at the beginning are a comment, a string or a character.
fn no_code(rest: &str, after_word: bool) -> Option<usize> {
    let to_end_of = |from: usize, end: &str| {
        rest.get(from..)
            .and_then(|tail| tail.find(end))
            .map_or(rest.len(), |at| from + at + end.len())
    };
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(to_end_of(2, "*/"));
    }
    if !after_word
        && let Some(raw) = ["r", "br", "cr"]
            .iter()
            .find_map(|prefix| rest.strip_prefix(prefix))
    {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let start = rest.len() - raw.len() + hashes + 1;
            return Some(to_end_of(start, &format!("\"{}", "#".repeat(hashes))));
        }
    }
    let mut characters = rest.char_indices();
    match characters.next()?.1 {
        '"' => {
            let mut escaped = false;
            for (at, character) in characters {
                match character {
                    _ if escaped => escaped = false,
                    '\\' => escaped = true,
                    '"' => return Some(at + 1),
                    _ => {}
                }
            }
            Some(rest.len())
        }
        '\'' => {
            let (_, second) = characters.next()?;
            if second == '\\' {
                return Some(to_end_of(3, "'"));
            }
            // Anything longer is a lifetime.
            let (at, third) = characters.next()?;
            (third == '\'').then_some(at + 1)
        }
        _ => None,
    }
}

pub(super) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Whether `word` stands in `code` by itself.
pub(super) fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(is_word) && !code[at + word.len()..].starts_with(is_word))
}

#[test]
fn comments_and_texts_are_no_code() {
    let text = "a(\"un\\\"safe\"); // unsafe\nlet b = '\"'; /* unsafe\n*/ r#\"unsafe \" x\"#; fn c<'a>(x: &'a u8) { '\\'' }";
    let code = code(text);
    assert!(!has_word(&code, "unsafe"), "{code}");
    assert_eq!(code.matches('\n').count(), 2, "{code}");
    assert!(code.contains("fn c<'a>(x: &'a u8)"), "{code}");
    assert!(has_word("x unsafe {", "unsafe") && !has_word("unsafe_code", "unsafe"));
}
