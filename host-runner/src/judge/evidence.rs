//! What a run left behind, brought into one shape.

use seawall_agent::AbortRecord;
use seawall_agent::journal::{self, EntryKind};
use seawall_replay::port::End;
use seawall_replay::report::{Census, Note, TaskReport};
use seawall_replay::transcript::{Event, What};

use crate::backend::Run;

/// An abort's record, and its number in the journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recorded {
    /// From 1 on.
    pub sequence: u64,
    /// What it says.
    pub record: AbortRecord,
}

/// A task that was started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Started {
    /// Number in the journal.
    pub sequence: u64,
    /// Its slot.
    pub slot: u16,
    /// Its program.
    pub program: String,
}

/// A retired frame that the kernel read by its own mapping of memory, and its neighbours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// The frame.
    pub frame: u64,
    /// ESR_EL1, or zero.
    pub esr: u64,
    /// FAR_EL1.
    pub far: u64,
    /// Frames of the same 2 MiB that could be read.
    pub sound: u64,
}

/// A task that lost a page with a frame that it shared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// Number in the journal.
    pub sequence: u64,
    /// Its slot.
    pub slot: u16,
    /// The page, or the address that it touched.
    pub address: u64,
    /// The frame.
    pub frame: u64,
    /// What came of the touch, by the agent's number; `None` where it was only told.
    pub touched: Option<u8>,
    /// How many more were told of the same frame than are named.
    pub more: u64,
}

/// What journal and transcript say.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Why there is no readable journal.
    pub journal_error: Option<String>,
    /// Number of the last record.
    pub last: u64,
    /// Records overwritten by later ones.
    pub lost: u64,
    /// Numbers of records that were being written.
    pub torn: Vec<u64>,
    /// Numbers of records that mean nothing.
    pub unknown: Vec<u64>,
    /// The aborts, in order.
    pub aborts: Vec<Recorded>,
    /// How the tasks stand at the end.
    pub reports: Vec<TaskReport>,
    /// Starts of tasks.
    pub started: Vec<Started>,
    /// The stock at the start.
    pub census_start: Option<Census>,
    /// The stock at the end.
    pub census_end: Option<Census>,
    /// Figures that programs measured: number and instructions.
    pub measures: Vec<(u64, u64)>,
    /// ISR_EL1.A where SErrors were masked, and how many errors had been handled by then.
    pub pending: Vec<(bool, u64)>,
    /// Retired frames that the kernel read by its own mapping of memory.
    pub mapping: Vec<Mapping>,
    /// Who was told of a frame that was lost, and who touched one.
    pub told: Vec<Told>,
    /// Instructions to the first of EL0.
    pub booted: Option<u64>,
    /// Stocks at start and end of the lives before, of a guest that began again.
    pub earlier_stock: Vec<(Option<Census>, Option<Census>)>,
    /// How often it began again, by the replayer.
    pub reboots: u32,
    /// The guest's own words about its end.
    pub ends: Vec<End>,
    /// Pages taken away, poisoned, made read-only or given back, SErrors pended, aborts entered and those that the host took, and machines saved, in
    /// order.
    pub injections: Vec<Event>,
    /// Synchronous aborts that the replayer itself gave.
    pub delivered: Vec<Event>,
    /// Poison that the host told of before anyone touched it.
    pub advised: Vec<Event>,
    /// Pages whose poison was met, and which are kept out of stage 2 since.
    pub kept_out: Vec<Event>,
    /// How often the runner saved the machine without being told to: its budget was overdrawn.
    pub evacuations: u32,
    /// Port accesses that no register takes.
    pub refused: Vec<Event>,
    /// What the replayer had no answer to.
    pub stuck: Vec<Event>,
}

