//! Words that tasks wait for.
//!
//! A word is known by where it lies in memory, so that whoever maps it, under whatever address, means the same one; where a
//! process gets another frame for its page, its words go along. The kernel reads it once, before the wait, by a copy that
//! may fail.

use seawall_agent::{FrameNumber, IntermediateAddress, VirtualAddress};
use seawall_firmware::calls::{FAILED, MEMORY_ERROR};
use seawall_firmware::frames::Holder;

use super::call::ticks;
use super::task::State;
use super::{Guest, Kernel};
use crate::arch::frame::Frame;
use crate::arch::timer;

const CHANGED: u64 = 1;
const TIME_IS_OVER: u64 = 2;

impl Guest {
    /// Has the current task wait, if the word has the value.
    pub(super) fn futex_wait(&mut self, address: u64, value: u64, nanoseconds: u64) -> *mut Frame {
        let result = match self.load_in(address) {
            _ if !address.is_multiple_of(4) => FAILED,
            Err(refusal) => refusal.result(),
            Ok(word) if u64::from(word) != value => CHANGED,
            Ok(_) => match self.kernel.word_at(address) {
                Some(word) => {
                    self.kernel.wait_for(word, nanoseconds);
                    return self.next();
                }
                None => FAILED,
            },
        };
        self.kernel.set_result(result);
        if self.kernel.current_runs() {
            self.leave()
        } else {
            self.next()
        }
    }

    /// Wakes those who wait for a word of the current task's.
    pub(super) fn futex_wake(&mut self, address: u64, most: u64) -> u64 {
        match self.kernel.word_at(address) {
            Some(word) => self.kernel.wake_waiters(most, 0, |_, waited| waited == word),
            None => FAILED,
        }
    }
}

impl Kernel {
    /// Where a word of the current task's lies in memory.
    fn word_at(&self, address: u64) -> Option<u64> {
        let space = self.slot(self.current).space?;
        let frame = space.frame_at(VirtualAddress(address))?;
        Some(frame.address().0 | (address & 0xfff))
    }

    /// A process has another frame for a page of its own: those of its tasks that wait for a word in there wait for the same
    /// word in the other frame.
    #[cold]
    #[inline(never)]
    pub(super) fn words_moved(&mut self, task: u16, from: FrameNumber, to: FrameNumber) {
        let home = self.slot(task).home;
        let mut next = self.futex_waiters.lowest();
        while let Some(slot) = next {
            next = self.futex_waiters.next_after(slot);
            let waiter = self.slot_mut(slot);
            if waiter.home == home && waiter.futex & !0xfff == from.address().0 {
                waiter.futex = to.address().0 | (waiter.futex & 0xfff);
            }
        }
    }

    fn wait_for(&mut self, word: u64, nanoseconds: u64) {
        let until = match nanoseconds {
            0 => u64::MAX,
            _ => timer::ticks().saturating_add(ticks(nanoseconds)),
        };
        self.set_result(TIME_IS_OVER);
        let slot = self.current;
        if let Some(task) = self.current_task() {
            task.futex = word;
            task.state = State::Sleeping(until);
            self.ready.remove(slot);
            self.sleeping.insert(slot);
            self.next_wake = self.next_wake.min(until);
            self.futex_waiters.insert(slot);
        }
    }

    /// Wakes up to `most` of those whose word is `meant`, with this result; how many there were.
    fn wake_waiters(&mut self, most: u64, result: u64, meant: impl Fn(&Self, u64) -> bool) -> u64 {
        let mut next = self.futex_waiters.lowest();
        let mut woken = 0;
        while let Some(slot) = next.filter(|_| woken < most) {
            next = self.futex_waiters.next_after(slot);
            // Whose time was over waits no more.
            if !self.sleeping.contains(slot) {
                self.futex_waiters.remove(slot);
                continue;
            }
            if !meant(self, self.slot(slot).futex) {
                continue;
            }
            let task = self.slot_mut(slot);
            task.active_mut().x[0] = result;
            task.state = State::Ready;
            self.futex_waiters.remove(slot);
            self.sleeping.remove(slot);
            self.ready.insert(slot);
            woken += 1;
        }
        woken
    }

    /// Whose word lies in a frame that was retired would be woken by nobody.
    pub(super) fn wake_from_poison(&mut self) {
        if !self.futex_waiters.is_empty() {
            self.wake_waiters(u64::MAX, MEMORY_ERROR, |kernel, word| {
                let frame = FrameNumber::from_address(IntermediateAddress(word));
                kernel.frames.holder(frame) == Holder::Retired
            });
        }
    }
}
