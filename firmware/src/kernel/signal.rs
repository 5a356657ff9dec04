//! A task's own handler for memory errors.
//!
//! A task that has registered one has a second set of registers for it, so that nothing is copied when it is told: the one
//! set stays as the error left it, and SP_EL1 points to the other. There is one handler, and it is not interrupted by
//! another error: that is the end of the task.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

use seawall_agent::engine::{GRANULE, Handler, Notice};
use seawall_agent::{Severity, TaskId, VirtualAddress};
use seawall_firmware::calls::FAILED;

use super::task::Task;
use super::{Guest, Kernel};
use crate::arch::frame::Frame;
use crate::arch::{registers, space};

/// What a task has said about its handler, and how far it is with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signal {
    /// Where it begins; 0 when there is none.
    entry: u64,
    /// The first address above its stack.
    top: u64,
    /// The handler is what runs: the task's registers are the second set.
    pub(crate) busy: bool,
    /// What was interrupted can be gone back to.
    restartable: bool,
    /// The stack pointer of what was interrupted.
    stack: u64,
}

impl Signal {
    /// No handler.
    pub(crate) const NONE: Self = Self {
        entry: 0,
        top: 0,
        busy: false,
        restartable: false,
        stack: 0,
    };
}

/// What a handler finds in x0 when it is not known where the error was.
const NOWHERE: u64 = u64::MAX;

impl Guest {
    /// Goes back to what the handler interrupted.
    pub(super) fn back_from_handler(&mut self) -> *mut Frame {
        let current = self.kernel.current;
        let task = self.kernel.slot_mut(current);
        if task.signal.busy && task.signal.restartable {
            task.signal.busy = false;
            registers::set_task_stack(task.signal.stack);
        } else {
            task.active_mut().x[0] = FAILED;
        }
        self.leave()
    }
}

impl Kernel {
    /// Whether the current task has registered a handler, asked for or not.
    #[inline(always)]
    pub(crate) fn has_handler(&self) -> bool {
        self.slot(self.current).signal.entry != 0
    }

    /// Whether a task wants to be told.
    #[inline(always)]
    pub(super) fn handler_of(&self, slot: u16) -> Handler {
        let task = self.slot(slot);
        match (
            task.signal.busy,
            task.signal.entry != 0 && task.policy.asks_handler,
        ) {
            (true, _) => Handler::Busy,
            (false, true) => Handler::Ready,
            (false, false) => Handler::Absent,
        }
    }

    /// Registers the current task's handler, or with 0 takes it back.
    pub(super) fn handle(&mut self, entry: u64, top: u64) -> u64 {
        if !entry.is_multiple_of(4) || !top.is_multiple_of(16) {
            return FAILED;
        }
        let current = self.current;
        let signal = &mut self.slot_mut(current).signal;
        (signal.entry, signal.top) = (entry, top);
        0
    }

    /// Has the current task go on in its handler. What was lost is mapped no more.
    #[inline(always)]
    pub(super) fn tell(&mut self, task: TaskId, notice: Notice) {
        self.lose(task.0, &notice);
        self.begin_handler(task, notice, false);
    }

    /// The same of a page that was lost when somebody else met it, and that is a marker by now.
    #[cold]
    #[inline(never)]
    pub(super) fn tell_of_marker(&mut self, task: TaskId, address: VirtualAddress) {
        self.charge(task);
        let notice = Notice {
            address: Some(address.untagged()),
            frame: None,
            severity: Severity::Recoverable,
            // The fault is the MMU's, and names the one page that is not there.
            restartable: true,
        };
        self.begin_handler(task, notice, true);
    }

    /// The task's second set of registers is what it goes on with.
    #[inline(always)]
    fn begin_handler(&mut self, task: TaskId, notice: Notice, is_told: bool) {
        let task = self.slot_mut(task.0);
        task.charged = task.charged.wrapping_add(1);
        task.signal.busy = true;
        task.signal.restartable = notice.restartable;
        task.signal.stack = registers::task_stack();
        registers::set_task_stack(task.signal.top);
        let [address, length, severity, restartable, told, ..] = &mut task.handler.x;
        *address = notice.address.map_or(NOWHERE, |address| address.0);
        *length = GRANULE;
        *severity = notice.severity as u64;
        *restartable = u64::from(notice.restartable);
        *told = u64::from(is_told);
        task.handler.elr = task.signal.entry;
        task.handler.spsr = 0;
    }

    /// The registers of the current task's handler, which runs next.
    #[inline(always)]
    pub(super) fn handlers_frame(&mut self) -> *mut Frame {
        let current = self.current;
        core::ptr::from_mut(&mut self.slot_mut(current).handler)
    }

    /// Takes a lost page out of a task's space, so that it is not met again.
    #[inline(always)]
    fn lose(&mut self, slot: u16, notice: &Notice) {
        let (Some(space), Some(frame)) = (self.slot(slot).space, notice.frame) else {
            return;
        };
        let walked = self.walked.get();
        match notice.address {
            Some(address) if space::leads_to(walked.0, frame) => space.lose_walked(address, frame, walked),
            Some(address) => space.lose(address, frame),
            None => self.lose_somewhere(slot, notice),
        }
    }

    /// The same where only the frame is known.
    #[cold]
    #[inline(never)]
    fn lose_somewhere(&mut self, slot: u16, notice: &Notice) {
        if let (Some(space), Some(frame)) = (self.slot(slot).space, notice.frame)
            && let Some(address) = space.find(frame)
        {
            space.lose(address, frame);
        }
    }

    /// Maps a page of zeros where the current task has lost one that it could write.
    pub(super) fn replace(&mut self, address: u64) -> u64 {
        let slot = self.current;
        let address = VirtualAddress(address).untagged();
        let Some(space) = self.slot(slot).space.filter(|space| space.is_lost(address)) else {
            return FAILED;
        };
        let home = self.slot(slot).home;
        let Some(new) = self.with_frames(home, |kernel, list| kernel.fresh(home, list)) else {
            return FAILED;
        };
        match space.make_good(address, space::page(new, seawall_firmware::elf::Access::Write)) {
            true => 0,
            false => FAILED,
        }
    }
}

impl Task {
    /// The registers that the task goes on with: SP_EL1 points to them while it runs.
    #[inline(always)]
    pub(crate) const fn active(&self) -> &Frame {
        if self.signal.busy {
            &self.handler
        } else {
            &self.frame
        }
    }

    /// The same, to be changed.
    #[inline(always)]
    pub(crate) const fn active_mut(&mut self) -> &mut Frame {
        if self.signal.busy {
            &mut self.handler
        } else {
            &mut self.frame
        }
    }
}
