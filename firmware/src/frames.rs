//! The frame table: who owns each frame of memory, and which frames are lost for good.
//!
//! Every frame that may be handed out has an entry of eight bytes. Entries above the range's watermark have never been
//! used and are not even written, so that 64 GiB cost no more at boot than 16 MiB; `early` has those of them that were
//! retired. Owned frames are linked into a list for each owner: the frames of a dead task are given back along that list,
//! never by walking its page tables, one of which may be what was poisoned.
//!
//! Retiring is O(1) and touches the entry alone, whether or not the frame was ever used. A retired frame stays in whatever list it was in and is passed over
//! when it comes up; it never becomes free again. What else is due to it, that the kernel's own mapping of memory no
//! longer reaches it, is put off, but never beyond the next frame that is handed out.

mod early;
mod mapping;
mod shared;

use core::cell::Cell;

use seawall_agent::address::FrameNumber;

use early::Early;
use mapping::Waiting;
pub use mapping::{TakeOut, TakenOut};

/// Frames of a block: 2 MiB.
pub const BLOCK: u64 = 512;

/// Ranges of frames that may be handed out; what is reserved lies between them.
pub const MAX_RANGES: usize = 16;

/// Whom a frame belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holder {
    /// Nobody.
    Free,
    /// The task in this slot maps it.
    Task(u16),
    /// It is a translation table of the task in this slot.
    Table(u16),
    /// Tasks of this family map it, each at the same address if at all.
    Shared(u16),
    /// The kernel.
    Kernel,
    /// Nobody, ever again.
    Retired,
    /// It is not in the table: a device, or nothing.
    Outside,
}

/// One frame's entry.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Entry {
    next: u32,
    slot: u16,
    state: u8,
    marked: u8,
}

const FREE: u8 = 0;
const TASK: u8 = 1;
const TABLE: u8 = 2;
const KERNEL: u8 = 3;
const RETIRED: u8 = 4;
const SHARED: u8 = 5;
/// In use until it is given back, and retired then: a translation table, and a frame of the kernel's.
const CONDEMNED_TABLE: u8 = 8;
const CONDEMNED_KERNEL: u8 = 9;
const NONE: u32 = u32::MAX;

/// A list of owned frames, newest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameList {
    head: u32,
}

impl FrameList {
    /// Without frames.
    pub const EMPTY: Self = Self { head: NONE };
}

#[derive(Clone, Copy, Debug, Default)]
struct Range {
    first: u64,
    count: u32,
    entry: u32,
    used: u32,
}

impl Range {
    /// A frame's entry, where it is one of the range's first `count`.
    #[inline(always)]
    fn place(&self, frame: FrameNumber, count: u32) -> Option<u32> {
        let offset = frame.0.wrapping_sub(self.first);
        #[expect(clippy::cast_possible_truncation, reason = "less than a count of 32 bits")]
        (offset < u64::from(count)).then(|| self.entry.wrapping_add(offset as u32))
    }

    /// The same, of those that were ever used.
    #[inline(always)]
    fn used(&self, frame: FrameNumber) -> Option<u32> {
        self.place(frame, self.used)
    }
}

/// The table.
#[derive(Debug)]
pub struct FrameTable<'a> {
    entries: &'a mut [Entry],
    ranges: [Range; MAX_RANGES],
    early: Early<'a>,
    free: u32,
    free_listed: u64,
    retired: u64,
    total: u64,
    waiting: Waiting,
    /// The frame that was looked up last, and its entry once that is known to have been written: an abort asks twice.
    last: Cell<(u64, u32)>,
}

impl<'a> FrameTable<'a> {
    /// A table over these ranges of whole frames (first frame, count); `entries` has at least one for each frame and
    /// may hold anything. Ranges and frames that find no entry are left out. Whatever is asked of the first range's frames
    /// is answered soonest.
    #[must_use]
    pub fn new(entries: &'a mut [Entry], ranges: impl IntoIterator<Item = (FrameNumber, u64)>) -> Self {
        let mut table = Self {
            entries,
            ranges: [Range::default(); MAX_RANGES],
            early: Early::nowhere(),
            free: NONE,
            free_listed: 0,
            retired: 0,
            total: 0,
            waiting: Waiting::NONE,
            last: Cell::new((u64::MAX, 0)),
        };
        let capacity = u32::try_from(table.entries.len()).unwrap_or(u32::MAX - 1);
        let mut entry = 0_u32;
        for (slot, (first, count)) in table.ranges.iter_mut().zip(ranges) {
            let count = u32::try_from(count).unwrap_or(u32::MAX).min(capacity - entry);
            *slot = Range {
                first: first.0,
                count,
                entry,
                used: 0,
            };
            entry += count;
        }
        table.total = u64::from(entry);
        table
    }

    /// Frames that exist, that may be handed out, and that are lost.
    #[must_use]
    pub fn stock(&self) -> (u64, u64, u64) {
        let untouched: u64 = self
            .ranges
            .iter()
            .map(|range| u64::from(range.count - range.used))
            .sum();
        let free = self.free_listed + untouched - self.early.ahead();
        (self.total, free, self.retired)
    }

