//! What the guest finds on its bus beside memory, and the transcript of what it did there.
//!
//! Each access is answered in full: every address, width and value has a meaning, at the least that nothing is there.
//! The board holds no machine state and asks KVM for nothing; what has to be done comes out as an [`Answer`].

use std::ops::Range;
use std::time::Instant;

use seawall_replay::entry::Kind;
use seawall_replay::interpreter::{Interpreter, Reaction, Save};
use seawall_replay::plan::{Injection, Plan, Poison, When};
use seawall_replay::port::{self, Announcement, End};
use seawall_replay::transcript::{Event, What};

use super::pl011::{self, Pl011};
use super::table::{Table, pages_of};
use super::uapi::ArmSea;
use crate::backend::Limits;
use crate::budget::Account;
use crate::saved::Lives;

/// Where the PL011 is.
pub(crate) const UART: u64 = 0x0900_0000;
/// Where the replay port is.
pub(crate) const PORT: u64 = 0x0b00_0000;
/// Bytes of journal that are copied at most.
pub(crate) const JOURNAL_LIMIT: u64 = Lives::LONGEST_JOURNAL;

/// What KVM pends when it is left to itself: IDS = 1 [Linux `arch/arm64/kvm/inject_fault.c`].
const DEFAULT_SYNDROME: u64 = 1 << 24;
/// Says in a transcript that the replayer's default was used.
const IS_DEFAULT: u64 = 1 << 63;

/// The announcement that something was done for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cause {
    step: u16,
    announcement: Announcement,
}

/// What a write asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "an injection that is dropped is an abort that never comes"]
pub(crate) enum Answer {
    /// Nothing more.
    Done,
    /// Nothing is at that address.
    Nobody,
    /// The guest wrote more to its console than it may.
    Flooded,
    /// Make a hole of the announced page, which is in memory; then say so with [`Board::opened`].
    Open(Cause),
    /// Pend an SError; then say so with [`Board::pended`].
    Pend(Cause, Option<u32>),
    /// Enter an abort by this vector, with this ESR and FAR; then say so with [`Board::entered`].
    Enter(Cause, Kind, u64, Option<u64>),
    /// Poison the host memory behind the announced page, which is in memory; then say so with [`Board::poisoned`].
    Poison(Cause, Poison),
    /// Make the announced page, which is in memory, read-only; then say so with [`Board::protected`].
    Protect(Cause),
    /// Give the announced page, which is in memory, back as it was; then say so with [`Board::mended`] or, where there was
    /// nothing to give back, with [`Board::not_mended`].
    Mend(Cause),
    /// Pend an SError so many milliseconds from now, while the task that announced runs; then say so with
    /// [`Board::pended`].
    PendLater(Cause, Option<u32>, u32),
    /// Take the announced page, which is in memory, out of stage 2, unless it is only failing; then say so with
    /// [`Board::reported`].
    Report(Cause, bool),
    /// Have the host meet an abort at the announced page, which is in memory; then say so with [`Board::out_of_reach`].
    Break(Cause),
}

impl Cause {
    /// The page that was announced.
    pub(crate) const fn page(&self) -> u64 {
        self.announcement.page.0
    }
}

/// The devices and the transcript.
#[derive(Debug)]
pub(crate) struct Board {
    memory: Range<u64>,
    uart: Pl011,
    port: Interpreter,
    events: Vec<Event>,
    events_limit: usize,
    events_lost: u64,
    // Those that something was done to.
    pages: Table<Cause>,
    journal: Option<Range<u64>>,
    // The guest has said that it begins again; and what it left behind each time that it did.
    reboots: bool,
    earlier: Vec<Vec<u8>>,
    // The step that saves, if one has fired and waits; and whether it waits no longer.
    save: Option<Save>,
    save_due: bool,
    account: Option<Account>,
    since: Instant,
}

