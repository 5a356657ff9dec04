//! A task: its registers, its memory, and what is known about it.

use seawall_agent::engine::Rule;
use seawall_firmware::bundle::Name;
use seawall_firmware::frames::FrameList;
use seawall_firmware::policy::{Policy, Remedy, Restarts};
use seawall_replay::report::{TaskReport, TaskState};

use super::signal::Signal;
use crate::arch::frame::Frame;
use crate::arch::space::Space;
use crate::arch::timer;

/// What a task is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// The slot is free. So is slot 0 forever, which is nobody's.
    Empty,
    /// It runs when its turn comes.
    Ready,
    /// It sleeps until this tick.
    Sleeping(u64),
    /// It waits for the task in this slot to end.
    Waiting(u16),
    /// It never runs again.
    Ended(TaskState),
}

/// A task. A power of two of bytes, so that a slot's place is found by a shift.
#[derive(Debug)]
#[repr(C, align(512))]
pub(crate) struct Task {
    /// Its registers: SP_EL1 points here while it runs, and its handler does not.
    pub(crate) frame: Frame,
    /// Its handler's registers.
    pub(crate) handler: Frame,
    pub(crate) signal: Signal,
    /// SP_EL0, while another task runs.
    pub(crate) stack: u64,
    pub(crate) space: Option<Space>,
    pub(crate) frames: FrameList,
    pub(crate) state: State,
    pub(crate) policy: Policy,
    /// In how many ticks its restarts count; 0 when they count for ever.
    pub(crate) window: u64,
    pub(crate) program: usize,
    pub(crate) name: Name,
    /// The first task of its process, in whose slot space, frames and restarts are kept; its own slot for that one.
    pub(crate) home: u16,
    /// The process's next task, in a ring; its own slot when it is alone.
    pub(crate) next_thread: u16,
    /// Of a process's first task: the family of those that share frames with it, and its neighbours there; 0 without
    /// one.
    pub(crate) family: u16,
    pub(crate) next_member: u16,
    pub(crate) previous_member: u16,
    /// Who started it; 0 when the boot did.
    pub(crate) parent: u16,
    /// Who started it waits for its end.
    pub(crate) waited_for: bool,
    /// Nobody waits for its end.
    pub(crate) background: bool,
    /// It reports progress, and the guest's end waits for more of it after the last abort.
    pub(crate) counts: bool,
    pub(crate) progress: u64,
    pub(crate) damage: u64,
    /// Progress as it was when the abort numbered `seen_abort` came.
    pub(crate) progress_at_abort: u64,
    pub(crate) seen_abort: u64,
    pub(crate) restarts: Restarts,
    pub(crate) charged: u32,
    /// Where the word lies that it waits for; means nothing while it waits for none.
    pub(crate) futex: u64,
    /// How often an instruction of it that lost nothing ran again.
    pub(crate) ran_again: u32,
}

impl Task {
    /// A free slot.
    pub(crate) const EMPTY: Self = Self {
        frame: Frame::EMPTY,
        handler: Frame::EMPTY,
        signal: Signal::NONE,
        stack: 0,
        space: None,
        frames: FrameList::EMPTY,
        state: State::Empty,
        policy: Policy::DEFAULT,
        window: 0,
        program: 0,
        name: [0; 16],
        home: 0,
        next_thread: 0,
        family: 0,
        next_member: 0,
        previous_member: 0,
        parent: 0,
        waited_for: false,
        background: false,
        counts: false,
        progress: 0,
        damage: 0,
        progress_at_abort: 0,
        seen_abort: 0,
        restarts: Restarts::NONE,
        charged: 0,
        futex: 0,
        ran_again: 0,
    };

    /// What its owner asked for, as the agent wants to know it.
    pub(crate) fn rule(&self) -> Rule {
        match self.policy.remedy {
            Remedy::Kill => Rule::Kill,
            Remedy::Isolate => Rule::Isolate,
            Remedy::Restart(limit) => Rule::Restart {
                left: self.restarts.left(limit, self.window, timer::ticks()),
            },
        }
    }

    /// Progress when the last of `aborts` came: what it has now, if it has reported none since.
    pub(crate) fn progress_at_last_abort(&self, aborts: u64) -> u64 {
        if self.seen_abort == aborts {
            self.progress_at_abort
        } else {
            self.progress
        }
    }

    /// How it stands.
    pub(crate) fn report(&self, slot: u16, aborts: u64) -> TaskReport {
        TaskReport {
            task: slot,
            program: self.name,
            state: match self.state {
                State::Ended(state) => state,
                State::Empty | State::Ready | State::Sleeping(_) | State::Waiting(_) => TaskState::Alive,
            },
            bystander: self.counts,
            progress: self.progress,
            progress_at_last_abort: self.progress_at_last_abort(aborts),
            damage: self.damage,
            restarts: self.restarts.total,
            charged: self.charged,
        }
    }
}
