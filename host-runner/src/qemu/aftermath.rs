//! What a machine left in its memory: transcript, journal, and how it ended.

use seawall_replay::handover::{self, Handover};
use seawall_replay::transcript::{Event, Transcript, What};

use super::process::{Ended, How};
use super::ram::Ram;
use crate::backend::RunEnd;

/// Bytes of journal that are copied at most.
const JOURNAL_LIMIT: u64 = 64 << 20;
/// The word in which the shim leaves the PSCI function that ended the run: the last one before the plan.
const OUTCOME: u64 = handover::ADDRESS + handover::OUTCOME_OFFSET as u64;
// PSCI functions [Arm DEN0022].
const SYSTEM_OFF: u64 = 0x8400_0008;
const SYSTEM_RESET: u64 = 0x8400_0009;
/// How much of a console that has only the shim's words is repeated.
const LAST_WORDS: usize = 400;

/// What the memory held.
#[derive(Debug)]
pub(super) struct Aftermath {
    pub(super) end: RunEnd,
    pub(super) events: Vec<Event>,
    pub(super) events_lost: u64,
    pub(super) journal: Option<Vec<u8>>,
    pub(super) earlier: Vec<Vec<u8>>,
}

impl Aftermath {
    /// Reads everything; what cannot be read is a reason in the end.
    pub(super) fn read(ram: &Ram, handover: &Handover, ended: &Ended) -> Self {
        let transcript = ram
            .read(handover.transcript, handover.transcript_bytes)
            .unwrap_or_default();
        let (events, events_lost, fault) = match Transcript::decode(&transcript) {
            Ok(transcript) => (transcript.events().collect(), transcript.lost(), None),
            Err(error) => (Vec::new(), 0, Some(error.to_string())),
        };
        let journal =
            journal_place(handover, &events).and_then(|(address, length)| ram.read(address, length).ok());
        let earlier = events
            .iter()
            .filter(|event| event.what == What::Rebooted)
            .map(|event| kept_journal(handover, event).and_then(|(at, length)| ram.read(at, length).ok()))
            // One that is not there is one that cannot be read.
            .map(Option::unwrap_or_default)
            .collect();
        let end = end(ended, fault, &events, outcome(ram));
        Self {
            end,
            events,
            events_lost,
            journal,
            earlier,
        }
    }
}

/// Where the shim has put the journal of a guest that began again, if that is where such journals go.
fn kept_journal(handover: &Handover, event: &Event) -> Option<(u64, u64)> {
    let again = handover.again?;
    let end = event.ipa.checked_add(event.syndrome)?;
    let inside = event.ipa >= again.journals && end <= again.journals.checked_add(again.journals_bytes)?;
    inside.then_some((event.ipa, event.syndrome))
}

fn outcome(ram: &Ram) -> u64 {
    ram.read(OUTCOME, 8)
        .ok()
        .and_then(|raw| raw.try_into().ok())
        .map_or(0, u64::from_le_bytes)
}

/// Where the guest last said its journal is; `None` where that is not inside its memory, or too long.
fn journal_place(handover: &Handover, events: &[Event]) -> Option<(u64, u64)> {
    let event = events.iter().rev().find(|event| event.what == What::Journal)?;
    let (address, length) = (event.ipa, event.syndrome);
    let end = address.checked_add(length)?;
    let inside = address >= handover.memory && end <= handover.memory_end() && length <= JOURNAL_LIMIT;
    inside.then_some((address, length))
}

