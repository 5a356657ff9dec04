//! The interpreter: each write to the port goes in, what the replayer must do comes out.
//!
//! It holds no machine state and does nothing itself, so the shim and the runner cannot differ in what a plan means.
//!
//! A step that saves is no injection of its own: it fires beside the step that injects at the same announcement, and is
//! asked for with [`Interpreter::take_save`] once that is done.

use crate::IntermediateAddress;
use crate::plan::{Injection, MAX_STEPS, Plan, Step, When};
use crate::port::{Announcement, End, MAGIC, Register, VERSION, Window};
use crate::reports::{Report, Reports};

/// What one access to the port asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "an injection that is dropped is an abort that never comes"]
pub enum Reaction {
    /// An announcement that no step speaks of.
    Announced {
        /// The step that was drawn and does nothing, counted from zero.
        step: Option<u16>,
        /// Which one.
        announcement: Announcement,
        /// In which window.
        window: Window,
    },
    /// Do this now, before the guest goes on.
    Inject {
        /// The step that fired, counted from zero.
        step: u16,
        /// What it does.
        injection: Injection,
        /// The announcement that made it fire.
        announcement: Announcement,
        /// In which window.
        window: Window,
    },
    /// The guest has named its journal: both registers are written.
    Journal {
        /// Where it begins.
        address: IntermediateAddress,
        /// Its length in bytes. Not yet checked against the guest's memory: the replayer must.
        length: u64,
    },
    /// The first half of the journal's place; nothing to do.
    Noted,
    /// The guest asks for the first page at or above this address that is lost: answer with [`Interpreter::lost`].
    Lost {
        /// Any address.
        from: IntermediateAddress,
    },
    /// The guest says that it is done.
    End(End),
    /// An access that no register takes: wrong offset, width, or direction. It has no effect.
    Refused,
}

/// A step that saves has fired.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Save {
    /// The step, counted from zero.
    pub step: u16,
    /// When.
    pub when: When,
    /// The announcement that made it fire.
    pub announcement: Announcement,
}

/// How often one step was spoken to, and how often it fired.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// Announcements that matched it.
    pub seen: u32,
    /// Those of them at which it fired.
    pub fired: u32,
}

/// A plan, and how far it has gone.
#[derive(Clone, Debug)]
pub struct Interpreter {
    plan: Plan,
    seen: [u32; MAX_STEPS],
    fired: [u32; MAX_STEPS],
    // Steps whose SError beside a hole's first abort is still to come, one bit each.
    beside: u64,
    journal: IntermediateAddress,
    save: Option<Save>,
    reports: Reports,
    lost: u64,
}

impl Interpreter {
    /// At the plan's beginning.
    #[must_use]
    pub const fn new(plan: Plan) -> Self {
        Self {
            plan,
            seen: [0; MAX_STEPS],
            fired: [0; MAX_STEPS],
            beside: 0,
            journal: IntermediateAddress(0),
            save: None,
            reports: Reports::NONE,
            lost: 0,
        }
    }

    /// As far as another interpreter of the same plan had come by its counts; `None` when there is not one for each step.
    ///
    /// Neither the counts nor the journal's address know of an SError that is still to come beside an abort, so nobody
    /// saves while [`Self::waits_beside`]: that SError would be lost. The reports that wait go on with [`Self::report`],
    /// a page that the guest has asked for and not read with [`Self::lost`], and a step that saves and was not asked for
    /// is forgotten.
    #[must_use]
    pub fn resumed(plan: Plan, counts: &[Count], journal: IntermediateAddress) -> Option<Self> {
        if counts.len() != plan.steps().count() {
            return None;
        }
        let mut interpreter = Self::new(plan);
        let kept = interpreter.seen.iter_mut().zip(interpreter.fired.iter_mut());
        for ((seen, fired), count) in kept.zip(counts) {
            (*seen, *fired) = (count.seen, count.fired);
        }
        interpreter.journal = journal;
        Some(interpreter)
    }

