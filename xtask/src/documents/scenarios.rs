//! The reference of scenario files, held against the code that reads them: its keys, its words and the guest's programs.

use std::collections::{BTreeMap, BTreeSet};

use super::quoted;
use super::tree::{read, sources};

const DOCUMENT: &str = "docs/scenarios.md";
const KEYS: &str = "| key | value | default | meaning |";
const WORDS: &str = "| key | word | meaning |";
const PROGRAMS: &str = "| program | what it does | announces | starts |";

/// Each table of a file as serde reads it, and the heading of its keys.
const TABLES: [(&str, &str); 11] = [
    ("RawScenario", "The top of the file"),
    ("RawGuest", "`[guest]`"),
    ("RawInject", "`[[inject]]`"),
    ("RawRandom", "`[random]`"),
    ("RawBudget", "`[budget]`"),
    ("RawExpect", "`[expect]`"),
    ("RawAbort", "`[[expect.abort]]`"),
    ("RawBefore", "`esr_before` of `[[expect.abort]]`"),
    ("RawPending", "`[[expect.pending]]`"),
    ("RawMapping", "`[[expect.mapping]]`"),
    ("RawTold", "`[[expect.told]]`"),
];
const LINUX: (&str, &str) = ("RawLinux", "`[expect.linux]`");

/// Each list of words, and the key whose value is one of them.
const LISTS: [(&str, &str); 16] = [
    ("Platform", "backends"),
    ("Route", "route"),
    ("Window", "at"),
    ("Kind", "vector"),
    ("ByItself", "what"),
    ("When", "after"),
    ("Cpu", "cpu"),
    ("GuestEnd", "end"),
    ("Cause", "cause"),
    ("Level", "from"),
    ("Severity", "severity"),
    ("Decision", "decision"),
    ("Frame", "frame"),
    ("FinalState", "expect.tasks"),
    ("Does", "does"),
    ("LinuxOutcome", "outcome"),
];

/// Programs whose announcements are not written in the source as one call for each.
const BY_HAND: [&str; 9] = [
    "bench",
    "bench_frames",
    "bench_tasks",
    "handler",
    "own_stack",
    "regions",
    "victim_serror",
    "walk_1",
    "walk_2",
];

/// The rows of every table with this header, each under the heading that is above it.
fn rows<'a>(text: &'a str, header: &str) -> Vec<(&'a str, Vec<&'a str>)> {
    let (mut heading, mut is_inside, mut found) = ("", false, Vec::new());
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("### ") {
            heading = name;
        }
        if line == header {
            is_inside = true;
        } else if !line.starts_with('|') {
            is_inside = false;
        } else if is_inside && !line.starts_with("| ---") {
            found.push((
                heading,
                line.trim_matches('|').split(" | ").map(str::trim).collect(),
            ));
        }
    }
    found
}

fn bare(cell: &str) -> String {
    cell.trim_matches('`').to_owned()
}

/// The fields of each struct of `text`.
fn structs(text: &str) -> BTreeMap<&str, BTreeSet<String>> {
    let fields = |body: &str| {
        let lines = body
            .lines()
            .filter_map(|line| line.trim().strip_prefix("pub(super) "));
        lines
            .filter_map(|line| Some(line.split_once(':')?.0.to_owned()))
            .collect()
    };
    text.split("pub(super) struct ")
        .skip(1)
        .filter_map(|rest| rest.split_once(" {\n"))
        .filter_map(|(name, rest)| Some((name, fields(rest.split_once("\n}")?.0))))
        .collect()
}

#[test]
fn every_key_of_a_scenario_is_in_the_reference_and_none_beside_them() {
    let source = read("host-runner/src/scenario/raw.rs");
    let mut known = structs(&source);
    known.retain(|name, _| name.starts_with("Raw"));
    let text = read(DOCUMENT);
    let mut told: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (heading, row) in rows(&text, KEYS) {
        assert_eq!(row.len(), 4, "{row:?}");
        assert!(row.iter().all(|cell| !cell.is_empty()), "{row:?}");
        assert!(
            told.entry(heading).or_default().insert(bare(row[0])),
            "twice: {row:?}"
        );
    }
    for (name, heading) in TABLES.into_iter().chain([LINUX]) {
        let known = known
            .remove(name)
            .unwrap_or_else(|| panic!("no {name} in raw.rs"));
        assert_eq!(told.remove(heading), Some(known), "{DOCUMENT}: {heading}");
    }
    assert!(known.is_empty() && told.is_empty(), "{known:?} {told:?}");
}

