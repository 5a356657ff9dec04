//! Frames that are retired before their first use.
//!
//! Their entries lie above the watermark, among entries that were never written and may hold anything, so that none can
//! be believed by itself. Each retired one is in a list of its own here, and has its place in that list in its entry: an
//! entry counts if the place it names is in use and names it. That takes the same time however many frames lie below,
//! and nothing is cleared for it [Briggs and Torczon, 1993, "An efficient representation for sparse sets"].

use seawall_agent::address::FrameNumber;

use super::{Entry, FrameTable, Holder, RETIRED};

/// The list.
#[derive(Debug)]
pub(super) struct Early<'a> {
    /// The entries' numbers; what is not in use may hold anything.
    indices: &'a mut [u32],
    count: u32,
    /// How many of them the watermark has not passed.
    ahead: u64,
}

impl Early<'_> {
    /// Without room.
    pub(super) const fn nowhere() -> Self {
        Self {
            indices: &mut [],
            count: 0,
            ahead: 0,
        }
    }

    pub(super) const fn ahead(&self) -> u64 {
        self.ahead
    }

    /// Whether an entry above the watermark is that of a retired frame.
    fn has(&self, index: u32, entries: &[Entry]) -> bool {
        let Some(place) = entries.get(index as usize).map(|entry| entry.next) else {
            return false;
        };
        place < self.count && self.indices.get(place as usize) == Some(&index)
    }

    /// Takes an entry in; false where there is no room.
    fn add(&mut self, index: u32, entries: &mut [Entry]) -> bool {
        let (Some(place), Some(entry)) = (
            self.indices.get_mut(self.count as usize),
            entries.get_mut(index as usize),
        ) else {
            return false;
        };
        *place = index;
        *entry = Entry {
            next: self.count,
            slot: 0,
            state: RETIRED,
            marked: 0,
        };
        self.count += 1;
        self.ahead += 1;
        true
    }

    /// The watermark passes an entry; true when it is that of a retired frame, which it is from now on by its state.
    pub(super) fn pass(&mut self, index: u32, entries: &[Entry]) -> bool {
        let has = self.has(index, entries);
        self.ahead -= u64::from(has);
        has
    }
}

impl<'a> FrameTable<'a> {
    /// Keeps frames that are retired before their first use here, as many as there is room for; it may hold anything. One
    /// that finds no room costs time in the frames below it, which are then made free ones that were used.
    pub fn keep_early(&mut self, indices: &'a mut [u32]) {
        self.early.indices = indices;
    }

    /// Whom a frame belongs to that was never used.
    #[cold]
    #[inline(never)]
    pub(super) fn holder_unused(&self, frame: FrameNumber) -> Holder {
        match self.find(frame) {
            Some(index) if self.early.has(index, self.entries) => Holder::Retired,
            Some(_) => Holder::Free,
            None => Holder::Outside,
        }
    }

