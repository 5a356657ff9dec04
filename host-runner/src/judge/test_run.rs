//! Hand-made runs: a sound one for the scenario `load`, to be spoilt one thing at a time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use seawall_agent::engine::{Cause, Level, Running};
use seawall_agent::{AbortRecord, Decision, Flags, FrameNumber, Journal, Origin, Severity, TaskId};
use seawall_replay::port::End;
use seawall_replay::report::{Census, Note, TaskReport, TaskState};
use seawall_replay::transcript::{Event, What};

use super::{Judged, judge};
use crate::backend::{Run, RunEnd, Usage};
use crate::scenario::{Scenario, parse};

/// The scenario that [`Story::load`] fits.
pub(crate) const LOAD: &str = r#"
title = "t"
teaches = "t"
cites = []
[guest]
tasks = ["load", "bystander", "bystander"]
[[inject]]
task = "load"
checkpoint = 1
route = "hole"
[expect]
end = "done"
console = ["verdict"]
[[expect.abort]]
task = "load"
cause = "synchronous"
from = "el0"
esr = 0x92000010
esr_before = [{ linux = "6.18", esr = 0x92000011, frame = "any", because = "of old" }]
far = 0x50000040
severity = "recoverable"
decision = "kill"
[expect.tasks]
load = "killed"
"#;

/// The frame that is poisoned in these runs.
pub(crate) const FRAME: u64 = 0x4_8123;

/// What goes into the journal.
#[derive(Clone, Copy)]
pub(crate) enum Item {
    Abort(AbortRecord),
    Note(Note),
}

/// A run, before it is bytes.
#[derive(Clone)]
pub(crate) struct Story {
    pub(crate) scenario: Scenario,
    pub(crate) end: RunEnd,
    pub(crate) console: Vec<u8>,
    pub(crate) items: Vec<Item>,
    pub(crate) capacity: usize,
    pub(crate) events: Vec<Event>,
    pub(crate) events_lost: u64,
    pub(crate) usage: Option<(Usage, Usage)>,
    pub(crate) kvm: Option<(u32, u32)>,
}

pub(crate) fn program(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    bytes
}

pub(crate) fn abort(slot: u16, frame: u64) -> AbortRecord {
    AbortRecord {
        cause: Cause::Synchronous,
        from: Level::El0,
        severity: Severity::Recoverable,
        origin: Origin::Task(TaskId(slot)),
        running: Running::Task(TaskId(slot)),
        decision: Decision::Kill,
        flags: Flags::FAR_VALID.with(Flags::NEW_FRAME),
        esr: 0x9200_0010,
        far: 0x5000_0040,
        elr: 0x40_0000,
        spsr: 0,
        disr: 0,
        pfar: 0,
        frame: Some(FrameNumber(frame)),
        time: 1,
        cost: 480,
    }
}

pub(crate) fn opened(step: u16, slot: u16, frame: u64) -> Event {
    Event {
        step: Some(step),
        task: slot,
        number: 1,
        ipa: frame << 12,
        ..Event::of(What::Opened)
    }
}

pub(crate) fn ended(end: End) -> Event {
    Event {
        ipa: end.to_word(),
        ..Event::of(What::End)
    }
}

pub(crate) fn task(slot: u16, name: &str, state: TaskState) -> TaskReport {
    let bystander = name == "bystander";
    TaskReport {
        task: slot,
        program: program(name),
        state,
        bystander,
        progress: if bystander { 20 } else { 0 },
        progress_at_last_abort: if bystander { 9 } else { 0 },
        damage: 0,
        restarts: 0,
        charged: u32::from(!bystander),
    }
}

pub(crate) fn census(at_end: bool, free: u64, retired: u64) -> Note {
    Note::Census(Census {
        at_end,
        frames: 16_000,
        free,
        retired,
        heap_used: 4096,
        heap: 65_536,
        tables: u64::from(at_end),
        still_mapped: 0,
    })
}

impl Story {
    /// A run that passes.
    pub(crate) fn load() -> Self {
        let started = |slot, name| {
            Item::Note(Note::Started {
                task: slot,
                program: program(name),
                restarts: 0,
            })
        };
        Self {
            scenario: parse("load.toml", LOAD).unwrap(),
            end: RunEnd::PoweredOff,
            console: b"seawall\nverdict: done\n".to_vec(),
            items: vec![
                Item::Note(census(false, 15_000, 0)),
                started(1, "load"),
                started(2, "bystander"),
                started(3, "bystander"),
                Item::Abort(abort(1, FRAME)),
                Item::Note(Note::Task(task(1, "load", TaskState::Killed))),
                Item::Note(Note::Task(task(2, "bystander", TaskState::Alive))),
                Item::Note(Note::Task(task(3, "bystander", TaskState::Alive))),
                Item::Note(census(true, 14_998, 1)),
            ],
            capacity: 64,
            events: vec![Event::of(What::Journal), opened(0, 1, FRAME), ended(End::Done)],
            events_lost: 0,
            usage: None,
            kvm: None,
        }
    }

    pub(crate) fn abort(&mut self) -> &mut AbortRecord {
        let found = self.items.iter_mut().find_map(|item| match item {
            Item::Abort(record) => Some(record),
            Item::Note(_) => None,
        });
        found.unwrap()
    }

    pub(crate) fn report(&mut self, slot: u16) -> &mut TaskReport {
        let found = self.items.iter_mut().find_map(|item| match item {
            Item::Note(Note::Task(report)) if report.task == slot => Some(report),
            _ => None,
        });
        found.unwrap()
    }

    pub(crate) fn final_census(&mut self) -> &mut Census {
        let found = self.items.iter_mut().find_map(|item| match item {
            Item::Note(Note::Census(census)) if census.at_end => Some(census),
            _ => None,
        });
        found.unwrap()
    }

    pub(crate) fn run(&self) -> Run {
        let words: Vec<AtomicU64> = (0..16 + 16 * self.capacity).map(|_| AtomicU64::new(0)).collect();
        let mut journal = Journal::new(&words).unwrap();
        for item in &self.items {
            match item {
                Item::Abort(record) => journal.append_abort(record),
                Item::Note(note) => {
                    let (kind, payload) = note.encode();
                    journal.append_note(kind, &payload);
                }
            }
        }
        let bytes = words
            .iter()
            .flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes())
            .collect();
        Run {
            end: self.end.clone(),
            console: self.console.clone(),
            journal: Some(bytes),
            earlier: Vec::new(),
            events: self.events.clone(),
            events_lost: self.events_lost,
            usage: self.usage,
            wall: Duration::from_millis(1234),
        }
    }

    pub(crate) fn judged(&self) -> Judged {
        judge(&self.scenario, &self.run(), self.kvm)
    }
}
