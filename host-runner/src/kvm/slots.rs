//! How the guest's memory is laid out in memory slots, and what a hole changes about them, and its end.
//!
//! A hole is a page that no slot covers. To make one, the slot around it is removed and its parts are added again. That
//! costs two SRCU grace periods for the removal and one for each addition (in the lab 350 µs a call, so a thousand holes
//! take a bit over one second), and every page of the slot that was touched faults once more (half a second beside
//! that, when each hole is followed by touches of 64 pages in one slot of 64 MiB). So memory begins as few large slots,
//! and a slot that is cut falls apart into aligned halves towards the hole: what is far from it stays large and cheap to
//! set up, and the next hole near it drops few mappings with three calls. Slots of a page each would save a call for each
//! hole and cost one for each page; slots of 64 KiB from the start were slower in the lab too.
//!
//! A page that is given back undoes that: what lies around it is one slot again, in the largest aligned part of memory that
//! has nothing else cut out of it. So slots are never more than the holes at hand ask for, and without one they are what
//! they were at the start.
//!
//! Plain arithmetic, tested on every host; `memory` tells KVM.

use std::ops::Range;

use super::table::Table;

mod cut;

use cut::Cut;

/// Bytes of a page.
pub(crate) const PAGE: u64 = 0x1000;
/// Bytes of a slot at the start, at most.
const BLOCK: u64 = 64 << 20;
/// A slot of no more than this many bytes is cut into just two parts.
const LEAF: u64 = 16 * PAGE;
/// Slots that a page brings at most: its block is halved down to a leaf, and that is cut in two, or in three with the
/// page.
const MOST_FOR_A_PAGE: usize = (BLOCK / LEAF).ilog2() as usize + 3;

/// Pages that follow each other, given to KVM under one number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Slot {
    /// The number.
    pub(crate) id: u32,
    /// The IPAs it covers.
    pub(crate) range: Range<u64>,
    /// Stores leave for user space.
    pub(crate) read_only: bool,
}

/// What KVM has to be told, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// This slot is no more.
    Remove(Slot),
    /// This slot is new.
    Add(Slot),
}

/// There is no slot left: the host gives {0}.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NoSlotLeft(pub(crate) u32);

impl core::fmt::Display for NoSlotLeft {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "no memory slot is left for another hole: the host gives {} (KVM_CAP_NR_MEMSLOTS)",
            self.0
        )
    }
}

/// The slots as they stand.
#[derive(Debug)]
pub(crate) struct Layout {
    memory: Range<u64>,
    // By their first byte.
    slots: Table<Slot>,
    // Pages that are holes, or read-only.
    cut: Cut,
    limit: u32,
    // Numbers that were used and are free again, and the first that never was.
    freed: Vec<u32>,
    next: u32,
}

impl Layout {
    /// Memory without a hole, in at most `limit` slots. Its bounds are aligned to pages.
    ///
    /// # Errors
    /// [`NoSlotLeft`] when there are too few.
    pub(crate) fn new(memory: Range<u64>, limit: u32) -> Result<Self, NoSlotLeft> {
        let mut layout = Self {
            memory: memory.clone(),
            slots: Table::new(),
            cut: Cut::none(&memory),
            limit,
            freed: Vec::new(),
            next: 0,
        };
        let blocks = (memory.end - memory.start).div_ceil(BLOCK);
        if blocks > u64::from(limit) {
            return Err(NoSlotLeft(limit));
        }
        for block in 0..blocks {
            let start = memory.start + block * BLOCK;
            layout.add(start..memory.end.min(start + BLOCK), false);
        }
        Ok(layout)
    }

    /// Has room for so many more pages to be cut out, as far as the limit allows, so that the books about them take no
    /// memory later.
    pub(crate) fn make_room(&mut self, pages: usize) {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = pages
            .saturating_mul(MOST_FOR_A_PAGE)
            .min(limit.saturating_sub(self.slots.len()));
        let anything = Slot {
            id: u32::MAX,
            range: 0..0,
            read_only: false,
        };
        self.slots.make_room(more, anything);
        let freed = self.freed.len();
        self.freed.resize(freed.saturating_add(more), u32::MAX);
        self.freed.truncate(freed);
    }

