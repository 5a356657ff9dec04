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

use seawall_agent::engine::{
    self, Cause, FrameOwner, Handler, Level, Notice, Outcome, Rule, Running, Snapshot, Unbooked, Verdict,
};
use seawall_agent::{ByRule, Decision, FrameNumber, Severity, TaskId, VirtualAddress};
use seawall_firmware::frames::Holder;
use seawall_replay::report::TaskState;

use super::console::Saying;
use super::task::State;
use super::trial::Stop;
use super::{Guest, Kernel, epitaph};
use crate::arch::frame::Frame;
use crate::arch::{counter, entry, guarded, registers, space, timer};

/// Where an error struck that halts the guest although it was a task's.
const NOBODY_SURVIVES: &str = "an error in EL0 that the rules let nobody survive";

/// So often instructions of one task run again although nothing was repaired.
const RUNS_AGAIN: u32 = 16;

impl Guest {
    /// A synchronous exception from EL0 that is no call: a memory error, or a fault of the task's own. The task has no
    /// handler.
    #[inline(always)]
    pub(crate) fn exception(&mut self, taken: &Snapshot) -> *mut Frame {
        match self.handle_plain(taken) {
            Some(outcome) => self.after(taken, Some(outcome)),
            None => self.exception_seldom(taken),
        }
    }

    /// The same, of a task that has a handler. Only here can there be books to keep: whoever was told still runs.
    #[inline(always)]
    pub(crate) fn exception_told(&mut self, taken: &Snapshot) -> *mut Frame {
        self.book();
        match self.tell_plain(taken) {
            Some(()) => {
                self.synchronise();
                self.kernel.handlers_frame()
            }
            None => self.exception_seldom(taken),
        }
    }

    /// The same, for all but the abort that comes most often.
    #[inline(never)]
    fn exception_seldom(&mut self, taken: &Snapshot) -> *mut Frame {
        let outcome = self.handle_seldom(taken);
        self.after(taken, outcome)
    }

    /// An SError from EL0.
    pub(crate) fn serror(&mut self, taken: &Snapshot) -> *mut Frame {
        match self.handle_plain_serror(taken) {
            Some(outcome) => self.after(taken, Some(outcome)),
            None => self.exception_seldom(taken),
        }
    }

    #[inline(always)]
    fn after(&mut self, taken: &Snapshot, outcome: Option<Outcome>) -> *mut Frame {
        match outcome {
            Some(Outcome::Resume | Outcome::CopyFailed | Outcome::Signalled) => self.leave(),
            Some(Outcome::Reschedule) => self.next_at_once(),
            Some(Outcome::Halt) => epitaph::epitaph(NOBODY_SURVIVES, taken),
            None => self.fault(taken),
        }
    }

    /// A synchronous exception from EL0 beside what ESB found at the kernel's entry: two errors of one task. The abort was
    /// taken first, and is dealt with first; the other is charged to the same task, also when that has ended by now. True
    /// when the exception is no memory error, and still to be looked at.
    #[cold]
    #[inline(never)]
    pub(crate) fn exception_beside_border(&mut self, taken: &Snapshot) -> bool {
        let slot = self.kernel.current;
        let home = self.kernel.slot(slot).home;
        let restarts = self.kernel.slot(home).restarts;
        let first = self.handle_seldom(taken);
        if self.kernel.current == slot {
            // No memory error, or one that ends everything: then the other is on record too.
            let lives = self.border();
            if let Some(Outcome::Halt) = first {
                epitaph::epitaph(NOBODY_SURVIVES, taken);
            }
            return lives && first.is_none();
        }
        let spent = self.kernel.slot(home).restarts;
        // Its remedy was given once, is not used up by that for the record of the other, and is not given a second time.
        self.kernel.current = slot;
        self.kernel.slot_mut(home).restarts = restarts;
        self.border();
        self.kernel.current = 0;
        self.kernel.slot_mut(home).restarts = spent;
        false
    }

