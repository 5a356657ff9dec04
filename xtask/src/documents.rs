//! The documents, held against the tree: whatever README.md, ARCHITECTURE.md, SPECIFICATION.md and the crates' own say
//! is there, must be there.
//!
//! An invariant of ARCHITECTURE.md ends with "Kept by" and a promise of SPECIFICATION.md with "Shown by"; what follows
//! in backticks is a test, a scenario's file, a lint of the workspace, a linker script with assertions, or a command of
//! this xtask.

mod cells;
mod einj;
mod external_aborts;
mod house;
mod scenarios;
mod tree;

use std::collections::BTreeSet;
use std::path::Path;

use clap::Parser as _;

use tree::{read, root};

const DOCUMENTS: [&str; 11] = [
    "README.md",
    "ARCHITECTURE.md",
    "SPECIFICATION.md",
    "CHANGELOG.md",
    "agent/README.md",
    "replay/README.md",
    "firmware/README.md",
    "docs/einj-mem-uc.md",
    "docs/external-aborts.md",
    "docs/routes.md",
    "docs/scenarios.md",
];

/// What is written in backticks, on one line.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.starts_with("```"))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Blocks of lines between empty lines, outside of fenced ones.
fn paragraphs(text: &str) -> Vec<String> {
    let mut is_fenced = false;
    let mut found = vec![String::new()];
    for line in text.lines() {
        if line.starts_with("```") {
            is_fenced = !is_fenced;
        } else if line.is_empty() {
            found.push(String::new());
        } else if !is_fenced && let Some(last) = found.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    found
}

/// What can keep an invariant, or show that a promise holds.
struct Keepers {
    tests: BTreeSet<String>,
    workspace: String,
}

impl Keepers {
    fn of_the_tree() -> Self {
        Self {
            tests: tree::tests(),
            workspace: read("Cargo.toml"),
        }
    }

    fn exists(&self, name: &str) -> bool {
        if let Some(lint) = name.strip_prefix("clippy::") {
            return self.is_lint(lint);
        }
        if name.ends_with(".toml") {
            return root().join("host-runner/scenarios").join(name).is_file();
        }
        if name.ends_with(".ld") {
            let script = root().join("linker/src").join(name);
            return std::fs::read_to_string(script).is_ok_and(|text| text.contains("ASSERT("));
        }
        if name.starts_with("cargo xtask ") {
            return is_command(name);
        }
        self.tests.contains(name) || self.is_lint(name)
    }

    fn is_lint(&self, name: &str) -> bool {
        ["warn", "deny"]
            .iter()
            .any(|level| self.workspace.contains(&format!("\n{name} = \"{level}\"\n")))
    }

    /// Holds the list behind `mark` against the tree; an empty one keeps nothing.
    fn check(&self, document: &str, claim: &str, mark: &str) {
        let list = claim.split_once(mark).map_or("", |(_, list)| list);
        let names: Vec<_> = quoted(list).collect();
        assert!(!names.is_empty(), "{document}: nothing after `{mark}`: {claim}");
        for name in names {
            assert!(self.exists(name), "{document}: there is no `{name}`: {claim}");
        }
    }
}

#[test]
fn every_invariant_names_what_keeps_it() {
    let keepers = Keepers::of_the_tree();
    let text = read("ARCHITECTURE.md");
    let invariants: Vec<_> = paragraphs(&text)
        .into_iter()
        .filter(|paragraph| paragraph.contains("Invariant:"))
        .collect();
    assert!(invariants.len() >= 10, "{} invariants", invariants.len());
    for invariant in invariants {
        assert_eq!(invariant.matches("Invariant:").count(), 1, "{invariant}");
        keepers.check("ARCHITECTURE.md", &invariant, "Kept by");
    }
}

#[test]
fn every_promise_is_numbered_and_shown() {
    let keepers = Keepers::of_the_tree();
    let text = read("SPECIFICATION.md");
    let promises: Vec<_> = paragraphs(&text)
        .into_iter()
        .filter(|paragraph| paragraph.starts_with("**"))
        .collect();
    assert!(promises.len() >= 20, "{} promises", promises.len());
    for (number, promise) in (1..).zip(promises) {
        assert!(
            promise.starts_with(&format!("**{number}.** ")),
            "not {number}: {promise}"
        );
        keepers.check("SPECIFICATION.md", &promise, "Shown by");
    }
}

#[test]
fn every_row_of_the_decision_tables_is_shown() {
    let keepers = Keepers::of_the_tree();
    let text = read("SPECIFICATION.md") + &read("docs/routes.md");
    let mut is_shown = false;
    let mut rows = 0;
    for line in text.lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        match cells.as_slice() {
            ["", .., "shown by", ""] => is_shown = true,
            ["", .., rule, ""] if rule.starts_with("---") => {}
            ["", .., last, ""] if is_shown => {
                rows += 1;
                assert!(quoted(last).next().is_some(), "{line}");
                quoted(last).for_each(|name| assert!(keepers.exists(name), "there is no `{name}`: {line}"));
            }
            _ => is_shown = false,
        }
    }
    assert!(rows >= 15, "{rows} rows");
}

