//! Sets of task slots, in which nothing takes longer for there being more of them.
//!
//! Two levels of words: a bit for each slot, and a bit for each word that is not zero. Whatever is asked is answered
//! from one word of each level, with 1 task as with 4,095.

/// Slots that a set can have: the replay port's announcements name a slot by 12 bits.
pub const MAX_SLOTS: usize = 4096;

const WORDS: usize = MAX_SLOTS / 64;

/// A set of slots. A slot's number is cut to 12 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotSet {
    /// One bit for each of the words that is not zero.
    summary: u64,
    words: [u64; WORDS],
}

/// A slot's word, and its place in there.
#[inline(always)]
const fn place(slot: u16) -> (usize, u32) {
    ((slot as usize >> 6) % WORDS, (slot & 63) as u32)
}

/// The bits above a place.
#[inline(always)]
const fn above(place: u32) -> u64 {
    (u64::MAX << 1) << place
}

impl SlotSet {
    /// Without slots.
    pub const EMPTY: Self = Self {
        summary: 0,
        words: [0; WORDS],
    };

    /// Whether there is none.
    #[inline(always)]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.summary == 0
    }

    /// Whether `slot` is there.
    #[inline(always)]
    #[must_use]
    pub fn contains(&self, slot: u16) -> bool {
        let (word, bit) = place(slot);
        (self.words[word] >> bit) & 1 != 0
    }

    /// Puts `slot` in.
    #[inline(always)]
    pub fn insert(&mut self, slot: u16) {
        let (word, bit) = place(slot);
        self.words[word] |= 1 << bit;
        self.summary |= 1 << word;
    }

    /// Takes `slot` out.
    #[inline(always)]
    pub fn remove(&mut self, slot: u16) {
        let (word, bit) = place(slot);
        self.words[word] &= !(1 << bit);
        if self.words[word] == 0 {
            self.summary &= !(1 << word);
        }
    }

    /// The lowest slot.
    #[inline(always)]
    #[must_use]
    pub fn lowest(&self) -> Option<u16> {
        (self.summary != 0).then(|| self.lowest_of(self.summary))
    }

    /// Takes the lowest slot out.
    #[inline]
    pub fn take_lowest(&mut self) -> Option<u16> {
        let slot = self.lowest()?;
        self.remove(slot);
        Some(slot)
    }

    /// The lowest slot above `slot`.
    #[inline(always)]
    #[must_use]
    pub fn next_after(&self, slot: u16) -> Option<u16> {
        let (word, bit) = place(slot);
        let rest = self.words[word] & above(bit);
        if rest != 0 {
            return Some(slot_of(word, rest));
        }
        let words = self.summary & ((u64::MAX << 1) << word);
        (words != 0).then(|| self.lowest_of(words))
    }

    /// The slot after `slot`, and after the last the first: whose turn it is.
    #[inline(always)]
    #[must_use]
    pub fn in_turn(&self, slot: u16) -> Option<u16> {
        self.next_after(slot).or_else(|| self.lowest())
    }

    /// All of them, upwards.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        core::iter::successors(self.lowest(), |slot| self.next_after(*slot))
    }

    /// The lowest slot of the lowest of these words, none of which is zero.
    #[inline(always)]
    fn lowest_of(&self, words: u64) -> u16 {
        let word = words.trailing_zeros() as usize % WORDS;
        slot_of(word, self.words[word])
    }
}

/// The slot of a word's lowest bit.
#[expect(clippy::cast_possible_truncation, reason = "64 words of 64 bits")]
#[inline(always)]
const fn slot_of(word: usize, bits: u64) -> u16 {
    ((word as u16) << 6) | bits.trailing_zeros() as u16
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_first_and_the_last_slot_and_the_borders_of_words_are_slots_like_all_others() {
        let mut set = SlotSet::EMPTY;
        assert_eq!(
            (set.lowest(), set.next_after(0), set.in_turn(4095)),
            (None, None, None)
        );
        for slot in [0, 63, 64, 4032, 4095] {
            set.insert(slot);
            assert!(set.contains(slot), "{slot}");
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 4032, 4095]);
        assert_eq!(set.next_after(4095), None);
        assert_eq!(set.in_turn(4095), Some(0));
        assert_eq!(set.in_turn(65), Some(4032));
        set.remove(63);
        assert_eq!(set.next_after(0), Some(64));
        set.remove(64);
        assert_eq!(
            set.next_after(0),
            Some(4032),
            "its word is empty now, and passed over"
        );
    }

    #[test]
    fn any_sequence_of_changes_leaves_what_a_plain_set_has() {
        let (mut set, mut model) = (SlotSet::EMPTY, BTreeSet::new());
        let mut state = 0x5ea_u64;
        for _ in 0..20_000 {
            // Knuth's MMIX generator.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let slot = u16::try_from(state >> 52).unwrap();
            match (state >> 32) % 5 {
                0 | 1 => {
                    set.insert(slot);
                    model.insert(slot);
                }
                2 | 3 => {
                    set.remove(slot);
                    model.remove(&slot);
                }
                _ => assert_eq!(set.take_lowest(), model.pop_first()),
            }
            assert_eq!(set.contains(slot), model.contains(&slot));
            let after = model.range(slot + 1..).next().copied();
            assert_eq!(set.next_after(slot), after);
            assert_eq!(set.in_turn(slot), after.or(model.first().copied()));
            assert_eq!(set.is_empty(), model.is_empty());
        }
        assert!(set.iter().eq(model));
    }
}