    /// What ESB found at the kernel's entry. False when the interrupted task is not to go on.
    #[cold]
    #[inline(never)]
    pub(crate) fn border(&mut self) -> bool {
        let taken = deferred(Level::El0);
        match self.handle_seldom(&taken) {
            Some(Outcome::Halt) => epitaph::epitaph("an error deferred to the kernel's border", &taken),
            // A handler begins with the task's next turn: what the task was about is not gone on with.
            Some(Outcome::Reschedule | Outcome::Signalled) => false,
            Some(Outcome::Resume | Outcome::CopyFailed) | None => true,
        }
    }

    /// What ESB found on the way out: it came while the kernel worked, and is the kernel's.
    #[cold]
    #[inline(never)]
    pub(super) fn kernel_border(&mut self) {
        let taken = deferred(Level::El1);
        if let Some(Outcome::Halt) = self.handle_seldom(&taken) {
            epitaph::epitaph("an error of the kernel's own, deferred to its border", &taken)
        }
    }

    /// A copy of a task's memory met something, or a barrier behind it has. A memory error is charged to whose memory it
    /// was; a bad address is not one.
    pub(super) fn copy_aborted(&mut self, taken: &Snapshot) -> Option<Outcome> {
        let outcome = self.handle_seldom(taken);
        if let Some(Outcome::Halt) = outcome {
            epitaph::epitaph("an error in a copy that the rules let nobody survive", taken)
        }
        outcome
    }

    /// An SError that was pending while the kernel had them masked, and that it has let in: the kernel's own.
    pub(super) fn let_in(&mut self, taken: &Snapshot) {
        if let Some(Outcome::Halt) = self.handle_seldom(taken) {
            epitaph::epitaph("an SError of the kernel's own, masked until it was let in", taken)
        }
    }

    /// Without FEAT_RAS nothing defers an SError. One that is pending is taken here, and charged to nobody, rather than by
    /// whoever runs next.
    #[cold]
    #[inline(never)]
    pub(super) fn let_pending_in(&mut self) {
        if registers::serror_is_pending()
            && guarded::let_serror_in()
            && let Some(taken) = entry::take_guarded_abort()
        {
            self.let_in(&taken);
        }
    }

    /// Puts an accident of the kernel's own on record. The guest ends after this.
    pub(crate) fn record_accident(&mut self, taken: &Snapshot) {
        let _ = self.handle_seldom(taken);
    }

    /// Any error; `None` when it is none.
    #[inline(never)]
    fn handle_seldom(&mut self, taken: &Snapshot) -> Option<Outcome> {
        self.book();
        (self.kernel.handling.esr, self.kernel.handling.far) = (taken.esr, taken.far);
        self.kernel.handling.disr = taken.disr;
        let mut judged = engine::judge(taken, &self.kernel, &ByRule);
        // What was met once more to find out where it lies.
        let _ = entry::take_guarded_abort();
        // A fault that is no error, such as the first write to a page, is not what a trial waits for.
        if judged.is_some() {
            self.kernel.stop_in_handler();
        }
        let outcome = judged.as_mut().map(|verdict| self.carry_out(verdict, taken));
        // Only here: what is judged sooner is nobody else's.
        if self.kernel.told_count != 0 {
            self.note_told();
        }
        self.kernel.handling.esr = 0;
        self.kernel.handling.disr = 0;
        outcome
    }

    /// What stands in line where an abort costs most.
    #[inline(always)]
    fn handle_plain(&mut self, taken: &Snapshot) -> Option<Outcome> {
        (self.kernel.handling.esr, self.kernel.handling.far) = (taken.esr, taken.far);
        let mut judged = engine::judge_plain(taken, &self.kernel, &ByRule);
        // By reference: a verdict is large, and taking it out of the option would copy it.
        let outcome = judged.as_mut().map(|verdict| self.carry_out(verdict, taken));
        self.kernel.handling.esr = 0;
        outcome
    }