    /// The entry of a frame that was ever used.
    fn used(&self, frame: FrameNumber) -> Option<u32> {
        self.ranges.iter().find_map(|range| range.used(frame))
    }

    /// A frame's entry, whether or not it was ever written.
    fn find(&self, frame: FrameNumber) -> Option<u32> {
        self.ranges
            .iter()
            .find_map(|range| range.place(frame, range.count))
    }

    /// Where a frame's entry lies in the table, in bytes from its beginning; `None` when it has none.
    #[must_use]
    pub fn offset_of(&self, frame: FrameNumber) -> Option<u64> {
        let index = self.find(frame)?;
        Some(u64::from(index) * size_of::<Entry>() as u64)
    }

    fn frame(&self, index: u32) -> Option<FrameNumber> {
        self.ranges.iter().find_map(|range| {
            let offset = index.wrapping_sub(range.entry);
            (offset < range.count).then(|| FrameNumber(range.first + u64::from(offset)))
        })
    }

    /// Takes a free frame for `holder` and puts it into the owner's list. `None` when none is left, or when `holder`
    /// is nobody.
    #[inline]
    pub fn take(&mut self, holder: Holder, list: &mut FrameList) -> Option<FrameNumber> {
        if !self.waiting.is_empty() {
            self.take_out_retired();
        }
        self.hand_out(holder, list)
    }

    /// Takes a free frame as it is.
    fn hand_out(&mut self, holder: Holder, list: &mut FrameList) -> Option<FrameNumber> {
        let (state, slot) = match holder {
            Holder::Task(slot) => (TASK, slot),
            Holder::Table(slot) => (TABLE, slot),
            Holder::Kernel => (KERNEL, 0),
            Holder::Shared(_) | Holder::Free | Holder::Retired | Holder::Outside => return None,
        };
        let index = self.pop_free().or_else(|| self.first_touch())?;
        *self.entries.get_mut(index as usize)? = Entry {
            next: list.head,
            slot,
            state,
            marked: 0,
        };
        list.head = index;
        self.frame(index)
    }

    /// A task's frame becomes a translation table of the same task's.
    pub fn make_table(&mut self, frame: FrameNumber) {
        if let Some(index) = self.used(frame)
            && let Some(entry) = self.entries.get_mut(index as usize)
            && entry.state == TASK
        {
            entry.state = TABLE;
        }
    }

    /// Takes a block of free frames that lie together, aligned to their whole length, for `holder`; gives the first. All of
    /// them go into the owner's list, from which they come back one by one. For programs that ask for it as they are
    /// loaded: what is free is gone through.
    pub fn take_block(&mut self, holder: Holder, list: &mut FrameList) -> Option<FrameNumber> {
        self.take_out_retired();
        let first = self.free_block()?;
        let last = FrameNumber(first.0 + (BLOCK - 1));
        self.use_up_to(last);
        let start = self.find(first)?;
        let end = start + u32::try_from(BLOCK).ok()?;
        self.unlist(start..end);
        for index in start..end {
            // As `take` does for one: it is the newest free frame now.
            let entry = self.entries.get_mut(index as usize)?;
            entry.next = self.free;
            self.free = index;
            self.free_listed += 1;
            self.hand_out(holder, list)?;
        }
        Some(first)
    }

    /// The lowest block whose every frame is free.
    fn free_block(&self) -> Option<FrameNumber> {
        self.ranges.iter().find_map(|range| {
            let end = range.first + u64::from(range.count);
            let mut first = range.first.next_multiple_of(BLOCK);
            while first + BLOCK <= end {
                let is_free = |frame: &u64| self.holder(FrameNumber(*frame)) == Holder::Free;
                match (first..first + BLOCK).rev().find(|frame| !is_free(frame)) {
                    None => return Some(FrameNumber(first)),
                    Some(_) => first += BLOCK,
                }
            }
            None
        })
    }

    /// Takes free frames out of the list of those.
    fn unlist(&mut self, indices: core::ops::Range<u32>) {
        let mut at = core::mem::replace(&mut self.free, NONE);
        let mut kept = NONE;
        while let Some(entry) = self.entries.get_mut(at as usize) {
            let next = entry.next;
            match entry.state {
                // Retired meanwhile: it would be passed over.
                RETIRED => {}
                _ if indices.contains(&at) => self.free_listed -= 1,
                _ => {
                    entry.next = kept;
                    kept = at;
                }
            }
            at = next;
        }
        self.free = kept;
    }

    /// The newest free frame that has not been retired since it was given back.
    fn pop_free(&mut self) -> Option<u32> {
        while self.free != NONE {
            let index = self.free;
            let entry = self.entries.get(index as usize)?;
            self.free = entry.next;
            if entry.state == FREE {
                self.free_listed -= 1;
                return Some(index);
            }
        }
        None
    }

    /// The next frame of a range that was never used, passing over what was retired before its first use.
    fn first_touch(&mut self) -> Option<u32> {
        for range in &mut self.ranges {
            while range.used < range.count {
                let index = range.entry + range.used;
                range.used += 1;
                if !self.early.pass(index, self.entries) {
                    return Some(index);
                }
            }
        }
        None
    }

