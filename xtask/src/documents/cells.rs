//! The matrices of SPECIFICATION.md: each error type at each place is shown by something that exists.
//!
//! A matrix is a table whose first header cell is `SET, shown by` or `AET, shown by`. Its columns are places, its rows
//! are error types, `UER, 0b11`. Each cell names scenarios and tests in backticks; or says, behind a dash, why there is
//! nothing to be shown. A scenario must have a syndrome of its row's type in it.

use super::tree::{read, root};
use super::{Keepers, quoted};

const DOCUMENT: &str = "SPECIFICATION.md";

/// What a matrix must have.
struct Matrix {
    corner: &'static str,
    places: &'static [&'static str],
    /// What each row begins with, and the values of the field that it is about; none where the row is about something
    /// else.
    rows: &'static [(&'static str, &'static [u64])],
    /// Where the field is in a syndrome, and which syndromes have it.
    field: fn(u64) -> Option<u64>,
}

const MATRICES: [Matrix; 2] = [
    Matrix {
        corner: "SET, shown by",
        places: &["EL0", "a walk for EL0", "a copy", "the kernel"],
        rows: &[
            ("UER, 0b00", &[0b00]),
            ("UEO, 0b11", &[0b11]),
            ("UC, 0b10", &[0b10]),
            ("reserved, 0b01", &[0b01]),
            ("parity or ECC", &[]),
            ("no FEAT_RAS", &[]),
        ],
        field: set,
    },
    Matrix {
        corner: "AET, shown by",
        places: &[
            "EL0",
            "the border of EL0",
            "a copy",
            "the kernel",
            "interrupt entry",
            "another handler",
        ],
        rows: &[
            ("CE, 0b110", &[0b110]),
            ("UEO, 0b010", &[0b010]),
            ("UER, 0b011", &[0b011]),
            ("UEU, 0b001", &[0b001]),
            ("UC, 0b000", &[0b000]),
            ("reserved", &[0b100, 0b101, 0b111]),
            ("none: IDS = 1", &[]),
            ("none: DFSC is not 0x11", &[]),
            ("none: no FEAT_RAS", &[]),
        ],
        field: aet,
    },
];

/// SET, bits 12:11 of an abort's syndrome [Arm ARM D24.2.45].
fn set(syndrome: u64) -> Option<u64> {
    matches!(syndrome >> 26, 0x20 | 0x21 | 0x24 | 0x25).then_some(syndrome >> 11 & 0b11)
}

/// AET, bits 12:10 of an SError's syndrome and of DISR_EL1 [Arm ARM D24.2.45, D24.2.37]; in a scenario also of ISS alone.
fn aet(syndrome: u64) -> Option<u64> {
    let is_serror = matches!(syndrome >> 26, 0x2f | 0x20 | 0);
    (is_serror && syndrome & 0x3f == 0x11).then_some(syndrome >> 10 & 0b111)
}

/// The syndromes in a scenario's text, whatever they are for.
fn syndromes(scenario: &str) -> impl Iterator<Item = u64> + '_ {
    const KEYS: [&str; 5] = ["esr", "disr", "or_disr", "syndrome", "with_serror"];
    scenario.lines().filter_map(|line| {
        let (key, value) = line.split_once(" = ")?;
        let digits = value.strip_prefix("0x").filter(|_| KEYS.contains(&key))?;
        u64::from_str_radix(digits, 16).ok()
    })
}

/// What can be looked up about a name.
struct Lookup<'a> {
    exists: &'a dyn Fn(&str) -> bool,
    scenario: &'a dyn Fn(&str) -> String,
}

impl Matrix {
    /// The rows of the table in `text`, each split into its cells, the header first.
    fn table<'t>(&self, text: &'t str) -> Vec<Vec<&'t str>> {
        let cells = |line: &'t str| -> Vec<&'t str> {
            let inner = line.trim_start_matches('|').trim_end_matches('|');
            inner.split('|').map(str::trim).collect()
        };
        text.lines()
            .skip_while(|line| !line.starts_with(&format!("| {} |", self.corner)))
            .take_while(|line| line.starts_with('|'))
            .filter(|line| !line.starts_with("| ---"))
            .map(cells)
            .collect()
    }

    /// Everything that is wrong with this matrix in `text`.
    fn problems(&self, text: &str, lookup: &Lookup<'_>) -> Vec<String> {
        let table = self.table(text);
        let Some((header, rows)) = table.split_first() else {
            return vec![format!("there is no table `{}`", self.corner)];
        };
        let mut problems = Vec::new();
        for place in self.places.iter().filter(|place| !header.contains(place)) {
            problems.push(format!("{}: no column `{place}`", self.corner));
        }
        for (label, _) in self.rows {
            if !rows.iter().any(|row| row.first() == Some(label)) {
                problems.push(format!("{}: no row `{label}`", self.corner));
            }
        }
        for row in rows {
            let label = row.first().copied().unwrap_or_default();
            if row.len() != header.len() {
                problems.push(format!("{label}: {} cells of {}", row.len(), header.len()));
            }
            let values = self.rows.iter().find(|(known, _)| *known == label);
            let values = values.map_or(&[][..], |(_, values)| values);
            for (place, cell) in header.iter().zip(row).skip(1) {
                let wrong = self.cell(cell, values, lookup);
                problems.extend(wrong.map(|wrong| format!("{label}, {place}: {wrong}")));
            }
        }
        problems
    }

    /// What is wrong with one cell.
    fn cell(&self, cell: &str, values: &[u64], lookup: &Lookup<'_>) -> Option<String> {
        if let Some(reason) = cell.strip_prefix('–') {
            let is_reason = reason.trim().len() >= 10 && !reason.contains('`');
            return (!is_reason).then(|| "a dash without a reason".to_owned());
        }
        if quoted(cell).next().is_none() {
            return Some("nothing shows it".to_owned());
        }
        quoted(cell).find_map(|name| {
            if !(lookup.exists)(name) {
                return Some(format!("there is no `{name}`"));
            }
            let is_about = values.is_empty()
                || !name.ends_with(".toml")
                || syndromes(&(lookup.scenario)(name))
                    .filter_map(self.field)
                    .any(|value| values.contains(&value));
            (!is_about).then(|| format!("`{name}` has no syndrome of this type"))
        })
    }
}