/// What is left of a board when the guest has stopped.
#[derive(Debug)]
pub(crate) struct Remains {
    /// What the guest wrote to its console.
    pub(crate) console: Vec<u8>,
    /// What happened.
    pub(crate) events: Vec<Event>,
    /// How much more happened.
    pub(crate) events_lost: u64,
    /// Where the journal is: inside memory, and not longer than [`JOURNAL_LIMIT`].
    pub(crate) journal: Option<Range<u64>>,
    /// Those of the lives before.
    pub(crate) earlier: Vec<Vec<u8>>,
}

impl Board {
    /// A board for a guest with this memory.
    pub(crate) fn new(memory: Range<u64>, plan: Plan, limits: &Limits) -> Self {
        let events_limit = usize::try_from(limits.events).unwrap_or(usize::MAX);
        // All of it is written once, so that it is there: what a guest does does not make the runner grow.
        let mut events = vec![Event::of(What::Announced); events_limit];
        events.clear();
        let room = pages_of(&plan, &memory);
        Self {
            memory,
            uart: Pl011::new(limits.console_bytes),
            port: Interpreter::new(plan),
            events,
            events_limit,
            events_lost: 0,
            pages: Table::with_room(room, Cause::ANY),
            journal: None,
            reboots: false,
            earlier: Vec::new(),
            save: None,
            save_due: false,
            account: None,
            since: Instant::now(),
        }
    }

    /// What a read gives; `None` where nothing is.
    pub(crate) fn read(&mut self, ipa: u64, width: usize) -> Option<u64> {
        match Place::of(ipa) {
            Place::Uart(offset) => Some(self.uart.read(offset)),
            Place::Port(offset) => Some(self.port.read(offset, width)),
            Place::Nowhere => None,
        }
    }

    /// Takes a write.
    pub(crate) fn write(&mut self, ipa: u64, width: usize, value: u64) -> Answer {
        match Place::of(ipa) {
            Place::Uart(offset) => match self.uart.write(offset, value) {
                Ok(()) => Answer::Done,
                Err(pl011::Flooded) => Answer::Flooded,
            },
            Place::Port(offset) => {
                let answer = self.write_port(offset, width, value);
                if let Some(save) = self.port.take_save() {
                    self.save_due = save.when == When::Announced;
                    self.save = Some(save);
                }
                answer
            }
            Place::Nowhere => Answer::Nobody,
        }
    }

    fn write_port(&mut self, offset: u64, width: usize, value: u64) -> Answer {
        let reaction = self.port.write(offset, width, value);
        self.react(reaction, offset, value)
    }

    /// The guest is about to run its first instruction.
    pub(crate) fn start(&mut self) -> Answer {
        match self.port.start() {
            Reaction::Announced { .. } => Answer::Done,
            reaction => self.react(reaction, port::Register::Start.offset(), 0),
        }
    }