    /// Gives all frames of a list back, but for those that were retired.
    pub fn give_back(&mut self, list: &mut FrameList) {
        while list.head != NONE {
            let index = list.head;
            let Some(entry) = self.entries.get_mut(index as usize) else {
                break;
            };
            list.head = entry.next;
            match entry.state {
                RETIRED => {}
                CONDEMNED_TABLE | CONDEMNED_KERNEL => {
                    entry.state = RETIRED;
                    self.retired += 1;
                    self.take_out_later(index);
                }
                _ => {
                    *entry = Entry {
                        next: self.free,
                        slot: 0,
                        state: FREE,
                        marked: 0,
                    };
                    self.free = index;
                    self.free_listed += 1;
                }
            }
        }
    }

    /// Retires a frame for good. False when it was retired before, is not in the table, or is in the kernel's own use:
    /// what the kernel stands on is not taken away under it.
    pub fn retire(&mut self, frame: FrameNumber) -> bool {
        self.retire_from(frame).is_some()
    }

    /// The same; gives the family that shared it, else 0, and `None` where the other is false.
    #[inline(always)]
    pub fn retire_from(&mut self, frame: FrameNumber) -> Option<u16> {
        match self.last.get() {
            (last, index) if last == frame.0 => self.retire_at(index),
            _ => self.retire_elsewhere(frame),
        }
    }

    #[inline(never)]
    fn retire_elsewhere(&mut self, frame: FrameNumber) -> Option<u16> {
        match self.used(frame) {
            Some(index) => self.retire_at(index),
            None => self.retire_unused(frame),
        }
    }

    /// The same, of the frame with an entry that was written. A task's is looked for first.
    #[inline(always)]
    fn retire_at(&mut self, index: u32) -> Option<u16> {
        let entry = self.entries.get_mut(index as usize)?;
        let mut family = 0;
        if entry.state != TASK {
            match entry.state {
                RETIRED | KERNEL | CONDEMNED_KERNEL => return None,
                FREE => self.free_listed -= 1,
                SHARED => family = entry.slot,
                _ => {}
            }
        }
        entry.state = RETIRED;
        self.retired += 1;
        self.take_out_later(index);
        Some(family)
    }

    /// Notes that a frame which is in use, by the kernel or as a translation table, is to be retired when it comes back.
    pub fn condemn(&mut self, frame: FrameNumber) {
        let is_spare = self.is_spare(frame);
        let Some(index) = self.used(frame) else {
            return;
        };
        match self.entries.get_mut(index as usize) {
            Some(entry) if entry.state == TABLE => entry.state = CONDEMNED_TABLE,
            Some(entry) if entry.state == KERNEL => entry.state = CONDEMNED_KERNEL,
            _ => return,
        }
        if is_spare {
            self.drop_spare(frame);
            self.give_back(&mut FrameList { head: index });
        }
    }

    /// The highest frame that is nobody's.
    #[must_use]
    pub fn highest_free(&self) -> Option<FrameNumber> {
        let highest = self.ranges.iter().max_by_key(|range| range.first)?;
        let all = highest.first..highest.first + u64::from(highest.count);
        all.rev()
            .map(FrameNumber)
            .find(|frame| self.holder(*frame) == Holder::Free)
    }

    /// Makes all entries up to a frame's that was never handed out free ones that have been written.
    #[cold]
    fn use_up_to(&mut self, frame: FrameNumber) {
        while self.used(frame).is_none() {
            let Some(untouched) = self.first_touch() else {
                return;
            };
            if let Some(entry) = self.entries.get_mut(untouched as usize) {
                *entry = Entry {
                    next: NONE,
                    slot: 0,
                    state: KERNEL,
                    marked: 0,
                };
            }
            self.give_back(&mut FrameList { head: untouched });
        }
    }

    /// Whom a frame belongs to. One of the first range, the largest, is found without a search.
    #[inline(always)]
    #[must_use]
    pub fn holder(&self, frame: FrameNumber) -> Holder {
        let [first, ..] = &self.ranges;
        match first.used(frame) {
            Some(index) => self.holder_at(frame, index),
            None => self.holder_elsewhere(frame),
        }
    }

    #[inline(never)]
    fn holder_elsewhere(&self, frame: FrameNumber) -> Holder {
        match self.used(frame) {
            Some(index) => self.holder_at(frame, index),
            None => self.holder_unused(frame),
        }
    }

    /// Whom the frame belongs to with an entry that was written. A task's is looked for first.
    #[inline(always)]
    fn holder_at(&self, frame: FrameNumber, index: u32) -> Holder {
        self.last.set((frame.0, index));
        let Some(entry) = self.entries.get(index as usize) else {
            return Holder::Outside;
        };
        if entry.state == TASK {
            return Holder::Task(entry.slot);
        }
        match entry.state {
            FREE => Holder::Free,
            TABLE | CONDEMNED_TABLE => Holder::Table(entry.slot),
            SHARED => Holder::Shared(entry.slot),
            RETIRED => Holder::Retired,
            _ => Holder::Kernel,
        }
    }
}

#[cfg(test)]
mod tests;