    /// How far each step has come, in the plan's order.
    pub fn counts(&self) -> impl Iterator<Item = Count> + '_ {
        let counts = self.seen.iter().zip(self.fired.iter());
        self.plan.steps().zip(counts).map(|(_, (seen, fired))| Count {
            seen: *seen,
            fired: *fired,
        })
    }

    /// What the guest last wrote as its journal's address.
    #[must_use]
    pub const fn journal_address(&self) -> IntermediateAddress {
        self.journal
    }

    /// The step that saves, if one has fired since this was last asked.
    pub const fn take_save(&mut self) -> Option<Save> {
        self.save.take()
    }

    /// What a read of `width` bytes at `offset` gives. Anything but a readable register gives zero.
    #[must_use]
    pub fn read(&mut self, offset: u64, width: usize) -> u64 {
        match (Register::at(offset), width) {
            (Some(Register::Magic), 8) => MAGIC,
            (Some(Register::Version), 8) => VERSION,
            (Some(Register::Patrol), 8) => self.reports.take(),
            (Some(Register::Lost), 8) => self.lost,
            (Some(Register::Left), 8) => self.left(),
            _ => 0,
        }
    }

    /// Takes a write of `width` bytes at `offset`.
    pub fn write(&mut self, offset: u64, width: usize, value: u64) -> Reaction {
        let Some(register) = Register::at(offset).filter(|_| width == 8) else {
            return Reaction::Refused;
        };
        match register {
            Register::Magic
            | Register::Version
            | Register::Start
            | Register::Patrol
            | Register::Lost
            | Register::Left => Reaction::Refused,
            Register::LostFrom => Reaction::Lost {
                from: IntermediateAddress(value),
            },
            Register::JournalAddress => {
                self.journal = IntermediateAddress(value);
                Reaction::Noted
            }
            Register::JournalLength => Reaction::Journal {
                address: self.journal,
                length: value,
            },
            Register::Checkpoint => self.announce(Window::Checkpoint, value),
            Register::Border => self.announce(Window::Border, value),
            Register::Kernel => self.announce(Window::Kernel, value),
            Register::User => self.announce(Window::User, value),
            Register::Masked => self.announce(Window::Masked, value),
            Register::Copy => self.announce(Window::Copy, value),
            Register::Handler => self.announce(Window::Handler, value),
            Register::End => Reaction::End(End::from_word(value)),
        }
    }

    /// Has the guest find this report; false when too many wait.
    #[must_use]
    pub fn report(&mut self, report: Report) -> bool {
        self.reports.add(report)
    }

    /// The reports that wait, oldest first, as the guest reads them.
    #[must_use]
    pub fn reports(&self) -> &[u64] {
        self.reports.waiting()
    }

    /// Answers which page is lost, if there is one.
    pub fn lost(&mut self, page: Option<IntermediateAddress>) {
        let report = page.map(|page| Report { page, failing: false });
        self.lost = report.map_or(0, Report::to_word);
    }

    /// The guest begins again. What was reported is lost by then, and is found there; the plan goes on, and so does the
    /// wait for an SError beside an abort, as the page of that abort stays out.
    pub fn reboot(&mut self) {
        self.reports = Reports::NONE;
        self.lost = 0;
        self.journal = IntermediateAddress(0);
    }

    /// The announcement that nobody makes but the replayer: the guest is about to run its first instruction.
    pub fn start(&mut self) -> Reaction {
        self.announce(Window::Start, 0)
    }

    /// The SError that comes beside the abort of this step's hole: once.
    pub fn beside(&mut self, step: u16) -> Option<u32> {
        let bit = 1_u64.checked_shl(u32::from(step))?;
        if self.beside & bit == 0 {
            return None;
        }
        self.beside &= !bit;
        match self.plan.steps().nth(usize::from(step))?.injection {
            Injection::HoleBesideSError { syndrome } => Some(syndrome),
            _ => None,
        }
    }

    /// Whether an SError is still to come beside an abort. As long as that is so, what [`Self::resumed`] takes is not all.
    #[must_use]
    pub const fn waits_beside(&self) -> bool {
        self.beside != 0
    }

    /// How often each step has fired, in the plan's order.
    pub fn fired(&self) -> impl Iterator<Item = u32> + '_ {
        self.plan.steps().zip(self.fired).map(|(_, fired)| fired)
    }

    fn announce(&mut self, window: Window, word: u64) -> Reaction {
        let announcement = Announcement::from_word(word);
        let counts = self.seen.iter_mut().zip(self.fired.iter_mut());
        let mut reaction = None;
        let drawn = self.plan.steps().position(is_draw).unwrap_or(MAX_STEPS);
        for (index, (step, (seen, fired))) in self.plan.steps().zip(counts).enumerate().take(drawn) {
            let saves = matches!(step.injection, Injection::Save(_));
            if !step.matches(window, announcement) || (reaction.is_some() && !saves) {
                continue;
            }
            *seen = seen.saturating_add(1);
            if *seen <= step.skip || (step.times != 0 && *fired >= step.times) {
                continue;
            }
            *fired = fired.saturating_add(1);
            let step_number = u16::try_from(index).unwrap_or(u16::MAX);
            if let Injection::Save(when) = step.injection {
                self.save = Some(Save {
                    step: step_number,
                    when,
                    announcement,
                });
                continue;
            }
            if let Injection::HoleBesideSError { .. } = step.injection {
                self.beside |= 1_u64.checked_shl(u32::from(step_number)).unwrap_or(0);
            }
            reaction = Some(Reaction::Inject {
                step: step_number,
                injection: step.injection,
                announcement,
                window,
            });
        }
        reaction
            .or_else(|| self.draw(drawn, window, announcement))
            .unwrap_or(Reaction::Announced {
                step: None,
                announcement,
                window,
            })
    }
}

const fn is_draw(step: Step) -> bool {
    matches!(step.injection, Injection::Draw { .. })
}

mod drawing;

#[cfg(test)]
mod tests;
