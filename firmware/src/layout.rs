//! Which memory is whose: what is usable, and what the kernel's books take of it.

use seawall_agent::address::{FrameNumber, IntermediateAddress};
use seawall_agent::journal;

use crate::board::Range;
use crate::frames::{Entry, MAX_RANGES};
use crate::slots::MAX_SLOTS;

const PAGE: u64 = 4096;
/// Frames, of 1 GiB less what the kernel and firmware may have of it, from which on the journal is long.
const JOURNAL_OF_LARGE: u64 = (1 << 18) - (1 << 14);

/// Lost pages that are gone round for one part of the books; with more of them so close, memory is not to be used.
const MOST_TRIES: usize = 4_096;

/// Free ranges of whole frames. Ranges that find no room are left unused, which is safe.
#[derive(Clone, Copy, Debug, Default)]
pub struct Layout {
    ranges: [Range; MAX_RANGES],
}

/// Bytes for the kernel's books.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sizes {
    /// For the frame table.
    pub entries: u64,
    /// For the ledger: a power of two of slots.
    pub ledger: u64,
    /// For the frames that are retired before their first use: as many as the ledger has slots.
    pub early: u64,
    /// For the journal.
    pub journal: u64,
    /// Task slots, with that of nobody.
    pub slots: u64,
}

impl Layout {
    /// Adds a range; cut to whole frames.
    pub fn add(&mut self, range: Range) {
        let range = Range {
            start: range.start.next_multiple_of(PAGE),
            end: range.end & !(PAGE - 1),
        };
        if range.start < range.end
            && let Some(slot) = self.ranges.iter_mut().find(|slot| slot.start >= slot.end)
        {
            *slot = range;
        }
    }

    /// Takes a range out, with the whole of each frame it touches.
    pub fn remove(&mut self, range: Range) {
        if range.start >= range.end {
            return;
        }
        let cut = Range {
            start: range.start & !(PAGE - 1),
            end: range.end.checked_next_multiple_of(PAGE).unwrap_or(!(PAGE - 1)),
        };
        for index in 0..MAX_RANGES {
            let whole = self.ranges[index];
            if whole.overlaps(&cut) {
                self.ranges[index] = Range {
                    start: whole.start,
                    end: cut.start.max(whole.start),
                };
                self.add(Range {
                    start: cut.end.min(whole.end),
                    end: whole.end,
                });
            }
        }
    }

    /// Takes whole frames from the end of the largest range, below the lost pages that are found there; `lost` gives the
    /// first at or above an address.
    pub fn carve(&mut self, bytes: u64, lost: impl Fn(u64) -> Option<u64>) -> Option<Range> {
        let bytes = bytes.checked_next_multiple_of(PAGE)?;
        let largest = *self.ranges.iter().max_by_key(|range| range.end - range.start)?;
        let mut end = largest.end;
        for _ in 0..MOST_TRIES {
            let start = end.checked_sub(bytes).filter(|start| *start >= largest.start)?;
            match lost(start).filter(|page| (start..end).contains(page)) {
                // Whatever follows it is no better.
                Some(page) => end = page & !(PAGE - 1),
                None => {
                    let carved = Range { start, end };
                    self.remove(carved);
                    return Some(carved);
                }
            }
        }
        None
    }

