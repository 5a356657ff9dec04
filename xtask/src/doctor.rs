//! What `seawall doctor` says here, and from inside the lab on both kernels, held against what is so.

use anyhow::Result;
use serde::Deserialize;

use crate::linux_image::numbers;
use crate::process::{bounded, say};
use crate::runner;
use crate::setup::Ready;
use crate::steps::ending;
use crate::tally::Tally;
use crate::workspace::Workspace;

/// Facts by their id, and what is so of them.
type Expected = &'static [(&'static str, Option<bool>)];

/// A laptop cannot run the guest itself, and is not asked for what only an arm64 KVM has.
const LAPTOP: Expected = &[
    ("architecture", Some(false)),
    ("cap-sea-to-user", None),
    ("kvm", Some(false)),
    ("qemu", Some(true)),
];
/// What every kernel in the lab gives.
const LAB: Expected = &[
    ("architecture", Some(true)),
    ("cap-nisv-to-user", Some(true)),
    ("cap-inject-ext-dabt", Some(true)),
    ("cap-inject-serror-esr", Some(true)),
    ("memory-failure", Some(true)),
    ("guest-ras", Some(true)),
    ("sandbox", Some(true)),
    ("events-arguments", Some(true)),
    ("uffd", Some(true)),
    ("hwpoison", Some(true)),
    ("hwpoison-early", Some(true)),
    ("read-only", Some(true)),
    ("mend", Some(true)),
    ("above-ipa", Some(true)),
    ("kick", Some(true)),
    ("patrol", Some(true)),
    ("bus-objerr", Some(true)),
    ("save", Some(true)),
    // Its KVM does not nest: a lab for that is one of its own.
    ("el2", Some(false)),
];
/// [Linux Documentation/virt/kvm/api.rst §7.45] the exit came with Linux 6.19.
const WITH_EXIT: Expected = &[("cap-sea-to-user", Some(true)), ("sea-exit", Some(true))];
const WITHOUT_EXIT: Expected = &[("cap-sea-to-user", Some(false)), ("sea-exit", Some(false))];

/// A line of the doctor's; some have neither.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Row {
    id: String,
    ok: Option<bool>,
}

pub(crate) fn ask_all(workspace: &Workspace, ready: &Ready) -> Result<Tally> {
    let here: &[Expected] = if std::env::consts::ARCH == "x86_64" {
        &[LAPTOP]
    } else {
        &[]
    };
    let mut tally = ask(runner::command(workspace), &[], "this host", here)?;
    let newer = Some(&ready.lab);
    for (place, kernel) in [
        ("the lab", newer),
        ("the lab on the older kernel", ready.older.as_ref()),
    ] {
        tally += match kernel {
            Some(Ok(kernel)) => {
                let command = runner::with_kernel(workspace, kernel);
                // A kernel that was named by hand may be any.
                let has_exit = numbers(&kernel.version).is_none_or(|version| version >= (6, 19));
                let exit = if has_exit { WITH_EXIT } else { WITHOUT_EXIT };
                ask(command, &["--backend", "lab"], place, &[LAB, exit])?
            }
            Some(Err(reason)) => {
                say(format!("SKIP doctor in {place}: {reason}"));
                Tally::SKIPPED
            }
            None => Tally::default(),
        };
    }
    Ok(tally)
}

fn ask(
    mut command: std::process::Command,
    arguments: &[&str],
    place: &str,
    expected: &[Expected],
) -> Result<Tally> {
    command.args(["doctor", "--format", "ndjson"]).args(arguments);
    let ended = bounded(&mut command, runner::LIMIT, false)?;
    let wrong = differences(&ended.text, expected);
    let is_well = ended.status.is_some_and(|status| status.success()) && wrong.is_empty();
    println!("{} doctor on {place}", if is_well { "ok" } else { "not ok" });
    if !is_well {
        say(ending(&ended, &command));
        say(&ended.text);
        wrong.iter().for_each(say);
    }
    Ok(Tally::of(is_well))
}

/// What is not as expected.
fn differences(text: &str, expected: &[Expected]) -> Vec<String> {
    let rows: Vec<Row> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let mut wrong = Vec::new();
    if rows.is_empty() {
        wrong.push("doctor said nothing".to_owned());
    }
    for (id, ok) in expected.iter().copied().flatten() {
        let found = rows.iter().find(|row| row.id == *id);
        if found.map(|row| row.ok) != Some(*ok) {
            wrong.push(format!("doctor: {id}: expected {ok:?}, got {found:?}"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::{LAPTOP, differences};

    #[test]
    fn a_row_that_is_missing_or_says_otherwise_is_a_difference() {
        let text = r#"{"event":"doctor-started"}
{"event":"fact","id":"architecture","ok":false}
{"event":"fact","id":"cap-sea-to-user","ok":null}
{"event":"backend","id":"kvm","ok":false}
{"event":"fact","id":"qemu","ok":true}"#;
        assert!(differences(text, &[LAPTOP]).is_empty());
        assert_eq!(differences(&text.replace("null", "true"), &[LAPTOP]).len(), 1);
        assert_eq!(differences(&text.replace("qemu", "nothing"), &[LAPTOP]).len(), 1);
        assert!(!differences("", &[]).is_empty());
    }
}
