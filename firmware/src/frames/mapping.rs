//! Retired frames and the kernel's own mapping of memory.
//!
//! The kernel maps all memory for itself, in large blocks. As long as it maps a retired frame, the machine may touch that
//! without being asked: by speculation, or by fetching ahead of an access to a neighbour. So the frame is taken out of the
//! mapping, which may need a block to be split and a frame for the finer table.
//!
//! That is too long for the way of an abort, which only notes the frame here. It is caught up on when the kernel has time,
//! and at the latest before any frame is handed out, for whoever takes one is about to touch what may lie beside.

use seawall_agent::address::FrameNumber;

use super::{FrameList, FrameTable, Holder, KERNEL, RETIRED, TASK};

/// What came of an attempt to take a frame out of the mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TakenOut {
    /// It is mapped no longer, or never was; the spare frame was not needed.
    Done,
    /// It is mapped no longer, and the spare frame has become a translation table.
    WithTable,
    /// The spare frame has become a translation table, and another is needed.
    Again,
    /// A spare frame is needed and was not given: nothing was changed.
    NoSpare,
    /// The spare frame is poisoned itself, and another is needed: nothing else was changed.
    Unfit,
}

/// Takes a frame out of the kernel's mapping; the second frame is free, and mapped, for a table that is needed.
pub type TakeOut = fn(FrameNumber, Option<FrameNumber>) -> TakenOut;

/// Retired frames that are noted at most; the next one is taken out at once.
const MOST: usize = 64;
/// A block of 1 GiB needs a table for its blocks of 2 MiB, and one of those a table for its pages.
const SPARES: usize = 2;

/// Spare frames that are tried beyond those that are needed, when they turn out to be poisoned.
const MOST_UNFIT: usize = 4;

/// Frames that wait, and what is needed for them.
#[derive(Debug)]
pub(super) struct Waiting {
    frames: [u32; MOST],
    count: usize,
    /// `None`: there is no such mapping.
    take_out: Option<TakeOut>,
    spares: [Option<FrameNumber>; SPARES],
    tables: u64,
    still_mapped: u64,
    last: Option<FrameNumber>,
}

impl Waiting {
    pub(super) const NONE: Self = Self {
        frames: [0; MOST],
        count: 0,
        take_out: None,
        spares: [None; SPARES],
        tables: 0,
        still_mapped: 0,
        last: None,
    };

    #[inline(always)]
    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl FrameTable<'_> {
    /// Has retired frames taken out by this from now on, and keeps the frames at hand that it may need for tables.
    pub fn take_out_by(&mut self, take_out: TakeOut) {
        self.waiting.take_out = Some(take_out);
        self.keep_spares();
    }

    /// Frames that have become tables of the kernel's own mapping.
    #[must_use]
    pub const fn mapping_tables(&self) -> u64 {
        self.waiting.tables
    }

    /// Retired frames that are mapped still, because no frame was left for a table.
    #[must_use]
    pub const fn still_mapped(&self) -> u64 {
        self.waiting
            .still_mapped
            .saturating_add(self.waiting.count as u64)
    }

    /// The frame that was taken out last.
    #[must_use]
    pub const fn last_taken_out(&self) -> Option<FrameNumber> {
        self.waiting.last
    }

    /// Has a frame that was retired before there was a mapping taken out of it too.
    pub fn take_out_as_well(&mut self, frame: FrameNumber) {
        if self.holder(frame) == Holder::Retired
            && let Some(index) = self.find(frame)
        {
            self.take_out_later(index);
        }
    }

    /// Notes a retired frame.
    #[inline(always)]
    pub(super) fn take_out_later(&mut self, index: u32) {
        let count = self.waiting.count;
        match self.waiting.frames.get_mut(count) {
            Some(place) => {
                *place = index;
                self.waiting.count = count.wrapping_add(1);
            }
            None => self.take_out_now(index),
        }
    }

