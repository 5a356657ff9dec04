//! Families: processes that came of one another by forks, and the frames that they share.
//!
//! A frame that several of them map is none's own. It is mapped, if at all, at the same address in each; so whoever else
//! maps it is found by asking each member for that one address.

use seawall_agent::FrameNumber;
use seawall_firmware::frames::FrameList;
use seawall_firmware::leaf::Leaf;

use super::Kernel;
use crate::arch::guarded;
use crate::arch::space::Space;

/// A family.
#[derive(Debug)]
pub(crate) struct Family {
    /// What its members share.
    frames: FrameList,
    /// One of them; the others by their ring.
    pub(super) first: u16,
    pub(super) members: u16,
    /// Frames that came since it was last gone through, and those that were left then.
    added: u32,
    kept: u32,
}

impl Family {
    /// Of nobody.
    pub(crate) const EMPTY: Self = Self {
        frames: FrameList::EMPTY,
        first: 0,
        members: 0,
        added: 0,
        kept: 0,
    };
}

/// More frames than this, and than twice what was left the last time, have a family gone through.
const MANY: u32 = 256;

impl Kernel {
    /// The family of a process: a new one, with this member alone, where it has none.
    pub(super) fn family_of(&mut self, home: u16) -> Option<u16> {
        let present = self.slot(home).family;
        if present != 0 {
            return Some(present);
        }
        let made = Family {
            first: home,
            members: 1,
            ..Family::EMPTY
        };
        let family = match self.free_families.take_lowest() {
            Some(family) => {
                *self.families.slot_mut(family) = made;
                family
            }
            None => self.families.make(made)?,
        };
        let task = self.slot_mut(home);
        task.family = family;
        task.next_member = home;
        task.previous_member = home;
        Some(family)
    }

    /// A process that was copied from `home` joins its family, and all pages that `home` had for itself are shared.
    pub(super) fn join_family(&mut self, home: u16, child: u16, family: u16) {
        let next = self.slot(home).next_member;
        let task = self.slot_mut(child);
        task.family = family;
        task.previous_member = home;
        task.next_member = next;
        self.slot_mut(home).next_member = child;
        self.slot_mut(next).previous_member = child;
        let shared = self.families.slot_mut(family);
        shared.members += 1;
        let list = &mut self.tasks.slot_mut(home).frames;
        shared.added += self.frames.share(list, family, &mut shared.frames);
        if shared.added > MANY.max(shared.kept.saturating_mul(2)) {
            self.settle(family);
        }
    }

    /// A process that has no memory any more is nobody's family. The last takes its family's frames along.
    pub(super) fn leave_family(&mut self, slot: u16) {
        let task = self.slot_mut(slot);
        let family = core::mem::replace(&mut task.family, 0);
        if family == 0 {
            return;
        }
        let (previous, next) = (task.previous_member, task.next_member);
        self.slot_mut(previous).next_member = next;
        self.slot_mut(next).previous_member = previous;
        let shared = self.families.slot_mut(family);
        shared.first = next;
        shared.members -= 1;
        match shared.members {
            0 => {
                self.frames.give_back(&mut shared.frames);
                self.free_families.insert(family);
            }
            1 => self.settle(family),
            _ => {}
        }
    }

    /// Goes through what a family's members map, and gives back what none of them does. A member that is alone gets what
    /// it maps for itself, and is no family any more. Nothing changes while a table of one of them cannot be read.
    fn settle(&mut self, family: u16) {
        let shared = self.families.slot(family);
        let (first, members) = (shared.first, shared.members);
        let mut slot = first;
        for _ in 0..members {
            let task = self.tasks.slot(slot);
            let member = core::mem::replace(&mut slot, task.next_member);
            if let Some(space) = task.space
                && !space.each_frame(|frame| self.frames.mark(family, frame))
            {
                self.note_walk(member);
                self.frames.unmark(&self.families.slot(family).frames);
                return;
            }
        }
        let shared = self.families.slot_mut(family);
        if members == 1 {
            let heir = self.tasks.slot_mut(first);
            self.frames
                .settle(&mut shared.frames, Some((first, &mut heir.frames)));
            heir.family = 0;
            self.free_families.insert(family);
        } else {
            shared.kept = self.frames.settle(&mut shared.frames, None);
            shared.added = 0;
        }
    }
}

impl Space {
    /// Every frame that is mapped; false when a table could not be read.
    fn each_frame(&self, mut visit: impl FnMut(FrameNumber)) -> bool {
        self.each_table(|_, table| {
            (0..512).all(|index| {
                let leaf = guarded::descriptor(table, index).map(Leaf);
                if let Some(frame) = leaf.and_then(Leaf::frame) {
                    visit(frame);
                }
                leaf.is_some()
            })
        })
    }
}