    /// How large the books are for as much memory as there is now.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        let frames = self
            .ranges
            .iter()
            .map(|range| (range.end - range.start) / PAGE)
            .sum::<u64>();
        // Twice the frames that can be lost, as the ledger takes three quarters; 16,384 of them are more than a
        // machine is left running with.
        let slots = (frames * 2).next_power_of_two().clamp(64, 32_768);
        // A record is 128 bytes. 4,096 hold a thousand aborts with all that goes with them, 32,768 ten thousand, 262,144 a
        // hundred thousand; small machines keep less.
        let records = match frames {
            ..8_192 => 512,
            8_192..32_768 => 4_096,
            32_768..JOURNAL_OF_LARGE => 32_768,
            JOURNAL_OF_LARGE.. => 262_144,
        };
        // 120 MiB: what is left of a machine that has 128.
        let slots_of_tasks = if frames < 30_720 { 64 } else { MAX_SLOTS as u64 };
        Sizes {
            slots: slots_of_tasks,
            entries: frames * size_of::<Entry>() as u64,
            ledger: slots * 8,
            early: slots * 4,
            journal: (journal::HEADER_WORDS as u64 + records * journal::RECORD_WORDS as u64) * 8,
        }
    }

    /// The ranges, as the frame table wants them: the largest is looked at first.
    pub fn frames(&self) -> impl Iterator<Item = (FrameNumber, u64)> + use<> {
        let mut ranges = self.ranges;
        ranges.sort_unstable_by_key(|range| core::cmp::Reverse(range.end.saturating_sub(range.start)));
        ranges
            .into_iter()
            .filter(|range| range.start < range.end)
            .map(|range| {
                (
                    FrameNumber::from_address(IntermediateAddress(range.start)),
                    (range.end - range.start) / PAGE,
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(layout: &Layout) -> Vec<(u64, u64)> {
        let mut all: Vec<_> = layout.frames().map(|(first, count)| (first.0, count)).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn the_largest_range_comes_first() {
        let mut layout = Layout::default();
        for (start, end) in [
            (0x4000_0000, 0x4000_2000),
            (0x5000_0000, 0x5000_9000),
            (0x6000_0000, 0x6000_4000),
        ] {
            layout.add(Range { start, end });
        }
        let counts: Vec<_> = layout.frames().map(|(first, count)| (first.0, count)).collect();
        assert_eq!(counts, [(0x50000, 9), (0x60000, 4), (0x40000, 2)]);
    }

    #[test]
    fn what_is_removed_leaves_what_lies_round_it() {
        let mut layout = Layout::default();
        layout.add(Range {
            start: 0x4000_0000,
            end: 0x4001_0000,
        });
        layout.remove(Range {
            start: 0x4000_4001,
            end: 0x4000_5001,
        });
        assert_eq!(frames(&layout), [(0x40000, 4), (0x40006, 10)]);
        layout.remove(Range {
            start: 0,
            end: 0x4000_1000,
        });
        assert_eq!(frames(&layout), [(0x40001, 3), (0x40006, 10)]);
        layout.remove(Range {
            start: 0,
            end: u64::MAX,
        });
        assert_eq!(frames(&layout), []);
    }

    #[test]
    fn carved_memory_is_whole_frames_of_nobody_else() {
        let mut layout = Layout::default();
        layout.add(Range {
            start: 0x4000_0000,
            end: 0x4001_0000,
        });
        assert_eq!(
            layout.carve(0x1001, sound),
            Some(Range {
                start: 0x4000_e000,
                end: 0x4001_0000
            })
        );
        assert_eq!(layout.carve(0xe001, sound), None);
        assert_eq!(frames(&layout), [(0x40000, 14)]);
    }

    /// Nothing is lost.
    fn sound(_: u64) -> Option<u64> {
        None
    }

    #[test]
    fn what_is_carved_has_no_lost_page_in_it() {
        let mut layout = Layout::default();
        layout.add(Range {
            start: 0x4000_0000,
            end: 0x4001_0000,
        });
        let lost = [0x4000_2000_u64, 0x4000_c000, 0x4000_f000];
        let find = |from: u64| lost.into_iter().find(|page| *page >= from);
        let carved = layout.carve(0x3000, find).unwrap();
        assert_eq!((carved.start, carved.end), (0x4000_9000, 0x4000_c000));
        // What is above is used all the same, but for what is lost; and that is the frame table's to know.
        assert_eq!(frames(&layout), [(0x40000, 9), (0x4000c, 4)]);
        let second = layout.carve(0x6000, find).unwrap();
        assert_eq!((second.start, second.end), (0x4000_3000, 0x4000_9000));
        assert_eq!(layout.carve(0x4000, find), None);
        // Whoever names lost pages without end gets no books, and no endless search.
        assert_eq!(layout.carve(0x1000, |from| Some(from + 0x800)), None);
    }

    #[test]
    fn the_books_fit_the_memory_they_are_about() {
        let mut layout = Layout::default();
        layout.add(Range {
            start: 0,
            end: 64 << 20,
        });
        let sizes = layout.sizes();
        assert_eq!((sizes.entries, sizes.ledger), (16_384 * 8, 32_768 * 8));
        assert_eq!(sizes.journal, 128 + 4_096 * 128);
        let sizes = |bytes| {
            let mut layout = Layout::default();
            layout.add(Range { start: 0, end: bytes });
            layout.sizes()
        };
        assert_eq!(
            [16 << 20, 32 << 20, 127 << 20, 128 << 20, 512 << 20, 1 << 30]
                .map(|bytes| (sizes(bytes).journal - 128) / 128),
            [512, 4_096, 4_096, 32_768, 32_768, 262_144]
        );
        assert_eq!(
            [16 << 20, 119 << 20, 120 << 20, 64 << 30].map(|bytes| sizes(bytes).slots),
            [64, 64, 4_096, 4_096]
        );
    }
}
