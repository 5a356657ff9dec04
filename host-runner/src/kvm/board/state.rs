//! The board and its transcript, as they are saved and as they go on.

use std::ops::Range;

use seawall_replay::IntermediateAddress;
use seawall_replay::interpreter::Interpreter;
use seawall_replay::plan::Plan;
use seawall_replay::port::Announcement;
use seawall_replay::reports::Report;
use seawall_replay::transcript::{Event, What};

use super::{Board, Cause, JOURNAL_LIMIT, event};
use crate::backend::Limits;
use crate::kvm::pl011::Pl011;
use crate::saved;

impl Cause {
    /// None in particular: a table is written with it.
    pub(super) const ANY: Self = Self {
        step: u16::MAX,
        announcement: Announcement {
            task: 0,
            number: 0,
            page: IntermediateAddress(0),
        },
    };
}

impl Board {
    /// Whether the machine is to be saved now; the guest stands where it last left.
    pub(crate) fn take_save(&mut self) -> Option<Cause> {
        if !std::mem::take(&mut self.save_due) {
            return None;
        }
        let save = self.save.take()?;
        Some(Cause {
            step: save.step,
            announcement: save.announcement,
        })
    }

    /// The machine is saved here, by this step of the plan or for a reason of the runner's own.
    pub(crate) fn saves(&mut self, cause: Option<Cause>) {
        let note = cause.map_or(Event::of(What::Saved), |cause| Event {
            ipa: cause.page(),
            ..event(What::Saved, cause)
        });
        self.note(note);
    }

    /// Whether an SError is to come with an abort that the guest has not met yet.
    pub(crate) const fn waits_beside(&self) -> bool {
        self.port.waits_beside()
    }

    /// What is saved of the devices.
    pub(crate) fn to_saved(&self) -> saved::Board {
        saved::Board {
            counts: self.port.counts().collect(),
            journal_address: self.port.journal_address().0,
            journal: self.journal.as_ref().map(|range| (range.start, range.end)),
            uart: self.uart.kept(),
            console: self.uart.sent().to_vec(),
            pages: self
                .pages
                .iter()
                .map(|(page, cause)| (page, cause.step, cause.announcement.to_word()))
                .collect(),
            reports: self.port.reports().to_vec(),
            lives: saved::Lives {
                reboots: self.reboots,
                journals: self.earlier.clone(),
            },
        }
    }

    /// What happened so far, and how much more did.
    pub(crate) fn transcript(&self) -> (&[Event], u64) {
        (&self.events, self.events_lost)
    }

    /// A board that goes on where another left off.
    ///
    /// # Errors
    /// What does not fit, for people.
    pub(crate) fn restored(
        memory: Range<u64>,
        plan: Plan,
        limits: &Limits,
        saved: &saved::Saved,
    ) -> Result<Self, String> {
        let from = &saved.board;
        let address = IntermediateAddress(from.journal_address);
        let mut port = Interpreter::resumed(plan, &from.counts, address)
            .ok_or("the file is of a plan with another count of steps")?;
        let mut reports = from.reports.iter().filter_map(|word| Report::from_word(*word));
        if !reports.all(|report| port.report(report)) {
            return Err("more reports wait than there is room for".into());
        }
        if from.console.len() > limits.console_bytes {
            return Err("the console is longer than it may be".into());
        }
        if saved.transcript.len() > usize::try_from(limits.events).unwrap_or(usize::MAX) {
            return Err("the transcript is longer than it may be".into());
        }
        let journal = from.journal.map(|(start, end)| start..end);
        let fits = |range: &Range<u64>| {
            range.end - range.start <= JOURNAL_LIMIT && range.start >= memory.start && range.end <= memory.end
        };
        if journal.as_ref().is_some_and(|range| !fits(range)) {
            return Err("the journal lies outside of memory".into());
        }
        let mut board = Self::new(memory, plan, limits);
        board.events.extend(&saved.transcript);
        for (page, step, word) in &from.pages {
            let cause = Cause {
                step: *step,
                announcement: Announcement::from_word(*word),
            };
            board.pages.insert(*page, cause);
        }
        let mut board = Self {
            uart: Pl011::restored(limits.console_bytes, from.uart, &from.console),
            port,
            events_lost: saved.events_lost,
            journal,
            reboots: from.lives.reboots,
            earlier: from.lives.journals.clone(),
            ..board
        };
        board.note(Event::of(What::Restored));
        Ok(board)
    }
}