fn end(ended: &Ended, fault: Option<String>, events: &[Event], outcome: u64) -> RunEnd {
    let stuck = events.iter().rev().find(|event| event.what == What::Stuck);
    match (ended.how, fault, stuck, outcome) {
        (How::TimedOut, ..) => RunEnd::TimedOut,
        (How::Flooded, ..) => RunEnd::Flooded,
        (How::Exited(status), ..) if !status.success() => {
            RunEnd::Stuck(format!("QEMU ended with {status}: {}", ended.errors))
        }
        // Without a transcript the guest never ran, and what the console has is the shim's.
        (_, Some(fault), ..) => {
            RunEnd::Stuck([fault, last_words(&ended.console), ended.errors.clone()].join("; "))
        }
        (_, _, Some(event), _) => RunEnd::Stuck(format!(
            "the shim gave up: ESR_EL2 {:#x}, FAR_EL2 {:#x}, ELR_EL2 {:#x}",
            event.syndrome, event.address, event.ipa
        )),
        (.., SYSTEM_OFF) => RunEnd::PoweredOff,
        (.., SYSTEM_RESET) => RunEnd::Reset,
        _ => RunEnd::Stuck(format!(
            "QEMU ended, but not by the guest's word; {}",
            ended.errors
        )),
    }
}

fn last_words(console: &[u8]) -> String {
    let start = console.len().saturating_sub(LAST_WORDS);
    let text = String::from_utf8_lossy(console.get(start..).unwrap_or_default());
    text.trim().escape_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use seawall_replay::plan::Plan;

    const HANDOVER: Handover = Handover {
        memory: 0x5000_0000,
        memory_bytes: 64 << 20,
        entry: 0x5020_0000,
        device_tree: 0x5000_0000,
        port: 0x0b00_0000,
        transcript: 0x4400_0000,
        transcript_bytes: 1 << 20,
        again: None,
        plan: Plan::EMPTY,
    };

    #[test]
    fn a_journal_counts_only_inside_memory_and_within_its_limit() {
        let events = |address, length| {
            [Event {
                ipa: address,
                syndrome: length,
                ..Event::of(What::Journal)
            }]
        };
        for (address, length, good) in [
            (0x5000_0000, 64 << 20, true),
            (0x53ff_f000, 0x1000, true),
            (0x53ff_f000, 0x1001, false),
            (0x4fff_ffff, 0x10, false),
            (u64::MAX, 0x10, false),
            (0x5000_0000, u64::MAX, false),
        ] {
            let place = journal_place(&HANDOVER, &events(address, length));
            assert_eq!(place.is_some(), good, "{address:#x} {length:#x}");
        }
        let large = Handover {
            memory_bytes: 1 << 30,
            ..HANDOVER
        };
        assert_eq!(journal_place(&large, &events(0x5000_0000, (64 << 20) + 1)), None);
        assert_eq!(journal_place(&HANDOVER, &[]), None);
    }

    #[test]
    fn each_end_is_told_from_the_others() {
        let ended = |how| Ended {
            how,
            console: b"shim says\n".to_vec(),
            errors: "qemu says".into(),
        };
        let good = How::Exited(ExitStatus::from_raw(0));
        let stuck = [Event {
            syndrome: 0x6200_0000,
            ..Event::of(What::Stuck)
        }];
        let is_stuck = |end: RunEnd, part: &str| matches!(end, RunEnd::Stuck(why) if why.contains(part));
        assert_eq!(end(&ended(good), None, &[], 0x8400_0008), RunEnd::PoweredOff);
        assert_eq!(end(&ended(good), None, &[], 0x8400_0009), RunEnd::Reset);
        assert_eq!(
            end(&ended(How::TimedOut), Some("none".into()), &stuck, 0),
            RunEnd::TimedOut
        );
        assert_eq!(end(&ended(How::Flooded), None, &[], 0x8400_0008), RunEnd::Flooded);
        assert!(is_stuck(
            end(&ended(good), None, &stuck, 0x8400_0008),
            "0x62000000"
        ));
        assert!(is_stuck(end(&ended(good), None, &[], 0), "not by the guest"));
        assert!(is_stuck(
            end(&ended(good), Some("none".into()), &[], 0),
            "none; shim says; qemu says"
        ));
        let killed = How::Exited(ExitStatus::from_raw(7));
        assert!(is_stuck(end(&ended(killed), None, &[], 0x8400_0008), "qemu says"));
    }
}
