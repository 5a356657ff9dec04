//! Tasks' tables that the kernel cannot read as it goes through them itself: for a call, a fork, a fault, or somebody else's
//! lost page. What is met so is an error in that task's memory like any other; it waits until it can be judged, and no
//! later operation takes it for its own.
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

use seawall_agent::TaskId;

use super::copies::Copying;
use super::{Guest, Kernel};
use crate::arch::entry;

impl Kernel {
    /// Notes what a walk of this task's tables has met, if it has. One waits at most: until a table is rebuilt whoever
    /// reads it again meets it again.
    pub(super) fn note_walk(&self, task: u16) {
        if let Some(taken) = entry::take_guarded_abort()
            && self.met.get().is_none()
        {
            self.met.set(Some((task, taken)));
        }
    }
}

impl Guest {
    /// Judges what walks have met; whether there was anything.
    pub(super) fn judge_walks(&mut self) -> bool {
        let Some((task, taken)) = self.kernel.met.take() else {
            return false;
        };
        self.kernel.copying = Some(Copying::of_table(TaskId(task), taken.far));
        let _ = self.copy_aborted(&taken);
        self.kernel.copying = None;
        self.kernel.stay_in_space();
        true
    }
}