    /// The same for a task that has a handler, which begins before the books are kept. `None` also where it is not told.
    #[inline(always)]
    fn tell_plain(&mut self, taken: &Snapshot) -> Option<()> {
        (self.kernel.handling.esr, self.kernel.handling.far) = (taken.esr, taken.far);
        // The record's cost is counted from here.
        self.kernel.entered = taken.entered;
        let judged = engine::judge_plain(taken, &self.kernel, &ByRule);
        let unbooked = judged.and_then(|verdict| engine::tell(&verdict, taken, &mut self.kernel));
        self.kernel.handling.esr = 0;
        self.unbooked = Some(unbooked?);
        Some(())
    }

    /// Does what was left to be done when a handler was told. First thing behind the border, whenever the kernel is entered
    /// for more than an empty call: until then nobody else ran, and no frame was handed out; and what comes of it is the
    /// kernel's own.
    #[inline(always)]
    pub(super) fn book(&mut self) {
        if let Some(unbooked) = self.unbooked.take() {
            self.book_now(unbooked);
        }
    }

    #[cold]
    #[inline(never)]
    fn book_now(&mut self, unbooked: Unbooked) {
        self.kernel.aborts = self.kernel.aborts.wrapping_add(1);
        let record = engine::book(unbooked, &mut self.kernel, &mut self.ledger, &mut self.journal);
        self.kernel
            .say_later(record.charged(), record.cause, record.severity, record.decision);
    }

    /// The same for an SError.
    #[inline(always)]
    fn handle_plain_serror(&mut self, taken: &Snapshot) -> Option<Outcome> {
        self.book();
        // A trial of what happens in a handler is made where there is time for it.
        if self.kernel.stop != Stop::Nowhere {
            return None;
        }
        (self.kernel.handling.esr, self.kernel.handling.far) = (taken.esr, taken.far);
        let mut judged = engine::judge_plain_serror(taken, &self.kernel, &ByRule);
        let outcome = judged.as_mut().map(|verdict| self.carry_out(verdict, taken));
        self.kernel.handling.esr = 0;
        outcome
    }

    #[inline(always)]
    fn carry_out(&mut self, verdict: &mut Verdict, taken: &Snapshot) -> Outcome {
        self.kernel.entered = taken.entered;
        self.kernel.aborts = self.kernel.aborts.wrapping_add(1);
        let outcome = engine::apply(
            verdict,
            taken,
            &mut self.kernel,
            &mut self.ledger,
            &mut self.journal,
        );
        self.kernel
            .say_later(verdict.charged, verdict.cause, verdict.severity, verdict.decision);
        if self.kernel.healing.is_some() {
            self.source_aborted();
        }
        outcome
    }
}

/// The snapshot of an error that ESB put into DISR_EL1, which is read and cleared here.
fn deferred(from: Level) -> Snapshot {
    let disr = registers::synchronise_errors();
    registers::clear_deferred();
    found(from, disr)
}