    /// The slots, by address.
    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().map(|(_, slot)| slot)
    }

    /// The memory, holes and all.
    pub(crate) fn memory(&self) -> Range<u64> {
        self.memory.clone()
    }

    /// Makes a hole of the page at `page`, which is aligned. A page that is a hole already changes nothing.
    ///
    /// # Errors
    /// [`NoSlotLeft`]; nothing has changed then.
    pub(crate) fn open(&mut self, page: u64) -> Result<Vec<Change>, NoSlotLeft> {
        self.cut(page, false)
    }

    /// Gives the page at `page`, which is aligned, a slot of its own that is read-only. A page that is so already, or is a
    /// hole, changes nothing.
    ///
    /// # Errors
    /// [`NoSlotLeft`]; nothing has changed then.
    pub(crate) fn protect(&mut self, page: u64) -> Result<Vec<Change>, NoSlotLeft> {
        if self.slots.get(page).is_some_and(|slot| slot.read_only) {
            return Ok(Vec::new());
        }
        self.cut(page, true)
    }

    /// Gives the page at `page`, which is aligned, back: it is neither a hole nor read-only any more. A page that was
    /// neither changes nothing.
    ///
    /// # Errors
    /// [`NoSlotLeft`]; nothing has changed then.
    pub(crate) fn close(&mut self, page: u64) -> Result<Vec<Change>, NoSlotLeft> {
        if !self.cut.contains(page) {
            return Ok(Vec::new());
        }
        let mut range = self.whole_around(page);
        // Slots that were cut when there were few left are of no size in particular; they go as a whole.
        let reaches = |slot: &&Slot| !slot.read_only || slot.range.start == page;
        let before = self.slots.range(0..range.start).next_back();
        let reaching = before.filter(|(_, slot)| slot.range.end > range.start);
        let inside = self.slots.range(range.clone());
        let old: Vec<Slot> = reaching
            .into_iter()
            .chain(inside)
            .map(|(_, slot)| slot)
            .filter(reaches)
            .cloned()
            .collect();
        for slot in &old {
            range.start = range.start.min(slot.range.start);
            range.end = range.end.max(slot.range.end);
        }
        let room = usize::try_from(self.limit).unwrap_or(usize::MAX);
        if self.slots.len() - old.len() >= room {
            return Err(NoSlotLeft(self.limit));
        }
        self.cut.remove(page);
        let mut changes = Vec::new();
        for slot in old {
            self.slots.remove(slot.range.start);
            self.freed.push(slot.id);
            changes.push(Change::Remove(slot));
        }
        changes.push(Change::Add(self.add(range, false)));
        Ok(changes)
    }

    /// The largest aligned part of its block around a page out of which nothing else is cut; or, where that is less than
    /// a leaf, what lies between the pages in the leaf that are.
    fn whole_around(&self, page: u64) -> Range<u64> {
        let from_start = page - self.memory.start;
        let block_start = self.memory.start + from_start / BLOCK * BLOCK;
        let block = block_start..self.memory.end.min(block_start + BLOCK);
        let is_whole = |part: &Range<u64>| {
            self.cut.last(part.start..page).is_none() && self.cut.first(page + PAGE..part.end).is_none()
        };
        let leaf = window(&block, page, LEAF);
        if !is_whole(&leaf) {
            let before = self.cut.last(leaf.start..page);
            let behind = self.cut.first(page + PAGE..leaf.end);
            let start = before.map_or(leaf.start, |before| before + PAGE);
            return start..behind.unwrap_or(leaf.end);
        }
        let mut whole = leaf;
        let mut bytes = LEAF;
        while whole != block && bytes < BLOCK {
            bytes *= 2;
            let outer = window(&block, page, bytes);
            if !is_whole(&outer) {
                break;
            }
            whole = outer;
        }
        whole
    }

    /// Cuts a page out of the slot around it; gives it one of its own, read-only, if it is to be `kept`.
    fn cut(&mut self, page: u64, kept: bool) -> Result<Vec<Change>, NoSlotLeft> {
        let around = self
            .slots
            .range(0..page + 1)
            .next_back()
            .map(|(_, slot)| slot.clone());
        let Some(slot) = around.filter(|slot| slot.range.contains(&page)) else {
            return Ok(Vec::new());
        };
        // A slot that is read-only has one page, so what is left of a slot never is.
        let others = self.slots.len() - 1 + usize::from(kept);
        let room = |parts: &Vec<_>| others + parts.len() <= usize::try_from(self.limit).unwrap_or(usize::MAX);
        let parts = Some(halves(&slot.range, page))
            .filter(room)
            .or_else(|| Some(sides(&slot.range, page)).filter(room))
            .ok_or(NoSlotLeft(self.limit))?;
        self.cut.insert(page);
        self.slots.remove(slot.range.start);
        self.freed.push(slot.id);
        let mut changes = vec![Change::Remove(slot)];
        changes.extend(parts.into_iter().map(|range| Change::Add(self.add(range, false))));
        if kept {
            changes.push(Change::Add(self.add(page..page + PAGE, true)));
        }
        Ok(changes)
    }

    /// Adds a slot that there is room for.
    fn add(&mut self, range: Range<u64>, read_only: bool) -> Slot {
        let id = self.freed.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        });
        let slot = Slot { id, range, read_only };
        self.slots.insert(slot.range.start, slot.clone());
        slot
    }
}

/// What a range has of the `bytes` around a page, which are a power of two and aligned.
fn window(range: &Range<u64>, page: u64, bytes: u64) -> Range<u64> {
    let start = page & !(bytes - 1);
    start.max(range.start)..range.end.min(start.saturating_add(bytes))
}

/// What lies on the two sides of a page.
fn sides(range: &Range<u64>, page: u64) -> Vec<Range<u64>> {
    [range.start..page, page + PAGE..range.end]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect()
}

/// What lies around a page, in parts that grow with their distance from it: each aligned window around the page is
/// twice as large as the one before, and gives what it has more than that one.
fn halves(range: &Range<u64>, page: u64) -> Vec<Range<u64>> {
    let mut inner = window(range, page, LEAF);
    let mut parts = sides(&inner, page);
    let mut bytes = LEAF;
    while inner != *range && bytes < 1 << 62 {
        bytes *= 2;
        let outer = window(range, page, bytes);
        parts.extend(
            [outer.start..inner.start, inner.end..outer.end]
                .into_iter()
                .filter(|part| !part.is_empty()),
        );
        inner = outer;
    }
    parts
}

#[cfg(test)]
mod tests;
