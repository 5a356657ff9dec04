//! The hooks: what the agent asks of the kernel that embeds it.

use crate::{FrameNumber, Severity, TaskId, VirtualAddress};

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

/// Whether a task wants to be told of what struck it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Handler {
    /// It has no handler.
    Absent,
    /// It has one.
    Ready,
    /// It has one, which is what was interrupted.
    Busy,
}

/// Bytes that are lost with one frame: the granule.
pub const GRANULE: u64 = 4096;

/// What a task's handler is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Notice {
    /// The address that was used, without its tag, where it is known and believed. The [`GRANULE`] around it is lost.
    pub address: Option<VirtualAddress>,
    /// The frame that was lost with it, or without an address; `None` when it is not known.
    pub frame: Option<FrameNumber>,
    /// How bad it is: restartable or recoverable.
    pub severity: Severity,
    /// The interrupted instruction can be run again once the granule has been replaced; without an address only when
    /// nothing is lost.
    pub restartable: bool,
}

/// What a kernel supplies, once.
///
/// A kernel that neither heals pages nor has handlers leaves those hooks out: they answer that there are none.
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

    /// The task whose copy ended at the barrier whose `DISR_EL1` is being judged. `Some` only if a barrier before the
    /// copy found nothing and this is the first barrier since; `None` for every other barrier in the kernel.
    #[inline]
    fn copied(&self) -> Option<TaskId> {
        None
    }

    /// The frame that the code at `elr` fills, with zeros or with anything else, for whoever gets it; `None` for all other
    /// code. Only code may be named here that touches no other memory and can be left at any instruction, and of a frame
    /// that nobody has yet: then nothing is lost but the frame. The kernel takes another in its place when it sees
    /// [`Outcome::CopyFailed`](super::Outcome::CopyFailed).
    #[inline]
    fn filling(&self, elr: VirtualAddress) -> Option<FrameNumber> {
        let _ = elr;
        None
    }

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

    /// Whether two tasks live in one address space, as threads do: then what is one's is the other's. Asked of tasks
    /// that differ.
    fn same_space(&self, task: TaskId, other: TaskId) -> bool {
        task == other
    }

    /// Which remedy `task` is to get.
    fn rule(&self, task: TaskId) -> Rule;

    /// Whether the page of `task` at `address`, which is in `frame`, can be had again as it is now: from a file, from an
    /// image, or because it is all zeros. Asked only when the interrupted code could go on with it; the frame is not a
    /// translation table.
    #[inline]
    fn heals(&self, task: TaskId, address: VirtualAddress, frame: FrameNumber) -> bool {
        let _ = (task, address, frame);
        false
    }

    /// Whether `task` has a handler for memory errors.
    #[inline]
    fn handler(&self, task: TaskId) -> Handler {
        let _ = task;
        Handler::Absent
    }

    /// Whether the instruction of `task` at `elr` may run once more, although its abort named no frame: the architecture
    /// says that nothing was lost (`SET` is UEO). A kernel that says yes keeps the number of such runs bounded, or the
    /// task may meet the same error for ever.
    #[inline]
    fn runs_again(&self, task: TaskId, elr: VirtualAddress) -> bool {
        let _ = (task, elr);
        false
    }

    /// Whether `task` maps `frame`, of which the kernel says that several tasks share it. Asked only where a physical
    /// address (`PFAR_EL1`) is all that is known.
    #[inline]
    fn shares(&self, task: TaskId, frame: FrameNumber) -> bool {
        let _ = (task, frame);
        false
    }

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

    /// Puts what was in `frame`, which is retired, into another one, and maps that where `task` has `address`: the
    /// interrupted instruction runs again. False when it could not: without memory, or when the source met poison
    /// itself. The page is then as unreachable as if it had not been tried.
    #[inline]
    fn heal(&mut self, task: TaskId, address: VirtualAddress, frame: FrameNumber) -> bool {
        let _ = (task, address, frame);
        false
    }

    /// Has `task` go on in its handler. Asked only of a task whose handler is [`Handler::Ready`]. The frame that was lost is
    /// retired by then, or, where [`tell`](super::tell) has called, later.
    #[inline]
    fn signal(&mut self, task: TaskId, notice: Notice) {
        let _ = (task, notice);
    }

    /// Notes that the instruction of `task` at `elr` runs once more, see [`runs_again`](Self::runs_again).
    #[inline]
    fn run_again(&mut self, task: TaskId, elr: VirtualAddress) {
        let _ = (task, elr);
    }
}