/// The snapshot of what was read from DISR_EL1.
pub(super) fn found(from: Level, disr: u64) -> Snapshot {
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
    #[inline(always)]
    fn running(&self) -> Running {
        match self.current {
            0 => Running::Idle,
            slot => Running::Task(TaskId(slot)),
        }
    }

    #[inline(always)]
    fn copying_for(&self, elr: VirtualAddress) -> Option<TaskId> {
        guarded::way_back(elr.0).and(self.copied())
    }

    #[inline(always)]
    fn copied(&self) -> Option<TaskId> {
        self.copying.map(|copying| copying.task)
    }

    fn filling(&self, elr: VirtualAddress) -> Option<FrameNumber> {
        guarded::way_back(elr.0).and(self.filling)
    }

    #[inline(always)]
    fn frame_at(&self, task: TaskId, address: VirtualAddress) -> Option<FrameNumber> {
        let space = self.slot(task.0).space;
        let Some((frame, walked)) = space.and_then(|space| space.reach(address)) else {
            return self.copying_frame(task, address);
        };
        self.walked.set(walked);
        Some(frame)
    }

    #[inline(always)]
    fn table_at(&self, task: TaskId, address: VirtualAddress, level: i8) -> Option<FrameNumber> {
        self.slot(task.0).space?.table_at(address, level)
    }

    #[inline(always)]
    fn owner(&self, frame: FrameNumber) -> FrameOwner {
        match self.frames.holder(frame) {
            Holder::Task(slot) => FrameOwner::Task(TaskId(slot)),
            Holder::Table(slot) => FrameOwner::PageTable(TaskId(slot)),
            Holder::Shared(_) => FrameOwner::Shared,
            Holder::Kernel => FrameOwner::Kernel,
            Holder::Free => FrameOwner::Free,
            Holder::Retired => FrameOwner::Retired,
            Holder::Outside => FrameOwner::NotRam,
        }
    }

    fn shares(&self, task: TaskId, frame: FrameNumber) -> bool {
        let home = self.slot(task.0).home;
        matches!(self.frames.holder(frame), Holder::Shared(family) if family == self.slot(home).family)
    }

    #[inline(never)]
    fn same_space(&self, task: TaskId, other: TaskId) -> bool {
        self.slot(task.0).home == self.slot(other.0).home
    }

    #[inline(always)]
    fn rule(&self, task: TaskId) -> Rule {
        self.slot(task.0).rule()
    }

    #[inline(always)]
    fn heals(&self, task: TaskId, address: VirtualAddress, frame: FrameNumber) -> bool {
        let (descriptor, _) = self.walked.get();
        match space::leads_to(descriptor, frame) {
            true => space::is_clean(descriptor),
            false => self.is_clean(task.0, address, frame),
        }
    }

    #[inline(always)]
    fn handler(&self, task: TaskId) -> Handler {
        self.handler_of(task.0)
    }

    fn runs_again(&self, task: TaskId, _: VirtualAddress) -> bool {
        self.slot(task.0).ran_again < RUNS_AGAIN
    }

    /// The counter has 32 bits, and an abort takes less than they hold.
    #[inline(always)]
    fn now(&self) -> u64 {
        self.entered
            .wrapping_add(counter::now().wrapping_sub(self.entered) & 0xffff_ffff)
    }

    #[inline(always)]
    fn retire(&mut self, frame: FrameNumber) {
        if let Some(family) = self.frames.retire_from(frame)
            && family != 0
        {
            self.tell_family(frame, family);
        }
    }

    #[inline(always)]
    fn kill(&mut self, task: TaskId) {
        if self.end_task(task.0, TaskState::Killed, 1) {
            self.dead.insert(task.0);
        }
    }

    #[inline(always)]
    fn isolate(&mut self, task: TaskId) {
        self.end_task_seldom(task.0, TaskState::Isolated, 1);
    }

    #[inline(always)]
    fn restart(&mut self, task: TaskId) {
        if !self.end_task_seldom(task.0, TaskState::Killed, 1) {
            return;
        }
        let home = self.slot(task.0).home;
        self.dead.insert(home);
        self.again.insert(home);
        // Its end is still waited for: it is the restarted task that will bring it.
        let task = self.slot_mut(home);
        task.restarts.count(task.window, timer::ticks());
        if !task.background {
            self.awaited = self.awaited.wrapping_add(1);
        }
    }

    /// The copy's own error path is taken as it returns. What is left to be done is to unmap the page that was retired,
    /// for its task goes on.
    #[inline(always)]
    fn fail_copy(&mut self, task: TaskId) {
        self.charge(task);
        if let Some(address) = self.copying.map(|copying| copying.address)
            && let Some(space) = self.slot(task.0).space
            && let Some(frame) = space.frame_at(address)
            && self.frames.holder(frame) == Holder::Retired
        {
            space.withdraw(address, frame);
        }
    }

    #[inline(always)]
    fn signal(&mut self, task: TaskId, notice: Notice) {
        self.tell(task, notice);
    }

    fn run_again(&mut self, task: TaskId, _: VirtualAddress) {
        let task = self.slot_mut(task.0);
        task.ran_again = task.ran_again.wrapping_add(1);
    }

    fn heal(&mut self, task: TaskId, address: VirtualAddress, frame: FrameNumber) -> bool {
        self.heal_page(task.0, address, frame)
    }
}

