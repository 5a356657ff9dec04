//! Frames that several address spaces map, after a fork.
//!
//! They belong to no task but to its family, in a list of the family's own, and so are given back along a list like all
//! others. Which of them are still mapped by anyone is not counted at each fork and each copy: from time to time the
//! members' tables are gone through, what is found there is marked, and what is not comes back.

use seawall_agent::address::FrameNumber;

use super::{Entry, FREE, FrameList, FrameTable, NONE, SHARED, TASK};

impl FrameTable<'_> {
    /// Hands the pages of a task's list over to its family; tables and what was retired stay where they are. Gives how
    /// many there were.
    pub fn share(&mut self, list: &mut FrameList, family: u16, shared: &mut FrameList) -> u32 {
        let mut count = 0;
        let mut at = core::mem::replace(&mut list.head, NONE);
        while let Some(entry) = self.entries.get_mut(at as usize) {
            let next = entry.next;
            if entry.state == TASK {
                entry.state = SHARED;
                entry.slot = family;
                entry.next = core::mem::replace(&mut shared.head, at);
                count += 1;
            } else {
                entry.next = core::mem::replace(&mut list.head, at);
            }
            at = next;
        }
        count
    }

    /// Notes that a member of `family` maps this frame; of frames that are not the family's nothing is noted.
    pub fn mark(&mut self, family: u16, frame: FrameNumber) {
        if let Some(index) = self.used(frame)
            && let Some(entry) = self.entries.get_mut(index as usize)
            && entry.state == SHARED
            && entry.slot == family
        {
            entry.marked = 1;
        }
    }

    /// Gives back what no member of a family maps any more, after all that they do map was marked. What is left goes to
    /// `heir`, the task that is the family's last with its list, where there is one; and is not marked any more. Gives how many
    /// frames are left to the family.
    pub fn settle(&mut self, shared: &mut FrameList, mut heir: Option<(u16, &mut FrameList)>) -> u32 {
        let mut kept = 0;
        let mut at = core::mem::replace(&mut shared.head, NONE);
        while let Some(entry) = self.entries.get_mut(at as usize) {
            let next = entry.next;
            match (entry.state, entry.marked, &mut heir) {
                (SHARED, 0, _) => {
                    *entry = Entry {
                        next: self.free,
                        slot: 0,
                        state: FREE,
                        marked: 0,
                    };
                    self.free = at;
                    self.free_listed += 1;
                }
                (SHARED, _, Some((slot, list))) => {
                    *entry = Entry {
                        next: core::mem::replace(&mut list.head, at),
                        slot: *slot,
                        state: TASK,
                        marked: 0,
                    };
                }
                // Retired ones are passed over wherever they are; they need no list.
                (SHARED, _, None) => {
                    entry.marked = 0;
                    entry.next = core::mem::replace(&mut shared.head, at);
                    kept += 1;
                }
                _ => {}
            }
            at = next;
        }
        kept
    }

    /// Takes all marks off a list again.
    pub fn unmark(&mut self, shared: &FrameList) {
        let mut at = shared.head;
        while let Some(entry) = self.entries.get_mut(at as usize) {
            entry.marked = 0;
            at = entry.next;
        }
    }

    /// Gives a frame back that was put into a list last; one that another came after stays where it is.
    pub fn give_back_newest(&mut self, frame: FrameNumber, list: &mut FrameList) {
        let newest = list.head;
        if self.frame(newest) != Some(frame) {
            return;
        }
        if let Some(entry) = self.entries.get_mut(newest as usize) {
            list.head = core::mem::replace(&mut entry.next, NONE);
            self.give_back(&mut FrameList { head: newest });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Holder, MAX_RANGES};
    use super::*;

    fn table(entries: &mut [Entry]) -> FrameTable<'_> {
        FrameTable::new(entries, [(FrameNumber(0x100), 8)])
    }

    const GARBAGE: Entry = Entry {
        next: 0x1234_5678,
        slot: 0xffff,
        state: 0xee,
        marked: 0xff,
    };

    /// A table of task 1 and two pages, which family 3 has now; another task's page; the lists of both.
    fn family<'a>(entries: &'a mut [Entry]) -> (FrameTable<'a>, [FrameNumber; 3], FrameList, FrameList) {
        let mut table = table(entries);
        let (mut list, mut shared) = (FrameList::EMPTY, FrameList::EMPTY);
        let page = table.take(Holder::Task(1), &mut list).unwrap();
        let walk = table.take(Holder::Table(1), &mut list).unwrap();
        let other = table.take(Holder::Task(1), &mut list).unwrap();
        assert_eq!(table.share(&mut list, 3, &mut shared), 2);
        (table, [page, walk, other], list, shared)
    }

    #[test]
    fn pages_become_the_familys_and_tables_stay_the_tasks() {
        let mut entries = [GARBAGE; MAX_RANGES];
        let (mut table, [page, walk, other], mut list, mut shared) = family(&mut entries);
        let holders = [page, walk, other].map(|frame| table.holder(frame));
        assert_eq!(holders, [Holder::Shared(3), Holder::Table(1), Holder::Shared(3)]);
        table.give_back(&mut list);
        assert_eq!(table.stock(), (8, 6, 0), "the table came back alone");
        table.give_back(&mut shared);
        assert_eq!(table.stock(), (8, 8, 0));
    }

    #[test]
    fn what_nobody_maps_comes_back_and_the_last_member_inherits_the_rest() {
        let mut entries = [GARBAGE; MAX_RANGES];
        let (mut table, [page, _, other], mut list, mut shared) = family(&mut entries);
        table.mark(3, page);
        table.mark(2, other);
        assert_eq!(table.settle(&mut shared, None), 1);
        assert_eq!(table.stock(), (8, 6, 0), "marked by another family is not marked");
        assert_eq!(
            (table.holder(page), table.holder(other)),
            (Holder::Shared(3), Holder::Free)
        );
        table.mark(3, page);
        table.settle(&mut shared, Some((7, &mut list)));
        assert_eq!((table.holder(page), shared), (Holder::Task(7), FrameList::EMPTY));
        table.give_back(&mut list);
        assert_eq!(table.stock(), (8, 8, 0));
    }

    #[test]
    fn a_mark_that_was_taken_off_keeps_nothing() {
        let mut entries = [GARBAGE; MAX_RANGES];
        let (mut table, [page, ..], _, mut shared) = family(&mut entries);
        table.mark(3, page);
        table.unmark(&shared);
        table.settle(&mut shared, None);
        assert_eq!(table.stock(), (8, 7, 0));
    }

    #[test]
    fn a_shared_frame_that_was_retired_names_its_family_once_and_never_comes_back() {
        let mut entries = [GARBAGE; MAX_RANGES];
        let (mut table, [page, walk, other], mut list, mut shared) = family(&mut entries);
        assert_eq!(table.retire_from(page), Some(3));
        assert_eq!(table.retire_from(page), None);
        assert_eq!(table.retire_from(walk), Some(0), "a table is nobody else's");
        table.mark(3, page);
        table.mark(3, other);
        table.settle(&mut shared, Some((1, &mut list)));
        table.give_back(&mut list);
        assert_eq!(table.stock(), (8, 6, 2));
    }

    #[test]
    fn the_newest_frame_of_a_list_goes_back_alone() {
        let mut entries = [GARBAGE; MAX_RANGES];
        let mut table = table(&mut entries);
        let mut list = FrameList::EMPTY;
        let kept = table.take(Holder::Task(1), &mut list).unwrap();
        let newest = table.take(Holder::Task(1), &mut list).unwrap();
        table.give_back_newest(kept, &mut list);
        table.give_back_newest(newest, &mut list);
        assert_eq!(
            (table.holder(kept), table.holder(newest)),
            (Holder::Task(1), Holder::Free)
        );
        table.give_back_newest(kept, &mut list);
        table.give_back_newest(kept, &mut list);
        assert_eq!(table.stock(), (8, 8, 0));
    }
}
