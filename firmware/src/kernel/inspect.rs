//! Looking at a task that never runs again: its registers, and what it was stopped for.

use seawall_agent::{AbortRecord, TaskId};
use seawall_firmware::calls::register;
use seawall_replay::report::TaskState;

use super::Guest;
use super::task::State;

impl Guest {
    /// A register of an ended task, as [`seawall_firmware::calls::INSPECT`] numbers them.
    pub(super) fn inspect(&self, slot: u64, number: u64) -> Option<u64> {
        let slot = u16::try_from(slot).ok()?;
        let task = self.kernel.task(slot)?;
        let State::Ended(state) = task.state else {
            return None;
        };
        match number {
            register::PC => Some(task.active().elr),
            register::SP => Some(task.stack),
            register::PSTATE => Some(task.active().spsr),
            register::ESR => Some(self.cause(slot, state)?.esr),
            register::FAR => Some(self.cause(slot, state)?.valid_far()?.0),
            register::DISR => Some(self.cause(slot, state)?.disr),
            register::FRAME => Some(self.cause(slot, state)?.frame?.address().0),
            number => task.active().x.get(usize::try_from(number).ok()?).copied(),
        }
    }

    /// What an ended task was stopped for. One that ended otherwise may have a slot that another died in before.
    fn cause(&self, slot: u16, state: TaskState) -> Option<AbortRecord> {
        match state {
            TaskState::Killed | TaskState::Isolated => self.journal.last_charged(TaskId(slot)),
            TaskState::Alive | TaskState::Exited(_) | TaskState::Faulted(_) | TaskState::Unknown(_) => None,
        }
    }
}