impl Kernel {
    #[inline(always)]
    pub(super) fn charge(&mut self, task: TaskId) {
        let task = self.slot_mut(task.0);
        task.charged = task.charged.wrapping_add(1);
    }

    /// The same as [`Self::end_task`], for where it costs less to go there.
    #[inline(never)]
    pub(super) fn end_task_seldom(&mut self, slot: u16, state: TaskState, charges: u32) -> bool {
        self.end_task(slot, state, charges)
    }

    /// The same, for a task whose siblings go on.
    #[inline(never)]
    pub(super) fn end_alone(&mut self, slot: u16, state: TaskState) {
        self.end_one(slot, state, 0);
    }

    /// A task never runs again, nor do those that share its address space: their turns, their translations and whoever
    /// waits for them know at once. Their memory is given back later, by whom it is decided. So many errors more are charged
    /// to the one, whose place is looked up but once for all of it. False when it had ended before: then it is charged, and
    /// nothing else changes, for an isolated task's memory can still be met by others.
    #[inline(always)]
    fn end_task(&mut self, slot: u16, state: TaskState, charges: u32) -> bool {
        match self.end_one(slot, state, charges) {
            Some(next) => {
                if next != slot {
                    self.end_siblings(slot, state);
                }
                true
            }
            None => false,
        }
    }

    /// One task of a process ends; the next one of the process. `None` when it had ended before.
    #[inline(always)]
    fn end_one(&mut self, slot: u16, state: TaskState, charges: u32) -> Option<u16> {
        self.ready.remove(slot);
        let (nothing, current) = (self.nothing, self.current);
        let task = self.tasks.slot_mut(slot);
        task.charged = task.charged.wrapping_add(charges);
        match task.state {
            State::Ended(_) => return None,
            State::Sleeping(_) => self.sleeping.remove(slot),
            State::Empty | State::Ready | State::Waiting(_) => {}
        }
        task.state = State::Ended(state);
        if let Some(space) = task.space {
            space.end(nothing);
        }
        if slot == current {
            // Its registers stay in its frame, and its stack pointer too, for inspection.
            task.stack = registers::task_stack();
            self.current = 0;
        }
        if !task.background {
            self.awaited = self.awaited.wrapping_sub(1);
        }
        let next = task.next_thread;
        if task.waited_for {
            let parent = task.parent;
            self.wake(parent, slot);
        }
        Some(next)
    }

    /// Whoever waits for an end asks again: its call is repeated, and finds the end.
    #[inline(never)]
    pub(super) fn wake(&mut self, slot: u16, ended: u16) {
        let waiting = self.slot_mut(slot);
        // It may itself have ended by now.
        if waiting.state == State::Waiting(ended) {
            waiting.state = State::Ready;
            let elr = &mut waiting.active_mut().elr;
            *elr = elr.wrapping_sub(4);
            self.ready.insert(slot);
        }
    }

    /// Keeps what is to be printed of a verdict for when there is time.
    #[inline]
    fn say_later(&mut self, charged: Option<TaskId>, cause: Cause, severity: Severity, decision: Decision) {
        let TaskId(slot) = charged.unwrap_or(TaskId(0));
        self.keep_saying(Saying {
            slot,
            cause,
            severity,
            decision,
        });
    }

    #[inline(always)]
    pub(super) fn keep_saying(&mut self, saying: Saying) {
        let count = self.unsaid_count;
        if let Some(place) = self.unsaid.get_mut(count) {
            *place = saying;
        }
        self.unsaid_count = count.wrapping_add(1);
    }
}
