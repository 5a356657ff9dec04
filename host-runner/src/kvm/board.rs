//! What the guest finds on its bus beside memory, and the transcript of what it did there.
//!
//! Each access is answered in full: every address, width and value has a meaning, at the least that nothing is there.
//! The board holds no machine state and asks KVM for nothing; what has to be done comes out as an [`Answer`].

use std::collections::BTreeMap;
use std::ops::Range;

use seawall_replay::interpreter::{Interpreter, Reaction};
use seawall_replay::plan::{Injection, Plan};
use seawall_replay::port::{self, Announcement};
use seawall_replay::transcript::{Event, What};

use super::pl011::{self, Pl011};
use crate::backend::Limits;

/// Where the PL011 is.
pub(crate) const UART: u64 = 0x0900_0000;
/// Where the replay port is.
pub(crate) const PORT: u64 = 0x0b00_0000;
/// Bytes of journal that are copied at most.
pub(crate) const JOURNAL_LIMIT: u64 = 64 << 20;

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
    holes: BTreeMap<u64, Cause>,
    journal: Option<Range<u64>>,
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
}

impl Board {
    /// A board for a guest with this memory.
    pub(crate) fn new(memory: Range<u64>, plan: Plan, limits: &Limits) -> Self {
        Self {
            memory,
            uart: Pl011::new(limits.console_bytes),
            port: Interpreter::new(plan),
            events: Vec::new(),
            events_limit: usize::try_from(limits.events).unwrap_or(usize::MAX),
            events_lost: 0,
            holes: BTreeMap::new(),
            journal: None,
        }
    }