#[test]
fn every_error_type_at_every_place_is_shown() {
    let keepers = Keepers::of_the_tree();
    let lookup = Lookup {
        exists: &|name| keepers.exists(name),
        scenario: &|name| {
            std::fs::read_to_string(root().join("host-runner/scenarios").join(name)).unwrap_or_default()
        },
    };
    let text = read(DOCUMENT);
    let problems: Vec<_> = MATRICES
        .iter()
        .flat_map(|matrix| matrix.problems(&text, &lookup))
        .collect();
    assert!(problems.is_empty(), "{DOCUMENT}:\n{}", problems.join("\n"));
}

/// A matrix as it should be, made of one scenario a row.
fn good(matrix: &Matrix) -> String {
    let mut text = format!("Before.\n\n| {} |", matrix.corner);
    matrix
        .places
        .iter()
        .for_each(|place| text += &format!(" {place} |"));
    text += "\n| --- |";
    text += &" --- |".repeat(matrix.places.len());
    for (row, (label, _)) in matrix.rows.iter().enumerate() {
        text += &format!("\n| {label} |");
        text += &format!(" `{row}.toml`, `a_test` |").repeat(matrix.places.len());
    }
    text + "\n\nBehind."
}

/// What is wrong with `text`, where `N.toml` is a scenario of the Nth row's type.
fn wrong_with(matrix: &Matrix, text: &str) -> Vec<String> {
    let is_row = |name: &str| {
        name.strip_suffix(".toml")
            .and_then(|row| row.parse::<usize>().ok())
            .is_some_and(|row| row < matrix.rows.len())
    };
    let scenario = |name: &str| {
        let row: usize = name.trim_end_matches(".toml").parse().unwrap();
        let value = matrix.rows[row].1.last().copied().unwrap_or_default();
        let syndrome = match matrix.corner {
            "SET, shown by" => 0x9200_0010 | value << 11,
            _ => 0xbe00_0011 | value << 10,
        };
        format!("far = 0x50001810\nesr = {syndrome:#x}\n")
    };
    let lookup = Lookup {
        exists: &|name| name == "a_test" || is_row(name),
        scenario: &scenario,
    };
    matrix.problems(text, &lookup)
}

#[test]
fn whatever_is_taken_out_of_a_matrix_is_missed() {
    for matrix in &MATRICES {
        let good = good(matrix);
        assert_eq!(wrong_with(matrix, &good), Vec::<String>::new());
        let missed = |text: &str, complaint: &str| {
            let wrong = wrong_with(matrix, text);
            assert!(
                wrong.iter().any(|wrong| wrong.contains(complaint)),
                "{complaint}: {wrong:?}\n{text}"
            );
        };
        missed("", "there is no table");
        for place in matrix.places {
            missed(&good.replace(&format!(" {place} |"), " elsewhere |"), "no column");
        }
        for (row, (label, values)) in matrix.rows.iter().enumerate() {
            let line = good
                .lines()
                .find(|line| line.starts_with(&format!("| {label} |")));
            let line = line.unwrap();
            missed(&good.replace(&format!("{line}\n"), ""), "no row");
            let (before_last, _) = line.trim_end_matches('|').rsplit_once('|').unwrap();
            missed(&good.replace(line, before_last), "cells of");
            // Each cell of it, one after the other.
            let cell = format!(" `{row}.toml`, `a_test` |");
            let length = cell.len();
            for (at, _) in line.match_indices(&cell) {
                let with = |cell: &str| {
                    let mut changed = line.to_owned();
                    changed.replace_range(at..at + length, cell);
                    good.replace(line, &changed)
                };
                missed(&with(" |"), "nothing shows it");
                missed(&with(" remedy |"), "nothing shows it");
                missed(&with(" `gone.toml` |"), "there is no `gone.toml`");
                missed(&with(" `a_test`, `no_test` |"), "there is no `no_test`");
                missed(&with(" – |"), "a dash without a reason");
                assert!(wrong_with(matrix, &with(" – no such thing can be |")).is_empty());
                if !values.is_empty() {
                    let other = format!(" `{}.toml` |", if row == 0 { 1 } else { 0 });
                    missed(&with(&other), "has no syndrome of this type");
                }
            }
        }
    }
}

#[test]
fn a_types_value_is_found_in_what_a_scenario_says() {
    let found: Vec<_> =
        syndromes("esr = 0xbe000c11\nfar = 0x11\n  syndrome = 0x811\ndisr = 0x80000411\n").collect();
    assert_eq!(found, [0xbe00_0c11, 0x8000_0411]);
    assert_eq!(aet(0xbe00_0c11), Some(0b011));
    assert_eq!(aet(0x8000_0411), Some(0b001), "DISR_EL1.A");
    assert_eq!(aet(0x1811), Some(0b110), "ISS alone");
    assert_eq!(aet(0xbe00_0c00), None, "DFSC is not 0x11");
    assert_eq!(aet(0x9200_0011), None, "an abort");
    assert_eq!(set(0x9200_1810), Some(0b11));
    assert_eq!(set(0x8600_1010), Some(0b10));
    assert_eq!(set(0xbe00_1010), None);
}
