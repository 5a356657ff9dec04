//! Books about pages that do not grow: a table by address whose room is there, and written, before the guest runs.
//!
//! What is entered lies in order of its address, so that an entry moves those behind it: for the few ten thousand that a
//! VM's slots allow this is a copy of some hundred KiB at worst, which is less than the system call that follows. More
//! entries than there is room for are kept all the same; then alone does the table grow.

use std::ops::Range;

use seawall_replay::plan::{Injection, Plan};

const PAGE: u64 = 0x1000;
/// Nothing has more slots, on any host (`KVM_USER_MEM_SLOTS` is SHRT_MAX), and so hardly anything more holes.
const MOST_PAGES: usize = 0x7fff;

/// What is known of some addresses.
#[derive(Debug)]
pub(crate) struct Table<V> {
    // In order.
    entries: Vec<(u64, V)>,
}

impl<V: Clone> Table<V> {
    /// An empty table.
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Has room for this many more, written with anything.
    pub(crate) fn make_room(&mut self, more: usize, anything: V) {
        let length = self.entries.len();
        self.entries.reserve_exact(more);
        // Zeros might be had without a page of memory behind them.
        self.entries
            .resize(length.saturating_add(more), (u64::MAX, anything));
        self.entries.truncate(length);
    }

    /// The same with room for this many, for an empty table.
    pub(crate) fn with_room(room: usize, anything: V) -> Self {
        let mut table = Self::new();
        table.make_room(room, anything);
        table
    }

    fn find(&self, address: u64) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&address, |(known, _)| *known)
    }

    /// What is known of this address.
    pub(crate) fn get(&self, address: u64) -> Option<&V> {
        self.find(address)
            .ok()
            .and_then(|at| self.entries.get(at))
            .map(|(_, value)| value)
    }

    /// Enters what is known of this address from now on; gives what was.
    pub(crate) fn insert(&mut self, address: u64, value: V) -> Option<V> {
        match self.find(address) {
            Ok(at) => self
                .entries
                .get_mut(at)
                .map(|(_, known)| std::mem::replace(known, value)),
            Err(at) => {
                self.entries.insert(at, (address, value));
                None
            }
        }
    }

    /// The same where nothing is known yet; what is known stays.
    pub(crate) fn insert_new(&mut self, address: u64, value: V) {
        if let Err(at) = self.find(address) {
            self.entries.insert(at, (address, value));
        }
    }

    /// Forgets what is known of this address, and gives it.
    pub(crate) fn remove(&mut self, address: u64) -> Option<V> {
        self.find(address).ok().map(|at| self.entries.remove(at).1)
    }

    /// What is known of the addresses in this range, in order.
    pub(crate) fn range(&self, range: Range<u64>) -> impl DoubleEndedIterator<Item = (u64, &V)> {
        let first = self.entries.partition_point(|(known, _)| *known < range.start);
        let behind = self.entries.partition_point(|(known, _)| *known < range.end);
        let entries = self.entries.get(first..behind).unwrap_or_default();
        entries.iter().map(|(address, value)| (*address, value))
    }

    /// All of it, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &V)> {
        self.entries.iter().map(|(address, value)| (*address, value))
    }

    /// How many there is room for.
    #[cfg(test)]
    pub(crate) const fn room(&self) -> usize {
        self.entries.capacity()
    }

    /// How many addresses something is known of.
    pub(crate) const fn len(&self) -> usize {
        self.entries.len()
    }
}

/// How many pages this plan does something to, at most, in a guest with this memory: each time that a step may fire is
/// one, and a step without a limit takes all.
pub(crate) fn pages_of(plan: &Plan, memory: &Range<u64>) -> usize {
    let pages = memory.end.saturating_sub(memory.start) / PAGE;
    let all = usize::try_from(pages).unwrap_or(usize::MAX).min(MOST_PAGES);
    plan.steps()
        .map(|step| match step.injection {
            Injection::Hole
            | Injection::HoleBesideSError { .. }
            | Injection::Poison(_)
            | Injection::ReadOnly
            | Injection::Patrol { .. }
            | Injection::HostAbort
            // Any of what it draws may be about a page.
            | Injection::Draw { .. } => match step.times {
                0 => all,
                times => usize::try_from(times).unwrap_or(usize::MAX),
            },
            _ => 0,
        })
        .fold(0, usize::saturating_add)
        .min(all)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use seawall_replay::plan::Step;
    use seawall_replay::port::Window;

    use super::*;

    proptest! {
        #[test]
        fn a_table_knows_what_a_map_does(
            steps in proptest::collection::vec((0..4_u8, 0..40_u64, any::<u32>()), 0..200),
            range in (0..40_u64, 0..45_u64),
        ) {
            let (mut table, mut map) = (Table::with_room(3, 0), BTreeMap::new());
            for (step, address, value) in steps {
                match step {
                    0 | 1 => prop_assert_eq!(table.insert(address, value), map.insert(address, value)),
                    2 => {
                        table.insert_new(address, value);
                        map.entry(address).or_insert(value);
                    }
                    _ => prop_assert_eq!(table.remove(address), map.remove(&address)),
                }
                prop_assert_eq!(table.get(address), map.get(&address));
            }
            prop_assert_eq!(table.len(), map.len());
            prop_assert!(table.iter().eq(map.iter().map(|(address, value)| (*address, value))));
            let of_map: Vec<_> = map
                .iter()
                .filter(|(address, _)| **address >= range.0 && **address < range.1)
                .map(|(address, value)| (*address, value))
                .collect();
            prop_assert!(table.range(range.0..range.1).eq(of_map.iter().copied()));
            prop_assert!(table.range(range.0..range.1).rev().eq(of_map.iter().rev().copied()));
        }
    }

    #[test]
    fn what_there_is_room_for_moves_nothing_elsewhere() {
        let mut table = Table::with_room(1000, (0, 0_u64));
        let place = table.entries.as_ptr();
        for number in 0..1000 {
            table.insert((number * 7919) % 1009, (1, number));
        }
        assert_eq!((table.len(), table.entries.as_ptr()), (1000, place));
    }

    #[test]
    fn a_plan_says_how_many_pages_it_is_about() {
        let memory = 0x8000_0000..0x8040_0000;
        let step = |injection, times| Step {
            task: None,
            number: 1,
            window: Window::Checkpoint,
            skip: 0,
            times,
            injection,
        };
        let pages = |steps: &[Step]| pages_of(&Plan::new(steps).unwrap(), &memory);
        let serror = Injection::SError { syndrome: None };
        assert_eq!(pages(&[]), 0);
        assert_eq!(pages(&[step(Injection::Hole, 3), step(serror, 9)]), 3);
        assert_eq!(
            pages(&[step(Injection::Hole, 3), step(Injection::ReadOnly, 4)]),
            7
        );
        for all in [&[step(Injection::Hole, 0)], &[step(Injection::Hole, u32::MAX)]] {
            assert_eq!(pages(all), 1024);
        }
        let large = 0..1 << 40;
        assert_eq!(
            pages_of(&Plan::new(&[step(Injection::Hole, 0)]).unwrap(), &large),
            0x7fff
        );
    }
}
