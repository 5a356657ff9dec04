//! The hooks: what the agent asks of the kernel that embeds it.

use crate::{FrameNumber, TaskId, VirtualAddress};

/// What the PE was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Running {
    /// This task, in EL0 or in the kernel on its behalf.
    Task(TaskId),
    /// No task.
    Idle,
}

/// Whose a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameOwner {
    /// This task's memory.
    Task(TaskId),
    /// A translation table of this task.
    PageTable(TaskId),
    /// Memory that several tasks map, the one asked about among them.
    Shared,
    /// The kernel's own: code, data, its tables.
    Kernel,
    /// In the allocator.
    Free,
    /// Retired before.
    Retired,
    /// Not RAM that the kernel manages: a device, or nothing.
    NotRam,
}

/// The remedy that a task's owner asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// End the task.
    Kill,
    /// Stop it and keep it.
    Isolate,
    /// Begin it again, as long as there are restarts left.
    Restart {
        /// How many more restarts the owner allows.
        left: u32,
    },
}

/// What a kernel supplies, once.
///
/// All of it is called in the middle of an exception, on the emergency way: nothing here may allocate, wait for a lock
/// that the interrupted code could hold, print, or touch the poisoned frame. The questions change nothing and may be
/// asked in any order and more than once. The actions always succeed as far as the agent is concerned: what cannot be
/// done at once is noted by the kernel and done later.
pub trait Kernel {
    /// What runs on this PE. For an SError found at the border: what ran before it.
    fn running(&self) -> Running;

    /// For which task the code at `elr` copies, if it is a copy that may fail; `None` for all other code. Only code
    /// that can be left at any instruction may be named here: it holds nothing that its error path does not give back.
    fn copying_for(&self, elr: VirtualAddress) -> Option<TaskId>;

    /// The frame that `task` reaches from EL0 at `address`, by the kernel's own books or its tables. `None` for an
    /// address that the task cannot reach, kernel addresses among them: the agent relies on it to tell a stale FAR.
    ///
    /// A kernel that follows its tables for the answer reads them so that it survives an abort, and then answers with
    /// the table that aborted: a hypervisor may report an abort on a walk as one of the access (KVM before Linux 6.18).
    fn frame_at(&self, task: TaskId, address: VirtualAddress) -> Option<FrameNumber>;

    /// The frame of the table that a walk for `task` to `address` reads at `level` (−2 to 3, as the syndrome counts
    /// them). It must come from the books, or from reading tables above that level only: the table itself is poisoned.
    fn table_at(&self, task: TaskId, address: VirtualAddress, level: i8) -> Option<FrameNumber>;

    /// Whose `frame` is.
    fn owner(&self, frame: FrameNumber) -> FrameOwner;

    /// Which remedy `task` is to get.
    fn rule(&self, task: TaskId) -> Rule;

    /// The counter by which costs are measured: instructions or cycles, the same as [`Snapshot::entered`].
    ///
    /// [`Snapshot::entered`]: super::Snapshot::entered
    fn now(&self) -> u64;

    /// Takes `frame` out of use for good: no mapping of it is left in any task, and the allocator never hands it out.
    /// Its content is not read, not even to clear it. Called once for each frame as long as the ledger has room; when
    /// the ledger is full it may come again for the same frame, and is then to do nothing.
    fn retire(&mut self, frame: FrameNumber);

    /// Ends `task`: it never runs again, and its sound memory is free.
    fn kill(&mut self, task: TaskId);

    /// Stops `task`: it never runs again, and its memory stays.
    fn isolate(&mut self, task: TaskId);

    /// Begins `task` again from its image, with fresh memory, and counts it against the task's limit.
    fn restart(&mut self, task: TaskId);

    /// Lets the copy for `task` end with an error. The kernel goes on at the copy's error path when it sees
    /// [`Outcome::CopyFailed`](super::Outcome::CopyFailed).
    fn fail_copy(&mut self, task: TaskId);
}
