//! Threads: tasks that share one address space, which is kept with the first of them.
//!
//! A process's tasks stand in a ring, with those that have ended until somebody collects them. A memory error, a fault
//! and the end of the first task end all of them, as a signal or the return from `main` does; the end of another thread
//! ends itself alone.

use seawall_firmware::calls::FAILED;
use seawall_replay::report::TaskState;

use super::task::{State, Task};
use super::{Guest, Kernel};
use crate::arch::frame::Frame;

impl Guest {
    pub(super) fn thread(&mut self, entry: u64, stack: u64, argument: u64) -> u64 {
        match self.kernel.thread(entry, stack, argument) {
            Some(slot) => {
                self.note_start(slot);
                u64::from(slot)
            }
            None => FAILED,
        }
    }
}

impl Kernel {
    fn thread(&mut self, entry: u64, stack: u64, argument: u64) -> Option<u16> {
        self.give_back_dead();
        let slot = self.free_slot()?;
        let current = self.current;
        let creator = self.slot(current);
        let mut frame = Frame::EMPTY;
        frame.x[0] = argument;
        frame.x[1] = u64::from(slot);
        frame.elr = entry;
        let thread = Task {
            frame,
            stack,
            space: creator.space,
            state: State::Ready,
            policy: creator.policy,
            window: creator.window,
            program: creator.program,
            name: creator.name,
            home: creator.home,
            next_thread: creator.next_thread,
            parent: current,
            background: creator.background,
            restarts: creator.restarts,
            ..Task::EMPTY
        };
        self.await_end(&thread);
        *self.slot_mut(slot) = thread;
        self.slot_mut(current).next_thread = slot;
        self.ready.insert(slot);
        Some(slot)
    }

    /// One more end is waited for, unless nobody waits for this task's.
    pub(super) fn await_end(&mut self, task: &Task) {
        self.awaited += u32::from(!task.background);
    }

    /// All other tasks of a process end with this one, and its memory is nobody's any more unless it is kept.
    #[cold]
    #[inline(never)]
    pub(super) fn end_siblings(&mut self, slot: u16, state: TaskState) {
        if state != TaskState::Isolated {
            let home = self.slot(slot).home;
            self.dead.insert(home);
        }
        let mut next = self.slot(slot).next_thread;
        while next != slot {
            if !matches!(self.slot(next).state, State::Ended(_)) {
                self.end_alone(next, state);
            }
            next = self.slot(next).next_thread;
        }
    }

    /// The slots of a process's other tasks are free, once its first has ended.
    pub(super) fn reap_threads(&mut self, home: u16) {
        if self.slot(home).home != home {
            return;
        }
        let mut next = core::mem::replace(&mut self.slot_mut(home).next_thread, home);
        while next != home {
            let after = self.slot(next).next_thread;
            self.vacate(next);
            next = after;
        }
    }

    /// Takes a task out of its process's ring.
    pub(super) fn unlink_thread(&mut self, slot: u16) {
        let after = core::mem::replace(&mut self.slot_mut(slot).next_thread, slot);
        let mut at = after;
        while self.slot(at).next_thread != slot {
            at = self.slot(at).next_thread;
        }
        self.slot_mut(at).next_thread = after;
    }
}
