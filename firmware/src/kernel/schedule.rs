//! Whose turn it is.

use super::task::State;
use super::{Guest, Kernel};
use crate::arch::frame::Frame;
use crate::arch::{entry, registers, timer};

/// How long the guest's end waits for bystanders to go on, in seconds.
const PATIENCE_SECONDS: u64 = 5;

impl Guest {
    /// The timer's interrupt: the turn is over, and there is time for what was put off.
    pub(crate) fn interrupt(&mut self) -> *mut Frame {
        self.book();
        if entry::take_interrupt(&mut self.kernel.gic).is_some() {
            self.put_off_no_longer();
        }
        self.next()
    }

    /// The next task in turn, of those that can run at once: the way of an abort.
    #[inline(always)]
    pub(super) fn next_at_once(&mut self) -> *mut Frame {
        match self.kernel.pick() {
            Some(slot) => self.switch(slot),
            None => self.next(),
        }
    }

    /// The next task in turn; waits while there is none. The end, when nobody is waited for any more.
    #[inline(never)]
    pub(crate) fn next(&mut self) -> *mut Frame {
        loop {
            if let Some(slot) = self.kernel.pick() {
                return self.switch(slot);
            }
            // Nobody can run: do what was put off now, then wait for the timer.
            self.kernel.leave_current();
            self.put_off_no_longer();
            if self.kernel.ready.is_empty() {
                registers::wait();
                if self.kernel.ras && registers::synchronise_errors() != 0 {
                    let _ = self.border();
                }
                entry::take_interrupt(&mut self.kernel.gic);
            }
        }
    }

    /// Goes over to a task.
    #[inline(always)]
    fn switch(&mut self, slot: u16) -> *mut Frame {
        self.synchronise();
        self.kernel.run(slot)
    }

    /// Goes back to the current task.
    #[inline]
    pub(super) fn leave(&mut self) -> *mut Frame {
        self.synchronise();
        self.kernel.current_frame()
    }

    /// What became pending while the kernel worked is the kernel's: it is not left for the task that runs next.
    #[inline(always)]
    pub(super) fn synchronise(&mut self) {
        if !self.kernel.ras {
            self.let_pending_in();
        } else if registers::synchronise_errors() != 0 {
            self.kernel_border();
        }
    }

    fn put_off_no_longer(&mut self) {
        self.kernel.wake_sleepers();
        self.kernel.say_verdicts();
        self.kernel.wake_from_poison();
        self.kernel.give_back_dead();
        self.patrol();
        self.judge_walks();
        self.take_out_retired();
        while let Some(slot) = self.kernel.again.take_lowest() {
            match self.kernel.load(slot) {
                Ok(()) => self.note_start(slot),
                Err(error) => {
                    log::error!("task {slot} cannot be started again: {error}");
                    self.kernel.stay_ended(slot);
                }
            }
            self.judge_unfit();
        }
        self.kernel.say_stay();
        if self.kernel.is_over() {
            self.finish();
        }
    }
}

impl Kernel {
    /// The next ready slot after the current one, in turn.
    #[inline(always)]
    fn pick(&self) -> Option<u16> {
        self.ready.in_turn(self.current)
    }

    /// Makes a ready slot the current one.
    #[inline(always)]
    fn run(&mut self, slot: u16) -> *mut Frame {
        let before = core::mem::replace(&mut self.current, slot);
        // A task that was ended has had its stack pointer saved, and is no longer the current one.
        if before != slot && before != 0 {
            self.slot_mut(before).stack = registers::task_stack();
        }
        let task = self.slot_mut(slot);
        if before != slot {
            registers::set_task_stack(task.stack);
            if let Some(space) = &task.space {
                registers::set_address_space(space.ttbr0());
            }
        }
        core::ptr::from_mut(task.active_mut())
    }

    fn save_stack(&mut self) {
        let current = self.current;
        self.slot_mut(current).stack = registers::task_stack();
    }

    /// No task runs: nothing of one is mapped.
    fn leave_current(&mut self) {
        if self.current != 0 {
            self.save_stack();
            self.current = 0;
            registers::set_address_space(self.nothing);
        }
    }

    fn wake_sleepers(&mut self) {
        let now = timer::ticks();
        if now < self.next_wake {
            return;
        }
        self.next_wake = u64::MAX;
        let mut next = self.sleeping.lowest();
        while let Some(slot) = next {
            next = self.sleeping.next_after(slot);
            let State::Sleeping(until) = self.slot(slot).state else {
                continue;
            };
            if now >= until {
                self.slot_mut(slot).state = State::Ready;
                self.sleeping.remove(slot);
                self.ready.insert(slot);
            } else {
                self.next_wake = self.next_wake.min(until);
            }
        }
    }

    /// Whether the guest is done: nobody is waited for, nothing is put off, and everyone who counts has counted on
    /// since the last abort.
    pub(super) fn is_over(&mut self) -> bool {
        if self.awaited != 0 || !self.again.is_empty() || timer::ticks() < self.stay_until {
            self.idle_since = None;
            return false;
        }
        let since = *self.idle_since.get_or_insert(timer::ticks());
        let aborts = self.aborts;
        let all_on = self
            .counting_tasks
            .iter()
            .map(|slot| self.slot(slot))
            .filter(|task| !matches!(task.state, State::Ended(_)))
            .all(|task| {
                task.seen_abort == aborts && task.progress > task.progress_at_abort
                    || aborts == 0 && task.progress > 1
            });
        let alive = !self.ready.is_empty() || !self.sleeping.is_empty();
        all_on || !alive || timer::ticks() - since > PATIENCE_SECONDS * timer::frequency()
    }
}
