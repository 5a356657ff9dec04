//! How the run ended, what the guest said of it, and whether its journal can be read.

use seawall_replay::port::End;

use super::{Case, Findings};
use crate::backend::RunEnd;
use crate::escape;
use crate::scenario::GuestEnd;

pub(super) fn check(case: &Case<'_>, findings: &mut Findings) {
    let expected = case.scenario.expect.end;
    match &case.run.end {
        RunEnd::PoweredOff if expected.end().is_some() => {}
        RunEnd::Enosys if expected == GuestEnd::Enosys => {}
        // Who says that it has no answer has to have said to what.
        RunEnd::Stuck(_) if expected == GuestEnd::Stuck && !case.evidence.stuck.is_empty() => {}
        RunEnd::PoweredOff => findings.add("run-end", "the run", expected.word(), "power off"),
        RunEnd::Enosys => findings.add(
            "run-end",
            "the run",
            "power off",
            "ENOSYS: an access without a syndrome",
        ),
        RunEnd::Reset => findings.add("run-end", "the run", "power off", "a reset"),
        RunEnd::TimedOut => {
            let limit = case.scenario.timeout.as_secs();
            findings.add(
                "run-end",
                "the run",
                format_args!("power off within {limit} s"),
                "still running",
            );
        }
        RunEnd::Flooded => findings.add(
            "run-end",
            "the run",
            "power off",
            "more on the console than a guest may write",
        ),
        RunEnd::Evacuated { passed, .. } => {
            findings.add(
                "run-end",
                "the run",
                "power off",
                format_args!("evacuated: {passed}"),
            );
        }
        RunEnd::Saved(_) => findings.add("run-end", "the run", "power off", "saved, and not restored"),
        RunEnd::Stuck(reason) => findings.add("run-end", "the run", "power off", escape::text(reason)),
    }
    let reboots = case
        .evidence
        .ends
        .iter()
        .filter(|end| **end == End::Reboot)
        .count();
    findings.compare(
        "reboots",
        "the guest's own word",
        case.scenario.expect.reboots as usize,
        reboots,
    );
    findings.compare(
        "reboots",
        "the replayer",
        case.scenario.expect.reboots,
        case.evidence.reboots,
    );
    let ends = case.evidence.ends.iter().copied();
    let ends: Vec<End> = ends.filter(|end| *end != End::Reboot).collect();
    match ends.as_slice() {
        [] if expected.end().is_none() => {}
        [] => findings.add("guest-end", "the guest's own word", expected.word(), "none"),
        [end] if Some(*end) == expected.end() => {}
        [end] => findings.add("guest-end", "the guest's own word", expected.word(), said(*end)),
        [first, rest @ ..] => {
            let got = format!("{} and {} more", said(*first), rest.len());
            findings.add("guest-end", "the guest's own word", expected.word(), got);
        }
    }
    let console = String::from_utf8_lossy(&case.run.console);
    for wanted in &case.scenario.expect.console {
        if !console.contains(wanted.as_str()) {
            findings.add(
                "console",
                "the console",
                format_args!("`{wanted}`"),
                "no such text",
            );
        }
    }
    if expected == GuestEnd::Halted && !console.to_lowercase().contains("epitaph") {
        findings.add("epitaph", "the console", "an epitaph", "none");
    }
    journal(case, findings);
    for event in &case.evidence.refused {
        let got = format!(
            "an access at offset {:#x}, value {:#x}",
            event.ipa, event.syndrome
        );
        findings.add("port", "the replay port", "accesses to its registers alone", got);
    }
    let is_expected = expected == GuestEnd::Stuck;
    for event in case.evidence.stuck.iter().filter(|_| !is_expected) {
        let got = format!("ESR_EL2 {:#x}, FAR_EL2 {:#x}", event.syndrome, event.address);
        findings.add("stuck", "the replayer", "only what it has an answer to", got);
    }
}

fn journal(case: &Case<'_>, findings: &mut Findings) {
    let evidence = case.evidence;
    if let Some(error) = &evidence.journal_error {
        findings.add("journal", "the journal", "a readable one", error);
    }
    findings.compare("journal-lost", "the journal", 0, evidence.lost);
    for (check, numbers) in [
        ("journal-torn", &evidence.torn),
        ("journal-unknown", &evidence.unknown),
    ] {
        for number in numbers {
            let got = if check == "journal-torn" {
                "half-written"
            } else {
                "without a meaning"
            };
            findings.add(check, format_args!("record {number}"), "a whole record", got);
        }
    }
    findings.compare("events-lost", "the transcript", 0, case.run.events_lost);
}

fn said(end: End) -> String {
    match end {
        End::Done => "done".into(),
        End::Halted => "halted".into(),
        End::Failed => "failed".into(),
        End::Reboot => "reboot".into(),
        End::Unknown(word) => format!("{word:#x}, which means nothing"),
    }
}