/// Every list of words in the scenarios' source: by the macro, and by hand.
fn lists() -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    for source in sources() {
        if !source.path.starts_with("host-runner/src/scenario/") {
            continue;
        }
        for block in source.text.split("\nwords! {\n").skip(1) {
            let block = block.split("\n}\n").next().unwrap_or_default();
            let name = block.lines().find_map(|line| line.trim().strip_suffix(" {"));
            let words = block
                .lines()
                .filter_map(|line| Some(line.split_once(" = \"")?.1.trim_end_matches("\",").to_owned()));
            found.insert(name.expect("a list has a name").to_owned(), words.collect());
        }
        for block in source.text.split("\nimpl Word for ").skip(1) {
            let (name, block) = block.split_once(" {\n").expect("an impl has a body");
            let block = block.split("\n}\n").next().unwrap_or_default();
            let words = block
                .split("(\"")
                .skip(1)
                .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()));
            found.insert(name.to_owned(), words.collect());
        }
    }
    found
}

#[test]
fn every_word_of_a_scenario_is_in_the_reference_and_none_beside_them() {
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, row) in rows(&read(DOCUMENT), WORDS) {
        assert!(row.len() == 3 && !row[2].is_empty(), "{row:?}");
        assert!(
            told.entry(bare(row[0])).or_default().insert(bare(row[1])),
            "twice: {row:?}"
        );
    }
    let mut known = lists();
    for (name, key) in LISTS {
        let known = known.remove(name).unwrap_or_else(|| panic!("no list {name}"));
        assert!(known.len() >= 2, "{name}: {known:?}");
        assert_eq!(told.remove(key), Some(known), "{DOCUMENT}: words of `{key}`");
    }
    assert!(known.is_empty() && told.is_empty(), "{known:?} {told:?}");
}

/// What a program announces, as far as each is a call of its own: `checkpoint 1`.
fn announcements(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if code.contains("seawall_tasks::touch!(") {
        found.insert("checkpoint 1".to_owned());
    }
    for rest in code.split("announce(slot, ").skip(1) {
        let number = rest.split(')').next().unwrap_or_default();
        found.insert(format!("user {number}"));
    }
    for rest in code.split("checkpoint(").skip(1) {
        let Some((number, rest)) = rest.split_once(", ") else {
            continue;
        };
        let what = rest.split_once("What::").map_or("", |(_, what)| what);
        let what = what.split(')').next().unwrap_or_default();
        let Ok(number) = number.parse::<u32>() else {
            continue;
        };
        let (window, numbers) = match what {
            "Border" | "Interrupt" => ("border", 1),
            "Deferred" => ("border", 2),
            "Kernel" | "Region" => ("kernel", 1),
            "Masked" => ("masked", 2),
            "Copy" => ("copy", 2),
            "Handler" => ("handler", 1),
            _ => ("checkpoint", 1),
        };
        found.extend((number..number + numbers).map(|number| format!("{window} {number}")));
    }
    found
}

#[test]
fn every_program_of_the_guest_is_in_the_reference_with_what_it_announces() {
    let folder = "firmware/tasks/src/bin/";
    let mut known = BTreeMap::new();
    for source in sources() {
        if let Some(name) = source.path.strip_prefix(folder) {
            known.insert(
                name.trim_end_matches(".rs").to_owned(),
                announcements(&source.code),
            );
        }
    }
    assert!(known.len() > 50, "{}", known.len());
    let text = read(DOCUMENT);
    for (_, row) in rows(&text, PROGRAMS) {
        assert!(row.len() == 4 && !row[1].is_empty(), "{row:?}");
        let name = bare(row[0]);
        let announced = known
            .remove(&name)
            .unwrap_or_else(|| panic!("{DOCUMENT}: there is no program {name}"));
        let told: BTreeSet<String> = quoted(row[2]).map(str::to_owned).collect();
        if BY_HAND.contains(&name.as_str()) {
            assert!(
                told.is_superset(&announced) && !told.is_empty(),
                "{name}: {announced:?}"
            );
        } else {
            assert_eq!(told, announced, "{DOCUMENT}: {name}");
        }
    }
    assert!(known.is_empty(), "{DOCUMENT}: missing {known:?}");
}

#[test]
fn what_a_program_starts_is_what_the_scenarios_know() {
    let source = read("host-runner/src/scenario/mod.rs");
    let (_, list) = source.split_once("pub const PROGRAMS: ").expect("the programs");
    let (list, _) = list.split_once("];\n").expect("their end");
    let known: BTreeMap<String, BTreeSet<String>> = list
        .split("\n    (\"")
        .skip(1)
        .filter_map(|entry| entry.split_once('"'))
        .map(|(name, starts)| {
            (
                name.to_owned(),
                starts.split('"').skip(1).step_by(2).map(str::to_owned).collect(),
            )
        })
        .collect();
    let text = read(DOCUMENT);
    let told: BTreeMap<String, BTreeSet<String>> = rows(&text, PROGRAMS)
        .into_iter()
        .map(|(_, row)| (bare(row[0]), quoted(row[3]).map(str::to_owned).collect()))
        .collect();
    assert_eq!(told, known);
}
