//! Forks: a copy of a process, whose pages are copied when one side writes to them.

use seawall_agent::{FrameNumber, VirtualAddress};
use seawall_firmware::bundle::Name;
use seawall_firmware::calls::FAILED;
use seawall_firmware::frames::{FrameList, FrameTable, Holder};
use seawall_firmware::leaf::Leaf;
use seawall_firmware::policy::{Policy, Remedy};

use super::copies::Refusal;
use super::task::{State, Task};
use super::{Guest, Kernel};
use crate::arch::space::Space;
use crate::arch::{guarded, memory, registers};

const PAGE: u64 = 4096;

impl Guest {
    pub(super) fn fork(&mut self, name: u64, length: u64) -> u64 {
        let name = match length {
            0 => Ok(self.kernel.slot(self.kernel.current).name),
            _ => self.name(name, length),
        };
        let name = match name {
            Ok(name) => name,
            Err(refusal) => return refusal.result(),
        };
        match self.kernel.fork(name) {
            Some(child) => {
                self.note_start(child);
                u64::from(child)
            }
            None => FAILED,
        }
    }

    /// Copies a name from the current task, padded with zeros.
    pub(super) fn name(&mut self, at: u64, length: u64) -> Result<Name, Refusal> {
        let mut name = [0; 16];
        let bytes = usize::try_from(length)
            .ok()
            .and_then(|length| name.get_mut(..length))
            .ok_or(Refusal::Address)?;
        self.copy_in(bytes, at)?;
        Ok(name)
    }
}

impl Kernel {
    fn fork(&mut self, name: Name) -> Option<u16> {
        self.give_back_dead();
        let current = self.current;
        // A handler's registers are not those that a copy would go on with.
        if self.slot(current).signal.busy {
            return None;
        }
        let home = self.slot(current).home;
        let family = self.family_of(home)?;
        let child = self.free_slot()?;
        let mut list = FrameList::EMPTY;
        let Some(space) = self.copy_space(home, child, &mut list) else {
            self.frames.give_back(&mut list);
            self.vacate(child);
            return None;
        };
        let parent = self.slot(current);
        let mut task = Task {
            frame: parent.frame,
            stack: registers::task_stack(),
            space: Some(space),
            frames: list,
            state: State::Ready,
            // Beginning again from the image would make another first process of it, and no copy.
            policy: match parent.policy.remedy {
                Remedy::Restart(_) => Policy {
                    remedy: Remedy::Kill,
                    ..parent.policy
                },
                Remedy::Kill | Remedy::Isolate => parent.policy,
            },
            program: parent.program,
            name,
            home: child,
            next_thread: child,
            parent: current,
            background: parent.background,
            ..Task::EMPTY
        };
        task.frame.x[0] = 0;
        self.await_end(&task);
        *self.slot_mut(child) = task;
        self.join_family(home, child, family);
        self.ready.insert(child);
        Some(child)
    }

    fn copy_space(&mut self, home: u16, child: u16, list: &mut FrameList) -> Option<Space> {
        let from = self.slot(home).space?;
        let to = Space::new(child, self.fresh_table(child, list)?);
        let whole = from.each_table(|address, table| {
            to.table_for(address, &mut || self.fresh_table(child, list))
                .is_some_and(|copy| fork_table(table, copy, &self.frames))
        });
        from.forget();
        whole.then_some(to)
    }

    /// Has pages of the current task's stay shared across forks.
    pub(super) fn share(&mut self, address: u64, pages: u64) -> u64 {
        let Some(space) = self.slot(self.current).space else {
            return FAILED;
        };
        let page_at = |page: u64| {
            let at = address.wrapping_add(page.wrapping_mul(PAGE)) & !(PAGE - 1);
            let (table, leaf) = space.entry(VirtualAddress(at))?;
            Some((table, at >> 12, Leaf(leaf).shared()?))
        };
        // All of them, or none.
        if (0..pages).any(|page| page_at(page).is_none()) {
            return FAILED;
        }
        for (table, index, shared) in (0..pages).map_while(page_at) {
            memory::set_descriptor(table, index, shared.0);
        }
        space.forget();
        0
    }
}

/// Copies a last-level table; what is written from now on is copied first on both sides. False when it is poisoned.
fn fork_table(table: FrameNumber, copy: FrameNumber, frames: &FrameTable<'_>) -> bool {
    if !guarded::copy_frame(copy, table) {
        return false;
    }
    for index in 0..512 {
        let leaf = Leaf(memory::descriptor(copy, index));
        let Some(frame) = leaf.frame() else {
            continue;
        };
        let forked = leaf.forked();
        match frames.holder(frame) {
            // Its task was let go on without it; a copy would only meet the poison again.
            Holder::Retired => memory::set_descriptor(copy, index, leaf.marker().0),
            // A device is nobody's to copy.
            Holder::Outside => {}
            _ if forked != leaf => {
                memory::set_descriptor(table, index, forked.0);
                memory::set_descriptor(copy, index, forked.0);
            }
            _ => {}
        }
    }
    true
}