    /// What a read gives; `None` where nothing is.
    pub(crate) fn read(&self, ipa: u64, width: usize) -> Option<u64> {
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
            Place::Port(offset) => self.write_port(offset, width, value),
            Place::Nowhere => Answer::Nobody,
        }
    }

    fn write_port(&mut self, offset: u64, width: usize, value: u64) -> Answer {
        match self.port.write(offset, width, value) {
            Reaction::Announced { announcement: Announcement { task, number, page }, .. } => {
                self.note(Event { task, number, ipa: page.0, ..Event::of(What::Announced) });
                Answer::Done
            }
            Reaction::Inject { step, injection, announcement, .. } => {
                let cause = Cause { step, announcement };
                match injection {
                    Injection::SError { syndrome } => Answer::Pend(cause, syndrome),
                    Injection::Hole if self.memory.contains(&cause.page()) => Answer::Open(cause),
                    Injection::Hole => {
                        self.note(Event { ipa: offset, syndrome: value, ..event(What::Refused, cause) });
                        Answer::Done
                    }
                }
            }
            Reaction::Journal { address, length } => {
                self.journal = self.journal_at(address.0, length);
                self.note(Event { ipa: address.0, syndrome: length, ..Event::of(What::Journal) });
                Answer::Done
            }
            Reaction::Noted => Answer::Done,
            Reaction::End(end) => {
                self.note(Event { ipa: end.to_word(), ..Event::of(What::End) });
                Answer::Done
            }
            Reaction::Refused => {
                self.note(Event { ipa: offset, syndrome: value, ..Event::of(What::Refused) });
                Answer::Done
            }
        }
    }

    fn journal_at(&self, address: u64, length: u64) -> Option<Range<u64>> {
        let end = address.checked_add(length)?;
        (length <= JOURNAL_LIMIT && address >= self.memory.start && end <= self.memory.end).then_some(address..end)
    }

    /// The page of this cause is a hole now.
    pub(crate) fn opened(&mut self, cause: Cause) {
        self.holes.entry(cause.page()).or_insert(cause);
        self.note(Event { ipa: cause.page(), ..event(What::Opened, cause) });
    }

    /// An SError is pending now.
    pub(crate) fn pended(&mut self, cause: Cause, syndrome: Option<u32>) {
        let syndrome = syndrome.map_or(DEFAULT_SYNDROME | IS_DEFAULT, u64::from);
        self.note(Event { syndrome, ..event(What::Pended, cause) });
    }

    /// The guest was given an external abort for an access that nobody answers.
    pub(crate) fn delivered(&mut self, ipa: u64, syndrome: u64, address: u64) {
        let blank = Event::of(What::Delivered);
        let of_hole = self.holes.get(&(ipa & !0xfff)).map_or(blank, |cause| event(What::Delivered, *cause));
        self.note(Event { ipa, syndrome, address, ..of_hole });
    }

    /// An access of a width or form that no register of the port takes, at this address.
    pub(crate) fn refused(&mut self, ipa: u64, syndrome: u64) {
        if let Place::Port(offset) = Place::of(ipa) {
            self.note(Event { ipa: offset, syndrome, ..Event::of(What::Refused) });
        }
    }

    /// The replayer gives up.
    pub(crate) fn stuck(&mut self, syndrome: u64, address: u64) {
        self.note(Event { syndrome, address, ..Event::of(What::Stuck) });
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

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_replay::IntermediateAddress;
    use seawall_replay::plan::Step;
    use seawall_replay::port::Window;

    const MEMORY: Range<u64> = 0x8000_0000..0x8400_0000;

    fn board(injection: Injection) -> Board {
        let step = Step { task: None, number: 1, window: Window::Checkpoint, skip: 0, times: 0, injection };
        let limits = Limits { events: 4, console_bytes: 2, ..Limits::default() };
        Board::new(MEMORY, Plan::new(&[step]).unwrap(), &limits)
    }

    fn word(page: u64, number: u16) -> u64 {
        Announcement { task: 7, number, page: IntermediateAddress(page) }.to_word()
    }

    #[test]
    fn a_hole_is_asked_for_inside_memory_alone() {
        let mut board = board(Injection::Hole);
        let Answer::Open(cause) = board.write(PORT + 0x20, 8, word(0x83ff_f000, 1)) else {
            panic!("the step speaks of this announcement")
        };
        board.opened(cause);
        board.delivered(0x83ff_f123, 0x9200_0010, 0x5123);
        for page in [0, 0x7fff_f000, 0x8400_0000, 0x000f_ffff_ffff_f000] {
            assert_eq!(board.write(PORT + 0x20, 8, word(page, 1)), Answer::Done);
        }
        let remains = board.into_remains();
        assert_eq!(
            remains.events.iter().map(|e| (e.what, e.step, e.task, e.ipa)).collect::<Vec<_>>(),
            [
                (What::Opened, Some(0), 7, 0x83ff_f000),
                (What::Delivered, Some(0), 7, 0x83ff_f123),
                (What::Refused, Some(0), 7, 0x20),
                (What::Refused, Some(0), 7, 0x20),
            ]
        );
        assert_eq!(remains.events_lost, 2);
    }

    #[test]
    fn an_serror_says_whose_syndrome_it_has() {
        for (syndrome, noted) in [(Some(0x11), 0x11), (None, (1 << 63) | (1 << 24))] {
            let mut board = board(Injection::SError { syndrome });
            let Answer::Pend(cause, asked) = board.write(PORT + 0x20, 8, word(0, 1)) else {
                panic!("the step speaks of this announcement")
            };
            board.pended(cause, asked);
            assert_eq!(board.into_remains().events[0].syndrome, noted);
        }
    }

    #[test]
    fn a_journal_counts_only_inside_memory_and_within_its_limit() {
        for (address, length, good) in [
            (0x8000_0000, 0x0400_0000, true),
            (0x83ff_f000, 0x1000, true),
            (0x83ff_f000, 0x1001, false),
            (0x7fff_ffff, 0x10, false),
            (0xffff_ffff_ffff_ffff, 0x10, false),
            (0x8000_0000, u64::MAX, false),
        ] {
            let mut board = board(Injection::Hole);
            assert_eq!(board.write(PORT + 0x10, 8, address), Answer::Done);
            assert_eq!(board.write(PORT + 0x18, 8, length), Answer::Done);
            let remains = board.into_remains();
            assert_eq!(remains.journal.is_some(), good, "{address:#x} {length:#x}");
            assert_eq!(remains.events[0].what, What::Journal);
        }
    }

    #[test]
    fn wild_accesses_are_answered_and_counted() {
        let mut board = board(Injection::Hole);
        for offset in 0..0x3000 {
            for width in [0, 1, 2, 4, 8, 16] {
                let there = board.read(PORT + offset, width).is_some();
                assert_eq!(there, offset < 0x2000);
                let answer = board.write(PORT + offset, width, 0);
                assert_eq!(answer == Answer::Nobody, offset >= 0x2000);
            }
        }
        assert_eq!(board.write(u64::MAX, 8, 0), Answer::Nobody);
        assert_eq!(board.read(0, 8), None);
        assert!(board.into_remains().events_lost > 0x1000);
    }

    #[test]
    fn the_console_is_bounded() {
        let mut board = board(Injection::Hole);
        assert_eq!(board.write(UART, 4, 0x41), Answer::Done);
        assert_eq!(board.write(UART, 1, 0x42), Answer::Done);
        assert_eq!(board.write(UART, 1, 0x43), Answer::Flooded);
        assert_eq!(board.into_remains().console, b"AB");
    }
}