    fn react(&mut self, reaction: Reaction, offset: u64, value: u64) -> Answer {
        match reaction {
            Reaction::Announced {
                step,
                announcement: Announcement { task, number, page },
                ..
            } => {
                self.note(Event {
                    step,
                    task,
                    number,
                    ipa: page.0,
                    ..Event::of(What::Announced)
                });
                Answer::Done
            }
            Reaction::Inject {
                step,
                injection,
                announcement,
                ..
            } => {
                let cause = Cause { step, announcement };
                match injection {
                    Injection::SError { syndrome } => Answer::Pend(cause, syndrome),
                    Injection::Abort { esr, far } | Injection::AbortBySErrorVector { esr, far } => {
                        Answer::Enter(cause, injection.vector(), esr, far)
                    }
                    Injection::SErrorLater {
                        syndrome,
                        milliseconds,
                    } => Answer::PendLater(cause, syndrome, milliseconds),
                    Injection::Hole | Injection::HoleBesideSError { .. } if self.has(cause) => {
                        Answer::Open(cause)
                    }
                    Injection::Left if !self.has(cause) => {
                        self.note(Event {
                            ipa: cause.page(),
                            ..event(What::Left, cause)
                        });
                        Answer::Done
                    }
                    Injection::Poison(by) if self.has(cause) => Answer::Poison(cause, by),
                    Injection::ReadOnly if self.has(cause) => Answer::Protect(cause),
                    Injection::Mend if self.has(cause) => Answer::Mend(cause),
                    Injection::HostAbort if self.has(cause) => Answer::Break(cause),
                    Injection::Patrol { failing } if self.has(cause) => Answer::Report(cause, failing),
                    Injection::Hole
                    | Injection::HoleBesideSError { .. }
                    | Injection::Left
                    | Injection::Poison(_)
                    | Injection::ReadOnly
                    | Injection::Mend
                    | Injection::HostAbort
                    | Injection::Patrol { .. }
                    | Injection::Draw { .. }
                    | Injection::Nothing
                    | Injection::Save(_) => {
                        self.note(Event {
                            ipa: offset,
                            syndrome: value,
                            ..event(What::Refused, cause)
                        });
                        Answer::Done
                    }
                }
            }
            Reaction::Journal { address, length } => {
                self.journal = self.journal_at(address.0, length);
                self.note(Event {
                    ipa: address.0,
                    syndrome: length,
                    ..Event::of(What::Journal)
                });
                Answer::Done
            }
            Reaction::Noted => Answer::Done,
            Reaction::Lost { from } => {
                self.find_lost(from);
                Answer::Done
            }
            Reaction::End(end) => {
                self.reboots = end == End::Reboot;
                self.note(Event {
                    ipa: end.to_word(),
                    ..Event::of(What::End)
                });
                Answer::Done
            }
            Reaction::Refused => {
                self.note(Event {
                    ipa: offset,
                    syndrome: value,
                    ..Event::of(What::Refused)
                });
                Answer::Done
            }
        }
    }

    fn has(&self, cause: Cause) -> bool {
        self.memory.contains(&cause.page())
    }

    fn journal_at(&self, address: u64, length: u64) -> Option<Range<u64>> {
        let end = address.checked_add(length)?;
        (length <= JOURNAL_LIMIT && address >= self.memory.start && end <= self.memory.end)
            .then_some(address..end)
    }

    /// The page of this cause is a hole now.
    pub(crate) fn opened(&mut self, cause: Cause) {
        self.changed(What::Opened, cause);
    }

    /// The host memory behind the page of this cause is poisoned now.
    pub(crate) fn poisoned(&mut self, cause: Cause) {
        self.changed(What::Poisoned, cause);
    }

    /// The page of this cause is read-only now.
    pub(crate) fn protected(&mut self, cause: Cause) {
        self.changed(What::Protected, cause);
    }

    /// The page of this cause is as it was again.
    pub(crate) fn mended(&mut self, cause: Cause) {
        self.pages.remove(cause.page());
        self.note(Event {
            ipa: cause.page(),
            ..event(What::Mended, cause)
        });
    }

    /// The page of this cause was neither a hole nor read-only, or is poisoned.
    pub(crate) fn not_mended(&mut self, cause: Cause) {
        self.note(Event {
            syndrome: cause.page(),
            ..event(What::Refused, cause)
        });
    }

    /// The page at this address is kept out of stage 2 from now on.
    pub(crate) fn kept_out(&mut self, page: u64) {
        self.note(Event {
            ipa: page,
            ..self.of_page(What::KeptOut, page)
        });
    }

    /// The next access to the page of this cause is an abort that the host takes. It is noted when it comes.
    pub(crate) fn out_of_reach(&mut self, cause: Cause) {
        self.pages.insert(cause.page(), cause);
    }

    /// The guest's access left it as an abort that the host took; `page`, where it is known.
    pub(crate) fn host_abort(&mut self, sea: ArmSea, page: Option<u64>) {
        let page = page.unwrap_or(0);
        self.note(Event {
            ipa: page,
            syndrome: sea.esr,
            address: sea.gva.unwrap_or(0),
            ..self.of_page(What::HostAbort, page)
        });
    }

