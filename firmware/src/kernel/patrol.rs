//! Errors that a patrol scrubber reports before anyone consumes them: asked for with the work that was put off, and by
//! the call for it.

use seawall_agent::engine::{self, Patrolled, Report};
use seawall_agent::{Cause, FrameNumber, IntermediateAddress, TaskId, VirtualAddress};
use seawall_firmware::frames::{FrameList, Holder};

use super::console::Saying;
use super::copies::Copying;
use super::{Guest, Kernel};
use crate::arch::{counter, guarded, registers, timer};

/// Reports that are taken in one go: a port that never runs out does not hold the guest up.
const MOST_AT_ONCE: u64 = 64;

impl Guest {
    /// Answers what was reported; how many there were.
    #[inline(never)]
    pub(super) fn patrol(&mut self) -> u64 {
        let Some(port) = self.kernel.port else {
            return 0;
        };
        let mut count = 0;
        while count < MOST_AT_ONCE
            && let Some(found) = port.next_report()
        {
            count += 1;
            self.answer(
                FrameNumber::from_address(IntermediateAddress(found.page.0)),
                found.failing,
            );
        }
        count
    }

    fn answer(&mut self, frame: FrameNumber, failing: bool) {
        // What is pending by now came of nothing that is done here.
        self.synchronise();
        let entered = counter::now();
        self.kernel.entered = entered;
        self.kernel.aborts = self.kernel.aborts.wrapping_add(1);
        let report = Report {
            frame,
            failing,
            entered,
            time: timer::ticks(),
        };
        let answered = engine::report(&report, &mut self.kernel, &mut self.ledger, &mut self.journal);
        if self.kernel.healing.is_some() {
            self.source_aborted();
        }
        if self.kernel.told_count != 0 {
            self.note_told();
        }
        self.kernel.keep_saying(Saying {
            slot: 0,
            cause: Cause::Patrol,
            severity: answered.severity,
            decision: answered.decision,
        });
    }
}

impl Patrolled for Kernel {
    fn mapped_at(&self, frame: FrameNumber) -> Option<(TaskId, VirtualAddress)> {
        let Holder::Task(slot) = self.frames.holder(frame) else {
            return None;
        };
        let address = self.slot(slot).space?.find(frame);
        self.note_walk(slot);
        Some((TaskId(slot), address?))
    }

    fn migrate(&mut self, task: TaskId, address: VirtualAddress, frame: FrameNumber) -> bool {
        let Some(space) = self.slot(task.0).space else {
            return false;
        };
        let mut list = core::mem::replace(&mut self.slot_mut(task.0).frames, FrameList::EMPTY);
        let new = self.frames.take(Holder::Task(task.0), &mut list);
        self.slot_mut(task.0).frames = list;
        let Some(new) = new else { return false };
        let copied = guarded::copy_frame(new, frame);
        let disr = match self.ras {
            true => registers::synchronise_errors(),
            false => 0,
        };
        if disr != 0 {
            registers::clear_deferred();
        }
        if !copied || disr != 0 {
            // What the copy brought is judged as one of a copy of the task's memory, once the report is answered.
            self.healing = Some(Copying::to_migrate(task, address, frame));
            self.healing_disr = disr;
            return false;
        }
        // A frame that is not mapped stays in the task's list, and comes back with it.
        let moved = space.move_page(address, frame, new);
        if moved {
            self.words_moved(task.0, frame, new);
        }
        moved
    }

    fn withdraw(&mut self, task: TaskId, address: VirtualAddress, frame: FrameNumber) {
        if let Some(space) = self.slot(task.0).space {
            space.withdraw(address, frame);
        }
    }

    fn condemn(&mut self, frame: FrameNumber) {
        self.frames.condemn(frame);
    }
}
