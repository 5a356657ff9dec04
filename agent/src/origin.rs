//! Origins: who was running when an error arrived, and whose it is.

use crate::TaskId;

/// Where an error struck. The engine derives it from the vector, the syndrome and the kernel's answers, and the floor
/// under every policy depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A task in EL0, by its own access or by an SError while it ran.
    Task(TaskId),
    /// The kernel, in a copy that may fail, of this task's memory: a synchronous abort by the instruction it came at, or
    /// an SError that was deferred between the barriers before and after the copy. One that is taken says nothing
    /// about the instruction it arrives at, and is not placed here.
    KernelCopy(TaskId),
    /// The kernel anywhere else.
    Kernel,
    /// A translation table walk for this task in EL0: the table is what is poisoned, not what the task touched.
    Walk(TaskId),
    /// An SError that was deferred, and found by an error synchronisation barrier as the kernel was entered: it belongs
    /// to what ran since the last such barrier, and that is this task.
    Border(TaskId),
    /// The kernel with no task to run.
    Idle,
    /// The kernel, as it filled a frame that nobody had: what the frame held was worth nothing to anyone. A synchronous
    /// abort by the instruction it came at.
    Fresh,
}

impl Origin {
    /// The task to which the error is charged, where there is one.
    #[inline]
    #[must_use]
    pub const fn task(self) -> Option<TaskId> {
        match self {
            Self::Task(task) | Self::KernelCopy(task) | Self::Walk(task) | Self::Border(task) => Some(task),
            Self::Kernel | Self::Idle | Self::Fresh => None,
        }
    }

    /// Its number in a journal.
    #[inline]
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Task(_) => 0,
            Self::KernelCopy(_) => 1,
            Self::Kernel => 2,
            Self::Walk(_) => 3,
            Self::Border(_) => 4,
            Self::Idle => 5,
            Self::Fresh => 6,
        }
    }

    /// The origin with this number in a journal; `None` when there is none, or when it needs a task and has none.
    #[must_use]
    pub const fn from_code(code: u8, task: Option<TaskId>) -> Option<Self> {
        match (code, task) {
            (0, Some(task)) => Some(Self::Task(task)),
            (1, Some(task)) => Some(Self::KernelCopy(task)),
            (2, None) => Some(Self::Kernel),
            (3, Some(task)) => Some(Self::Walk(task)),
            (4, Some(task)) => Some(Self::Border(task)),
            (5, None) => Some(Self::Idle),
            (6, None) => Some(Self::Fresh),
            _ => None,
        }
    }

    /// Its name, in lower case, without the task.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Task(_) => "task",
            Self::KernelCopy(_) => "kernel copy",
            Self::Kernel => "kernel",
            Self::Walk(_) => "walk",
            Self::Border(_) => "border",
            Self::Idle => "idle",
            Self::Fresh => "fresh frame",
        }
    }
}