/// The command lines in a document: whole lines of fenced blocks, and what is in backticks elsewhere.
fn command_lines(text: &str) -> Vec<String> {
    let mut is_fenced = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            is_fenced = !is_fenced;
        } else if is_fenced {
            let line = line.split(" # ").next().unwrap_or_default();
            found.push(line.trim().trim_start_matches("$ ").to_owned());
        } else {
            found.extend(quoted(line).map(str::to_owned));
        }
    }
    found
}

fn is_command(line: &str) -> bool {
    let words = line.split_whitespace().skip(1);
    match crate::Cli::try_parse_from(words) {
        Ok(_) => true,
        Err(error) => !error.use_stderr(),
    }
}

/// Names of the runner's subcommands and long options, as its source declares them to clap: this crate imports nothing
/// of the workspace.
fn runner_words() -> (BTreeSet<String>, BTreeSet<String>) {
    let text = read("host-runner/src/command/mod.rs");
    let (_, variants) = text.split_once("enum Command {").expect("the runner's commands");
    let (variants, _) = variants.split_once('}').expect("their end");
    let commands = variants
        .lines()
        .filter_map(|line| Some(line.trim().split_once('(')?.0.to_lowercase()))
        .collect();
    let mut options = BTreeSet::from(["help".to_owned(), "version".to_owned()]);
    for source in tree::sources() {
        if !source.path.starts_with("host-runner/src/") {
            continue;
        }
        for (at, mark) in source.text.match_indices("#[arg(long") {
            let rest = &source.text[at + mark.len()..];
            let name = match rest.strip_prefix(" = \"") {
                Some(named) => named.split('"').next(),
                None => rest
                    .split_once("]\n")
                    .and_then(|(_, field)| field.trim_start().split(':').next())
                    .map(|field| field.trim_start_matches("pub(super) ").trim_start_matches("pub ")),
            };
            options.extend(name.map(|name| name.replace('_', "-")));
        }
    }
    (commands, options)
}

#[test]
fn commands_in_the_documents_exist() {
    let (commands, options) = runner_words();
    assert!(
        commands.contains("explain") && options.contains("backend"),
        "{commands:?} {options:?}"
    );
    let mut xtask = 0;
    let mut runner = 0;
    for document in DOCUMENTS {
        for line in command_lines(&read(document)) {
            if line.starts_with("cargo xtask ") {
                xtask += 1;
                assert!(is_command(&line), "{document}: `{line}`");
            }
            let mut words = line.split_whitespace();
            let program = words.next().unwrap_or_default();
            if program != "seawall" && program != "target/seawall/seawall" {
                continue;
            }
            let Some(command) = words.next() else { continue };
            runner += 1;
            assert!(commands.contains(command), "{document}: `{line}`");
            for option in words.filter_map(|word| word.strip_prefix("--")) {
                assert!(options.contains(option), "{document}: `{line}`: --{option}");
            }
        }
    }
    assert!(xtask >= 4 && runner >= 6, "{xtask} and {runner}");
}

#[test]
fn links_and_paths_lead_somewhere() {
    let folders = [
        "agent/",
        "replay/",
        "firmware/",
        "shim/",
        "linker/",
        "host-runner/",
        "xtask/",
        "fuzz/",
        "docs/",
    ];
    for document in DOCUMENTS {
        let text = read(document);
        let folder = Path::new(document).parent().unwrap_or(Path::new(""));
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split([')', '#']).next().unwrap_or_default();
            if !target.is_empty() && !target.starts_with("http") {
                let path = root().join(folder).join(target);
                assert!(path.exists(), "{document}: ({target})");
            }
        }
        for path in paragraphs(&text).iter().flat_map(|paragraph| quoted(paragraph)) {
            if folders.iter().any(|folder| path.starts_with(folder)) {
                assert!(root().join(path).exists(), "{document}: `{path}`");
            }
        }
        // What is true on one machine alone.
        for place in ["/home/", "/root/", "/work/", "/tmp/"] {
            assert!(!text.contains(place), "{document}: {place}");
        }
    }
}

#[test]
fn exit_codes_are_the_runners_own() {
    let source = read("host-runner/src/command/mod.rs");
    let (_, codes) = source.split_once("pub enum Exit {").expect("the exit codes");
    let (codes, _) = codes.split_once("\n}").expect("their end");
    let declared: Vec<_> = codes
        .lines()
        .filter_map(|line| Some(line.split_once(" = ")?.1.trim_end_matches(',')))
        .collect();
    for document in ["README.md", "SPECIFICATION.md"] {
        let text = read(document);
        let (_, table) = text.split_once("| exit code |").expect(document);
        let (table, _) = table.split_once("\n\n").expect(document);
        let told: Vec<_> = table
            .lines()
            .skip(2)
            .filter_map(|line| line.split('|').nth(1))
            .map(str::trim)
            .collect();
        assert_eq!(told, declared, "{document}");
    }
}
