//! The pages that are cut out of a guest's memory: a bit for each page, which is there from the start.

use std::ops::Range;

use super::PAGE;

/// Which pages are cut out.
#[derive(Debug)]
pub(super) struct Cut {
    start: u64,
    // 1 where the page is whole, so that none of it is zero, which might be had without memory behind it.
    whole: Vec<u64>,
}

impl Cut {
    /// None in this memory.
    pub(super) fn none(memory: &Range<u64>) -> Self {
        let words = (memory.end - memory.start).div_ceil(PAGE).div_ceil(64);
        Self {
            start: memory.start,
            whole: vec![u64::MAX; usize::try_from(words).unwrap_or(usize::MAX)],
        }
    }

    const fn number(&self, page: u64) -> u64 {
        page.saturating_sub(self.start) / PAGE
    }

    fn word(&self, number: u64) -> u64 {
        let at = usize::try_from(number / 64).ok();
        at.and_then(|at| self.whole.get(at))
            .map_or(u64::MAX, |word| *word)
    }

    fn set(&mut self, page: u64, is_whole: bool) {
        let number = self.number(page);
        let at = usize::try_from(number / 64).ok();
        if let Some(word) = at.and_then(|at| self.whole.get_mut(at)) {
            let bit = 1 << (number % 64);
            *word = if is_whole { *word | bit } else { *word & !bit };
        }
    }

    /// The page at this address, which is in memory, is cut out.
    pub(super) fn insert(&mut self, page: u64) {
        self.set(page, false);
    }

    /// It is no more.
    pub(super) fn remove(&mut self, page: u64) {
        self.set(page, true);
    }

    /// Whether it is.
    pub(super) fn contains(&self, page: u64) -> bool {
        self.word(self.number(page)) & (1 << (self.number(page) % 64)) == 0
    }

    /// The first one in this range.
    pub(super) fn first(&self, range: Range<u64>) -> Option<u64> {
        let (mut at, end) = (self.number(range.start), self.number(range.end));
        while at < end {
            let cut = !self.word(at) & (u64::MAX << (at % 64));
            if cut != 0 {
                let found = (at & !63) + u64::from(cut.trailing_zeros());
                return (found < end).then(|| self.start + found * PAGE);
            }
            at = (at & !63) + 64;
        }
        None
    }

    /// The last one in this range.
    pub(super) fn last(&self, range: Range<u64>) -> Option<u64> {
        let (start, mut end) = (self.number(range.start), self.number(range.end));
        while start < end {
            let last = end - 1;
            let cut = !self.word(last) & (u64::MAX >> (63 - last % 64));
            if cut != 0 {
                let found = (last | 63) - u64::from(cut.leading_zeros());
                return (found >= start).then(|| self.start + found * PAGE);
            }
            end = last & !63;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pages_are_found_as_in_a_set(
            steps in proptest::collection::vec((any::<bool>(), 0..200_u64), 0..60),
            ranges in proptest::collection::vec((0..205_u64, 0..205_u64), 1..40),
        ) {
            let base = 0x8000_0000;
            let page = |number: u64| base + number * PAGE;
            let mut cut = Cut::none(&(base..page(200)));
            let mut set = BTreeSet::new();
            for (insert, number) in steps {
                if insert {
                    cut.insert(page(number));
                    set.insert(number);
                } else {
                    cut.remove(page(number));
                    set.remove(&number);
                }
            }
            for number in 0..200 {
                prop_assert_eq!(cut.contains(page(number)), set.contains(&number));
            }
            for (start, end) in ranges {
                let range = page(start)..page(end);
                let inside = || set.iter().copied().filter(|number| (start..end).contains(number)).map(page);
                prop_assert_eq!(cut.first(range.clone()), inside().next());
                prop_assert_eq!(cut.last(range), inside().next_back());
            }
        }
    }
}
