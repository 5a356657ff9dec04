//! The way of an abort through the kernel: what the agent asks, and what it has done.
//!
//! Collect (the vectors did), judge (the agent does, and changes nothing), apply (one `match` of the agent's, with the
//! five actions below). No allocation, no lock, no formatting, nothing that panics: what is to be printed, given back
//! or started again is put off until the next turn.
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

use seawall_agent::engine::{self, Cause, FrameOwner, Level, Outcome, Rule, Running, Snapshot, Verdict};
use seawall_agent::{ByRule, Esr, FrameNumber, TaskId, VirtualAddress};
use seawall_firmware::frames::Holder;
use seawall_replay::report::TaskState;

use super::task::State;
use super::{Guest, Kernel, end};
use crate::arch::entry::Frame;
use crate::arch::{counter, registers, timer};

impl Guest {
    /// An exception from EL0 that is no call: a memory error, or a fault of the task's own.
    #[inline]
    pub(crate) fn exception(&mut self, taken: &Snapshot) -> *mut Frame {
        match self.handle(taken) {
            Some(Outcome::Resume | Outcome::CopyFailed) => self.kernel.current_frame(),
            Some(Outcome::Reschedule) => self.next(),
            Some(Outcome::Halt) => end::epitaph("an error in EL0 that the rules let nobody survive", taken),
            None => {
                let class = u32::from(Esr(taken.esr).class().bits());
                self.kernel.end_current(TaskState::Faulted(class));
                self.next()
            }
        }
    }

    /// What ESB found at the kernel's entry. False when the interrupted task is not to go on.
    #[cold]
    #[inline(never)]
    pub(crate) fn border(&mut self) -> bool {
        let taken = deferred(Level::El0);
        match self.handle(&taken) {
            Some(Outcome::Halt) => end::epitaph("an error deferred to the kernel's border", &taken),
            Some(Outcome::Reschedule) => false,
            Some(Outcome::Resume | Outcome::CopyFailed) | None => true,
        }
    }

    /// What ESB found on the way out: it came while the kernel worked, and is the kernel's.
    #[cold]
    #[inline(never)]
    pub(super) fn kernel_border(&mut self) {
        let taken = deferred(Level::El1);
        if let Some(Outcome::Halt) = self.handle(&taken) {
            end::epitaph("an error of the kernel's own, deferred to its border", &taken)
        }
    }

    /// A copy from a task's memory met something. A memory error is charged to the task; a bad address is not one.
    pub(super) fn copy_aborted(&mut self, taken: &Snapshot) {
        if let Some(Outcome::Halt) = self.handle(taken) {
            end::epitaph("an error in a copy that the rules let nobody survive", taken)
        }
    }

    /// Puts an accident of the kernel's own on record. The guest ends after this.
    pub(crate) fn record_accident(&mut self, taken: &Snapshot) {
        if let Some(verdict) = engine::judge(taken, &self.kernel, &ByRule) {
            let _ = engine::apply(
                &verdict,
                taken,
                &mut self.kernel,
                &mut self.ledger,
                &mut self.journal,
            );
        }
    }

    #[inline]
    fn handle(&mut self, taken: &Snapshot) -> Option<Outcome> {
        let verdict = engine::judge(taken, &self.kernel, &ByRule)?;
        self.kernel.entered = taken.entered;
        self.kernel.aborts = self.kernel.aborts.wrapping_add(1);
        let outcome = engine::apply(
            &verdict,
            taken,
            &mut self.kernel,
            &mut self.ledger,
            &mut self.journal,
        );
        self.kernel.say_later(verdict);
        Some(outcome)
    }
}

/// The snapshot of an error that ESB put into DISR_EL1, which is read and cleared here.
fn deferred(from: Level) -> Snapshot {
    let disr = registers::synchronise_errors();
    registers::clear_deferred();
    Snapshot {
        cause: Cause::Deferred,
        from,
        esr: 0,
        far: 0,
        elr: 0,
        spsr: 0,
        disr,
        pfar: None,
        ras: true,
        entered: counter::now(),
        time: timer::ticks(),
    }
}

impl engine::Kernel for Kernel {
    #[inline]
    fn running(&self) -> Running {
        match self.current {
            0 => Running::Idle,
            slot => Running::Task(TaskId(slot)),
        }
    }

    #[inline]
    fn copying_for(&self, elr: VirtualAddress) -> Option<TaskId> {
        crate::arch::guarded::way_back(elr.0).and((self.current != 0).then_some(TaskId(self.current)))
    }