    /// As [`FrameTable::retire_from`], for such a frame.
    #[cold]
    #[inline(never)]
    pub(super) fn retire_unused(&mut self, frame: FrameNumber) -> Option<u16> {
        let index = self.find(frame)?;
        if self.early.has(index, self.entries) {
            return None;
        }
        if !self.early.add(index, self.entries) {
            self.use_up_to(frame);
            return self.used(frame).and_then(|_| self.retire_from(frame));
        }
        self.retired += 1;
        self.take_out_later(index);
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::FrameList;
    use super::*;

    /// An entry that was never written, and that looks like a retired frame's.
    const GARBAGE: Entry = Entry {
        next: 0,
        slot: 7,
        state: RETIRED,
        marked: 1,
    };

    fn table<'a>(entries: &'a mut [Entry], early: &'a mut [u32]) -> FrameTable<'a> {
        let mut table = FrameTable::new(entries, [(FrameNumber(0x200), 8), (FrameNumber(0x100), 4)]);
        table.keep_early(early);
        table
    }

    fn rest(table: &mut FrameTable<'_>) -> Vec<u64> {
        let mut list = FrameList::EMPTY;
        let mut rest: Vec<u64> = std::iter::from_fn(|| table.take(Holder::Task(1), &mut list))
            .map(|frame| frame.0)
            .collect();
        rest.sort_unstable();
        rest
    }

    #[test]
    fn a_frame_that_was_never_used_is_retired_alone_and_is_never_handed_out() {
        let (mut entries, mut early) = ([GARBAGE; 12], [3, 3, 3]);
        let mut table = table(&mut entries, &mut early);
        for frame in [0x203, 0x102, 0x200] {
            assert!(table.retire(FrameNumber(frame)), "{frame:#x}");
            assert!(!table.retire(FrameNumber(frame)), "{frame:#x}: known once");
            assert_eq!(table.holder(FrameNumber(frame)), Holder::Retired);
        }
        assert_eq!(table.stock(), (12, 9, 3));
        for frame in [0x201, 0x202, 0x204, 0x207, 0x100, 0x103] {
            assert_eq!(table.holder(FrameNumber(frame)), Holder::Free, "{frame:#x}");
        }
        assert_eq!(
            rest(&mut table),
            [0x100, 0x101, 0x103, 0x201, 0x202, 0x204, 0x205, 0x206, 0x207]
        );
        assert_eq!(table.stock(), (12, 0, 3));
        assert_eq!(table.holder(FrameNumber(0x102)), Holder::Retired);
    }

    #[test]
    fn nothing_below_it_is_written_as_long_as_there_is_room() {
        let (mut entries, mut early) = ([GARBAGE; 12], [0; 1]);
        let mut table = table(&mut entries, &mut early);
        assert!(table.retire(FrameNumber(0x207)));
        let written = |table: &FrameTable<'_>| table.ranges.iter().map(|range| range.used).sum::<u32>();
        assert_eq!(written(&table), 0);
        // The next one finds none.
        assert!(table.retire(FrameNumber(0x204)));
        assert_eq!((written(&table), table.stock()), (5, (12, 10, 2)));
        assert!(!table.retire(FrameNumber(0x204)));
        // What lies above the first is looked at beyond it too.
        assert!(table.retire(FrameNumber(0x101)));
        assert_eq!((table.stock(), rest(&mut table).len()), ((12, 9, 3), 9));
    }

    #[test]
    fn any_order_of_retiring_and_handing_out_keeps_every_frame_once() {
        let mut state = 0x5ea_u64;
        let mut draw = move |below: u64| {
            // Knuth's MMIX generator.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for room in [0, 3, 64] {
            let (mut entries, mut early) = ([GARBAGE; 64], vec![5; room]);
            let mut table = FrameTable::new(&mut entries, [(FrameNumber(0), 40), (FrameNumber(100), 24)]);
            table.keep_early(&mut early);
            let (mut list, mut out, mut lost) = (FrameList::EMPTY, Vec::new(), Vec::new());
            for _ in 0..500 {
                let frame = match draw(64) {
                    low @ 0..40 => low,
                    high => 60 + high,
                };
                match draw(8) {
                    0 => {
                        let is_new = !lost.contains(&frame);
                        assert_eq!(table.retire(FrameNumber(frame)), is_new, "{frame}");
                        lost.extend(is_new.then_some(frame));
                        out.retain(|kept| *kept != frame);
                    }
                    1..5 => {
                        if let Some(FrameNumber(taken)) = table.take(Holder::Task(1), &mut list) {
                            assert!(!out.contains(&taken) && !lost.contains(&taken), "{taken}");
                            out.push(taken);
                        }
                    }
                    5 => {
                        table.give_back(&mut list);
                        out.clear();
                    }
                    _ => {
                        let expected = match (lost.contains(&frame), out.contains(&frame)) {
                            (true, _) => Holder::Retired,
                            (false, true) => Holder::Task(1),
                            (false, false) => Holder::Free,
                        };
                        assert_eq!(table.holder(FrameNumber(frame)), expected, "{frame}");
                    }
                }
                let free = 64 - out.len() - lost.len();
                assert_eq!(table.stock(), (64, free as u64, lost.len() as u64));
            }
        }
    }
}
