//! How the guest's memory is laid out in memory slots, and what a hole changes about them.
//!
//! A hole is a page that no slot covers. To make one, the slot around it is removed and its parts are added again. That
//! costs two SRCU grace periods for the removal and one for each addition (in the lab 350 µs a call, so a thousand holes
//! take a bit over one second), and every page of the slot that was touched faults once more (half a second beside
//! that, when each hole is followed by touches of 64 pages in one slot of 64 MiB). So memory begins as few large slots,
//! and a slot that is cut falls apart into aligned halves towards the hole: what is far from it stays large and cheap to
//! set up, and the next hole near it drops few mappings with three calls. Slots of a page each would save a call for each
//! hole and cost one for each page; slots of 64 KiB from the start were slower in the lab too.
//!
//! Plain arithmetic, tested on every host; `memory` tells KVM.

use std::collections::BTreeMap;
use std::ops::Range;

/// Bytes of a page.
pub(crate) const PAGE: u64 = 0x1000;
/// Bytes of a slot at the start, at most.
const BLOCK: u64 = 64 << 20;
/// A slot of no more than this many bytes is cut into just two parts.
const LEAF: u64 = 16 * PAGE;

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
    slots: BTreeMap<u64, Slot>,
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
            slots: BTreeMap::new(),
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

    /// The slots, by address.
    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.values()
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
        if self.slots.get(&page).is_some_and(|slot| slot.read_only) {
            return Ok(Vec::new());
        }
        self.cut(page, true)
    }

    /// Cuts a page out of the slot around it; gives it one of its own, read-only, if it is to be `kept`.
    fn cut(&mut self, page: u64, kept: bool) -> Result<Vec<Change>, NoSlotLeft> {
        let around = self
            .slots
            .range(..=page)
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
        self.slots.remove(&slot.range.start);
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
    let window = |bytes: u64| {
        let start = page & !(bytes - 1);
        start.max(range.start)..range.end.min(start.saturating_add(bytes))
    };
    let mut inner = window(LEAF);
    let mut parts = sides(&inner, page);
    let mut bytes = LEAF;
    while inner != *range && bytes < 1 << 62 {
        bytes *= 2;
        let outer = window(bytes);
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
mod tests {
    use super::*;

    const BASE: u64 = 0x8000_0000;

    /// The pages that slots cover must be all but the holes, each once, and numbers must differ and stay below the limit.
    fn check(layout: &Layout, holes: &[u64]) {
        let mut at = layout.memory().start;
        let mut ids = std::collections::BTreeSet::new();
        let mut gaps = Vec::new();
        for slot in layout.slots() {
            gaps.extend((at..slot.range.start).step_by(0x1000));
            assert!(slot.range.start < slot.range.end && slot.range.start >= at);
            assert!(ids.insert(slot.id) && slot.id < layout.limit);
            at = slot.range.end;
        }
        gaps.extend((at..layout.memory().end).step_by(0x1000));
        let mut holes = holes.to_vec();
        holes.sort_unstable();
        holes.dedup();
        assert_eq!(gaps, holes);
    }

    /// KVM's view: it knows what it was told.
    fn told(slots: &mut BTreeMap<u32, Range<u64>>, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Remove(slot) => assert_eq!(slots.remove(&slot.id), Some(slot.range.clone())),
                Change::Add(slot) => assert_eq!(slots.insert(slot.id, slot.range.clone()), None),
            }
        }
    }

    #[test]
    fn any_thousand_holes_leave_exactly_themselves_uncovered() {
        let mut layout = Layout::new(BASE..BASE + (64 << 20), 32_764).unwrap();
        let mut kvm: BTreeMap<u32, Range<u64>> = layout.slots().map(|s| (s.id, s.range.clone())).collect();
        let mut holes = Vec::new();
        let mut state = 1_u64;
        for _ in 0..1000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let page = BASE + ((state >> 33) % (64 << 8)) * PAGE;
            told(&mut kvm, &layout.open(page).unwrap());
            holes.push(page);
        }
        check(&layout, &holes);
        assert!(layout.slots().all(|slot| kvm.get(&slot.id) == Some(&slot.range)));
        assert_eq!(kvm.len(), layout.slots().count());
    }

    #[test]
    fn the_edges_and_whole_slots_can_be_holes() {
        let end = BASE + (2 << 20);
        let mut layout = Layout::new(BASE..end, 64).unwrap();
        let pages = [BASE, end - PAGE, BASE + PAGE, BASE + 3 * PAGE, BASE + 2 * PAGE];
        for page in pages {
            assert!(!layout.open(page).unwrap().is_empty());
            assert_eq!(layout.open(page), Ok(Vec::new()), "a hole stays one");
        }
        check(&layout, &pages);
        for page in (BASE..end).step_by(0x1000) {
            layout.open(page).unwrap();
        }
        assert_eq!(layout.slots().count(), 0);
    }

    #[test]
    fn a_hole_costs_only_its_neighbourhood_the_second_time() {
        let mut layout = Layout::new(BASE..BASE + (64 << 20), 32_764).unwrap();
        layout.open(BASE + (8 << 20)).unwrap();
        let changes = layout.open(BASE + (8 << 20) + 2 * PAGE).unwrap();
        assert!(matches!(&changes[0], Change::Remove(slot) if slot.range.end - slot.range.start <= LEAF));
        assert_eq!(changes.len(), 3);
    }

    #[test]
    fn a_read_only_page_is_covered_alone_and_can_still_become_a_hole() {
        let mut layout = Layout::new(BASE..BASE + (64 << 20), 32_764).unwrap();
        let mut kvm: BTreeMap<u32, Range<u64>> = layout.slots().map(|s| (s.id, s.range.clone())).collect();
        let page = BASE + (8 << 20);
        for at in [page, page + PAGE, BASE, BASE + (64 << 20) - PAGE] {
            let changes = layout.protect(at).unwrap();
            told(&mut kvm, &changes);
            assert_eq!(layout.protect(at), Ok(Vec::new()), "it stays so");
            let of_page = layout.slots().find(|slot| slot.range.contains(&at)).unwrap();
            assert_eq!((of_page.range.clone(), of_page.read_only), (at..at + PAGE, true));
        }
        check(&layout, &[]);
        assert_eq!(layout.slots().filter(|slot| slot.read_only).count(), 4);
        told(&mut kvm, &layout.open(page).unwrap());
        check(&layout, &[page]);
        assert_eq!(layout.protect(page), Ok(Vec::new()), "a hole stays one");
        assert!(layout.slots().all(|slot| kvm.get(&slot.id) == Some(&slot.range)));
        assert_eq!(
            Layout::new(BASE..BASE + (2 << 20), 2)
                .unwrap()
                .protect(BASE + PAGE),
            Err(NoSlotLeft(2))
        );
    }

    #[test]
    fn too_few_slots_are_said_and_change_nothing() {
        assert_eq!(
            Layout::new(BASE..BASE + (256 << 20), 3).unwrap_err(),
            NoSlotLeft(3)
        );
        let mut layout = Layout::new(BASE..BASE + (2 << 20), 2).unwrap();
        // Not enough for halves, but for the two sides.
        assert_eq!(layout.open(BASE + PAGE).unwrap().len(), 3);
        assert_eq!(layout.open(BASE + 3 * PAGE), Err(NoSlotLeft(2)));
        check(&layout, &[BASE + PAGE]);
        assert_eq!(layout.open(BASE).unwrap().len(), 1, "a whole slot can go");
    }
}