    #[inline]
    fn frame_at(&self, task: TaskId, address: VirtualAddress) -> Option<FrameNumber> {
        self.task(task.0)?.space?.frame_at(address)
    }

    #[inline]
    fn table_at(&self, task: TaskId, address: VirtualAddress, level: i8) -> Option<FrameNumber> {
        self.task(task.0)?.space?.table_at(address, level)
    }

    #[inline]
    fn owner(&self, frame: FrameNumber) -> FrameOwner {
        match self.frames.holder(frame) {
            Holder::Task(slot) => FrameOwner::Task(TaskId(slot)),
            Holder::Table(slot) => FrameOwner::PageTable(TaskId(slot)),
            Holder::Kernel => FrameOwner::Kernel,
            Holder::Free => FrameOwner::Free,
            Holder::Retired => FrameOwner::Retired,
            Holder::Outside => FrameOwner::NotRam,
        }
    }

    #[inline]
    fn rule(&self, task: TaskId) -> Rule {
        self.task(task.0).map_or(Rule::Kill, |task| task.rule())
    }

    /// The counter has 32 bits, and an abort takes less than they hold.
    #[inline]
    fn now(&self) -> u64 {
        self.entered
            .wrapping_add(counter::now().wrapping_sub(self.entered) & 0xffff_ffff)
    }

    #[inline]
    fn retire(&mut self, frame: FrameNumber) {
        self.frames.retire(frame);
    }

    #[inline]
    fn kill(&mut self, task: TaskId) {
        self.charge(task);
        self.end_task(task.0, TaskState::Killed);
        self.dead |= bit(task.0);
    }

    #[inline]
    fn isolate(&mut self, task: TaskId) {
        self.charge(task);
        self.end_task(task.0, TaskState::Isolated);
    }

    #[inline]
    fn restart(&mut self, task: TaskId) {
        self.charge(task);
        // Its end is still waited for: it is the restarted task that will bring it.
        let awaited = self.awaited;
        self.end_task(task.0, TaskState::Killed);
        self.awaited = awaited;
        self.dead |= bit(task.0);
        self.again |= bit(task.0);
        if let Some(task) = self.task_mut(task.0) {
            task.restarts = task.restarts.saturating_add(1);
        }
    }

    /// The copy's own error path is taken as it returns; nothing is left to be done.
    #[inline]
    fn fail_copy(&mut self, task: TaskId) {
        self.charge(task);
    }
}

/// A slot's bit; none for a slot that cannot be.
#[inline]
fn bit(slot: u16) -> u64 {
    1_u64.checked_shl(u32::from(slot)).unwrap_or(0)
}

impl Kernel {
    #[inline]
    fn charge(&mut self, task: TaskId) {
        if let Some(task) = self.task_mut(task.0) {
            task.charged = task.charged.saturating_add(1);
        }
    }

    /// A task never runs again: its turns, its translations and whoever waits for it know at once. Its memory is given
    /// back later, by whom it is decided.
    #[inline]
    pub(super) fn end_task(&mut self, slot: u16, state: TaskState) {
        self.ready &= !bit(slot);
        self.sleeping &= !bit(slot);
        let nothing = self.nothing;
        let Some(task) = self.task_mut(slot) else { return };
        task.state = State::Ended(state);
        if let Some(space) = task.space {
            space.end(nothing);
        }
        let (parent, background) = (task.parent, task.background);
        if slot == self.current {
            // Its registers stay in its frame; its stack pointer too, for inspection.
            let stack = registers::task_stack();
            if let Some(task) = self.task_mut(slot) {
                task.stack = stack;
            }
            self.current = 0;
        }
        if !background {
            self.awaited = self.awaited.saturating_sub(1);
        }
        if parent != 0
            && self
                .task(parent)
                .is_some_and(|task| task.state == State::Waiting(slot))
        {
            if let Some(waiting) = self.task_mut(parent) {
                waiting.state = State::Ready;
                // It asks again: the call is repeated, and then finds the end.
                waiting.frame.elr = waiting.frame.elr.wrapping_sub(4);
            }
            self.ready |= bit(parent);
        }
    }

    /// Keeps a verdict to be printed when there is time.
    #[inline]
    fn say_later(&mut self, verdict: Verdict) {
        match self.unsaid.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(verdict),
            None => self.unsaid_more = self.unsaid_more.wrapping_add(1),
        }
    }
}