    /// Without room to note one more.
    #[cold]
    #[inline(never)]
    fn take_out_now(&mut self, index: u32) {
        self.take_out_retired();
        self.note_waiting(index);
    }

    fn note_waiting(&mut self, index: u32) {
        match self.waiting.frames.get_mut(self.waiting.count) {
            Some(place) => {
                *place = index;
                self.waiting.count = self.waiting.count.wrapping_add(1);
            }
            None => self.waiting.still_mapped = self.waiting.still_mapped.saturating_add(1),
        }
    }

    /// Retires a frame that was just handed out and could not be filled. It stays in the list that it was put into.
    pub fn discard(&mut self, frame: FrameNumber) {
        if let Some(index) = self.used(frame)
            && let Some(entry) = self.entries.get_mut(index as usize)
            && matches!(entry.state, TASK | KERNEL)
        {
            entry.state = RETIRED;
            self.retired += 1;
            self.note_waiting(index);
        }
    }

    /// Takes every retired frame that waits out of the mapping. Without memory for a table some stay, and are tried again.
    #[cold]
    #[inline(never)]
    pub fn take_out_retired(&mut self) {
        let Some(take_out) = self.waiting.take_out else {
            self.waiting.count = 0;
            return;
        };
        while let Some(last) = self.waiting.count.checked_sub(1) {
            let Some(index) = self.waiting.frames.get(last).copied() else {
                return;
            };
            // Its place is free for a spare frame that turns out to be poisoned.
            self.waiting.count = last;
            if let Some(frame) = self.frame(index) {
                if !self.take_out(frame, take_out) {
                    self.note_waiting(index);
                    return;
                }
                self.waiting.last = Some(frame);
            }
            // Before the next one: a table is made of what was at hand before anything near this frame was handed out.
            self.keep_spares();
        }
    }

    fn take_out(&mut self, frame: FrameNumber, take_out: TakeOut) -> bool {
        // One table for each level that a block can be at, and one attempt that needs none.
        for _ in 0..=SPARES + MOST_UNFIT {
            let spare = self.spare();
            match take_out(frame, spare) {
                TakenOut::Done => {
                    self.put_back(spare);
                    return true;
                }
                TakenOut::WithTable => {
                    self.waiting.tables = self.waiting.tables.wrapping_add(1);
                    return true;
                }
                TakenOut::Again => self.waiting.tables = self.waiting.tables.wrapping_add(1),
                TakenOut::NoSpare => {
                    self.put_back(spare);
                    return false;
                }
                TakenOut::Unfit => {
                    if let Some(spare) = spare {
                        self.discard(spare);
                    }
                }
            }
        }
        false
    }

    /// A frame for a table: one that was kept and is sound, else a free one.
    fn spare(&mut self) -> Option<FrameNumber> {
        let kept = self.waiting.spares.iter_mut().find_map(Option::take);
        kept.or_else(|| self.hand_out(Holder::Kernel, &mut FrameList::EMPTY.clone()))
    }

    fn put_back(&mut self, spare: Option<FrameNumber>) {
        if let Some(place) = self.waiting.spares.iter_mut().find(|place| place.is_none()) {
            *place = spare;
        }
    }

    pub(super) fn is_spare(&self, frame: FrameNumber) -> bool {
        self.waiting.spares.contains(&Some(frame))
    }

    /// A kept frame is not sound any more: it is not used, and another is kept in its place later.
    pub(super) fn drop_spare(&mut self, frame: FrameNumber) {
        let mut spares = self.waiting.spares.iter_mut();
        if let Some(place) = spares.find(|place| **place == Some(frame)) {
            *place = None;
        }
    }

    fn keep_spares(&mut self) {
        for place in 0..SPARES {
            if self.waiting.spares.get(place).is_some_and(Option::is_none) {
                let spare = self.hand_out(Holder::Kernel, &mut FrameList::EMPTY.clone());
                self.put_back(spare);
            }
        }
    }
}