impl Evidence {
    /// Reads journal and transcript.
    #[must_use]
    pub fn gather(run: &Run) -> Self {
        let mut evidence = Self::default();
        for event in &run.events {
            match event.what {
                What::Opened
                | What::Poisoned
                | What::Protected
                | What::Pended
                | What::Entered
                | What::Mended
                | What::Reported
                | What::Left
                | What::HostAbort => evidence.injections.push(*event),
                // Without a step it is the runner's own doing.
                What::Saved if event.step.is_some() => evidence.injections.push(*event),
                What::Delivered => evidence.delivered.push(*event),
                What::KeptOut => evidence.kept_out.push(*event),
                What::End => evidence.ends.push(End::from_word(event.ipa)),
                What::Refused => evidence.refused.push(*event),
                What::Stuck => evidence.stuck.push(*event),
                What::Advised => evidence.advised.push(*event),
                What::Saved => evidence.evacuations = evidence.evacuations.saturating_add(1),
                What::Rebooted => evidence.reboots = evidence.reboots.saturating_add(1),
                What::Announced | What::Journal | What::Restored | What::StillPending | What::Unknown(_) => {}
            }
        }
        for journal in &run.earlier {
            evidence.take_journal(Some(journal));
            let stock = (evidence.census_start.take(), evidence.census_end.take());
            evidence.earlier_stock.push(stock);
            // Those of the last life count.
            evidence.reports.clear();
        }
        evidence.take_journal(run.journal.as_deref());
        evidence
    }

    fn take_journal(&mut self, journal: Option<&[u8]>) {
        // Each life numbers its records from 1 on.
        let before = self.last;
        match journal.map(journal::read) {
            None => self.journal_error = Some("the guest never named one inside its memory".into()),
            Some(Err(error)) => self.journal_error = Some(error.to_string()),
            Some(Ok(reader)) => {
                self.lost = self.lost.saturating_add(reader.lost());
                for mut entry in reader.entries() {
                    entry.sequence = entry.sequence.saturating_add(before);
                    self.last = self.last.max(entry.sequence);
                    self.take(entry);
                }
            }
        }
    }

    /// The program in a slot when record `sequence` was written, as far as the journal tells.
    #[must_use]
    pub fn program_at(&self, slot: u16, sequence: u64) -> Option<&str> {
        // The journal's records come in the order of their numbers.
        let before = self.started.partition_point(|start| start.sequence < sequence);
        let mut latest = self.started.iter().take(before).rev();
        let start = latest.find(|start| start.slot == slot)?;
        Some(start.program.as_str())
    }

    fn take(&mut self, entry: journal::Entry) {
        let sequence = entry.sequence;
        match entry.kind {
            EntryKind::Abort(record) => self.aborts.push(Recorded { sequence, record }),
            EntryKind::Torn => self.torn.push(sequence),
            EntryKind::Unknown { .. } => self.unknown.push(sequence),
            EntryKind::Note { kind, payload } => match Note::decode(kind, &payload) {
                Note::Task(report) => self.reports.push(report),
                Note::Census(census) if census.at_end => self.census_end = Some(census),
                Note::Census(census) => self.census_start = Some(census),
                Note::Measure { number, value } => self.measures.push((number, value)),
                Note::Started { task, program, .. } => {
                    self.started.push(Started {
                        sequence,
                        slot: task,
                        program: name(&program),
                    });
                }
                Note::Pending { serror, handled, .. } => self.pending.push((serror, handled)),
                Note::Mapping {
                    frame,
                    esr,
                    far,
                    sound,
                } => self.mapping.push(Mapping {
                    frame,
                    esr,
                    far,
                    sound,
                }),
                Note::Told {
                    task,
                    address,
                    frame,
                    touched,
                    more,
                } => self.told.push(Told {
                    sequence,
                    slot: task,
                    address,
                    frame,
                    touched,
                    more,
                }),
                Note::Booted { instructions } => self.booted = Some(instructions),
                // Newer notes say nothing that this judge could hold against a scenario.
                Note::Unknown { .. } => {}
            },
        }
    }
}

/// A program's name from its padded bytes. They come from the guest: whatever is not a plain letter is escaped.
#[must_use]
pub fn name(bytes: &[u8; 16]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.get(..end).unwrap_or(bytes).escape_ascii().to_string()
}
