//! Whose turn it is.

use super::task::State;
use super::{Guest, Kernel};
use crate::arch::frame::Frame;
use crate::arch::{entry, registers, timer};

/// How long the guest's end waits for bystanders to go on, in seconds.
const PATIENCE_SECONDS: u64 = 5;

/// The lowest slot in a set that is not empty.
#[expect(clippy::cast_possible_truncation, reason = "at most 64")]
#[inline(always)]
pub(super) const fn lowest(slots: u64) -> u16 {
    slots.trailing_zeros() as u16
}

impl Guest {
    /// The timer's interrupt: the turn is over, and there is time for what was put off.
    pub(crate) fn interrupt(&mut self) -> *mut Frame {
        if entry::take_interrupt(&mut self.kernel.gic).is_some() {
            self.put_off_no_longer();
        }
        self.next()
    }

    /// The next task in turn; waits while there is none. The end, when nobody is waited for any more.
    pub(crate) fn next(&mut self) -> *mut Frame {
        loop {
            if let Some(slot) = self.kernel.pick() {
                return self.switch(slot);
            }
            // Nobody can run: do what was put off now, then wait for the timer.
            self.kernel.leave_current();
            self.put_off_no_longer();
            if self.kernel.ready == 0 {
                registers::wait();
                if self.kernel.ras && registers::synchronise_errors() != 0 {
                    let _ = self.border();
                }
                entry::take_interrupt(&mut self.kernel.gic);
            }
        }
    }

    /// Goes over to a task.
    #[inline]
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
    #[inline]
    fn synchronise(&mut self) {
        if self.kernel.ras && registers::synchronise_errors() != 0 {
            self.kernel_border();
        }
    }

    fn put_off_no_longer(&mut self) {
        self.kernel.wake_sleepers();
        self.kernel.say_verdicts();
        self.kernel.give_back_dead();
        while self.kernel.again != 0 {
            let slot = lowest(self.kernel.again);
            self.kernel.again &= self.kernel.again - 1;
            match self.kernel.load(slot) {
                Ok(()) => self.note_start(slot),
                Err(error) => log::error!("task {slot} cannot be started again: {error}"),
            }
        }
        if self.kernel.is_over() {
            self.finish();
        }
    }
}

impl Kernel {
    /// The next ready slot after the current one, in turn.
    #[inline]
    fn pick(&self) -> Option<u16> {
        let after = self.ready & u64::MAX.checked_shl(u32::from(self.current) + 1).unwrap_or(0);
        let candidates = if after != 0 { after } else { self.ready };
        (candidates != 0).then(|| lowest(candidates))
    }

    /// Makes a ready slot the current one.
    #[inline]
    fn run(&mut self, slot: u16) -> *mut Frame {
        if slot != self.current {
            // A task that was ended has had its stack pointer saved, and is no longer the current one.
            if self.current != 0 {
                self.save_stack();
            }
            self.current = slot;
            let task = self.slot(slot);
            registers::set_task_stack(task.stack);
            if let Some(space) = &task.space {
                registers::set_address_space(space.ttbr0());
            }
        }
        &raw mut self.slot_mut(slot).frame
    }

    #[inline]
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
        let mut left = self.sleeping;
        while left != 0 {
            let slot = lowest(left);
            left &= left - 1;
            if let State::Sleeping(until) = self.slot(slot).state
                && now >= until
            {
                self.slot_mut(slot).state = State::Ready;
                self.sleeping &= !(1 << slot);
                self.ready |= 1 << slot;
            }
        }
    }

    /// Whether the guest is done: nobody is waited for, nothing is put off, and everyone who counts has counted on
    /// since the last abort.
    pub(super) fn is_over(&mut self) -> bool {
        if self.awaited != 0 || self.again != 0 || timer::ticks() < self.stay_until {
            self.idle_since = None;
            return false;
        }
        let since = *self.idle_since.get_or_insert(timer::ticks());
        let aborts = self.aborts;
        let all_on = self
            .tasks
            .iter()
            .filter(|task| task.counts && !matches!(task.state, State::Ended(_)))
            .all(|task| {
                task.seen_abort == aborts && task.progress > task.progress_at_abort
                    || aborts == 0 && task.progress > 1
            });
        let alive = self.ready | self.sleeping != 0;
        all_on || !alive || timer::ticks() - since > PATIENCE_SECONDS * timer::frequency()
    }
}