    /// Such an event of the announcement that something was done to this page for, if something was.
    fn of_page(&self, what: What, page: u64) -> Event {
        let cause = self.pages.get(page);
        cause.map_or(Event::of(what), |cause| event(what, *cause))
    }

    fn changed(&mut self, what: What, cause: Cause) {
        self.pages.insert_new(cause.page(), cause);
        self.note(Event {
            ipa: cause.page(),
            ..event(what, cause)
        });
    }

    /// The host has told of poison at this page that nobody has touched.
    pub(crate) fn advised(&mut self, ipa: u64, shift: u8) {
        self.book(false, Some(ipa));
        self.note(Event {
            ipa,
            syndrome: shift.into(),
            ..Event::of(What::Advised)
        });
    }

    /// An SError is pending now.
    pub(crate) fn pended(&mut self, cause: Cause, syndrome: Option<u32>) {
        self.book(true, None);
        let syndrome = syndrome.map_or(DEFAULT_SYNDROME | IS_DEFAULT, u64::from);
        self.note(Event {
            syndrome,
            ..event(What::Pended, cause)
        });
    }

    /// The guest stands in its vector, with these in ESR_EL1 and FAR_EL1.
    pub(crate) fn entered(&mut self, cause: Cause, syndrome: u64, address: u64) {
        self.book(true, None);
        self.note(Event {
            ipa: cause.page(),
            syndrome,
            address,
            ..event(What::Entered, cause)
        });
    }

    /// The SError that is to come with the abort of an access to this page, and for which announcement.
    pub(crate) fn beside(&mut self, ipa: u64) -> Option<(Cause, u32)> {
        let cause = *self.pages.get(ipa & !0xfff)?;
        Some((cause, self.port.beside(cause.step)?))
    }

    /// The guest was given an external abort for an access that nobody answers.
    pub(crate) fn delivered(&mut self, ipa: u64, syndrome: u64, address: u64) {
        self.book(true, Some(ipa));
        let page = ipa & !0xfff;
        if self.save.is_some_and(|save| save.announcement.page.0 == page) {
            self.save_due = true;
        }
        self.note(Event {
            ipa,
            syndrome,
            address,
            ..self.of_page(What::Delivered, page)
        });
    }

    /// An access of a width or form that no register of the port takes, at this address.
    pub(crate) fn refused(&mut self, ipa: u64, syndrome: u64) {
        if let Place::Port(offset) = Place::of(ipa) {
            self.note(Event {
                ipa: offset,
                syndrome,
                ..Event::of(What::Refused)
            });
        }
    }

    /// The replayer gives up.
    pub(crate) fn stuck(&mut self, syndrome: u64, address: u64) {
        self.note(Event {
            syndrome,
            address,
            ..Event::of(What::Stuck)
        });
    }

    fn note(&mut self, event: Event) {
        if self.events.len() < self.events_limit {
            self.events.push(event);
        } else {
            self.events_lost = self.events_lost.saturating_add(1);
        }
    }

    /// What is left.
    pub(crate) fn into_remains(self) -> Remains {
        Remains {
            console: self.uart.into_sent(),
            events: self.events,
            events_lost: self.events_lost,
            journal: self.journal,
            earlier: self.earlier,
        }
    }
}

enum Place {
    Uart(u64),
    Port(u64),
    Nowhere,
}

impl Place {
    /// By the first byte: no device's register reaches out of its page.
    fn of(ipa: u64) -> Self {
        if let Some(offset) = ipa.checked_sub(UART).filter(|offset| *offset < pl011::SIZE) {
            Self::Uart(offset)
        } else if let Some(offset) = ipa.checked_sub(PORT).filter(|offset| *offset < port::SIZE) {
            Self::Port(offset)
        } else {
            Self::Nowhere
        }
    }
}

fn event(what: What, cause: Cause) -> Event {
    Event {
        step: Some(cause.step),
        task: cause.announcement.task,
        number: cause.announcement.number,
        ..Event::of(what)
    }
}

mod account;
mod reports;
mod state;

#[cfg(test)]
mod reports_tests;
#[cfg(test)]
mod tests;
