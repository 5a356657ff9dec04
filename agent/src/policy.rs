//! Policies: what to do about an error. A policy chooses; the floor below it does not bend.

use crate::engine::{Cause, FrameOwner, Handler, Rule};
use crate::{Origin, Severity};

/// What is to be done, mildest first: the ladder. The numbers are part of the journal's format, and their order is the
/// order of the ladder.
#[must_use = "a decision that nobody carries out leaves the poison where it is"]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Decision {
    /// The interrupted code goes on where it was.
    CarryOn = 0,
    /// The page is had again from where it came, in another frame, and the interrupted code goes on where it was.
    Heal = 1,
    /// The kernel's copy ends with an error for its caller, or the kernel takes another frame for one that it could not
    /// fill; no task ends.
    FailCopy = 2,
    /// The charged task goes on in the handler that it registered, which knows what was lost.
    Signal = 3,
    /// The charged task begins again from its image, with fresh memory.
    Restart = 4,
    /// The charged task ends.
    Kill = 5,
    /// The charged task stops and is kept, memory and all, for inspection.
    Isolate = 6,
    /// The whole kernel stops, with an epitaph.
    Halt = 7,
}

impl Decision {
    /// The decision with this number in a journal.
    #[must_use = "the decision that a journal recorded"]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::CarryOn,
            1 => Self::Heal,
            2 => Self::FailCopy,
            3 => Self::Signal,
            4 => Self::Restart,
            5 => Self::Kill,
            6 => Self::Isolate,
            7 => Self::Halt,
            _ => return None,
        })
    }

    /// Its name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CarryOn => "carry on",
            Self::Heal => "heal",
            Self::FailCopy => "fail copy",
            Self::Signal => "signal",
            Self::Restart => "restart",
            Self::Kill => "kill",
            Self::Isolate => "isolate",
            Self::Halt => "halt",
        }
    }
}

/// All that a policy may look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// How the error was reported.
    pub cause: Cause,
    /// How bad it is, as the syndrome has it.
    pub severity: Severity,
    /// Where it struck.
    pub origin: Origin,
    /// What the charged task's owner asked for; `None` when no task is charged.
    pub rule: Option<Rule>,
    /// Whose the poisoned frame is; `None` when no frame is known, or when the address was not believed.
    pub owner: Option<FrameOwner>,
    /// What was lost is a translation table of the charged task's and not a page: the syndrome says that a walk met it, or
    /// the frame's owner does.
    pub is_table: bool,
    /// The page can be had again, and the interrupted state allows that the code goes on with it.
    pub heals: bool,
    /// Whether the charged task wants to be told.
    pub handler: Handler,
    /// The interrupted instruction has runs left, though nothing was found that could be repaired.
    pub runs_again: bool,
}

impl Case {
    /// The severity that the answer has to match.
    ///
    /// It is the syndrome's, but for one case: a *synchronous* error in restartable state. Nothing is lost, yet to run
    /// the instruction again meets the same poison again, for ever. Where the page is not healed, and where the kernel
    /// does not count such runs ([`Kernel::runs_again`](crate::Kernel::runs_again)), it is no milder than recoverable.
    /// An SError in restartable state has no such loop, and carries on.
    #[inline(always)]
    #[must_use]
    pub fn effective_severity(&self) -> Severity {
        match (self.cause, self.severity) {
            (Cause::Synchronous, Severity::Restartable) if !self.runs_again => Severity::Recoverable,
            (_, severity) => severity,
        }
    }

    /// Whether the charged task's handler can be told: there is one, it is not what was interrupted, and the state that
    /// it would go back to is exact. With a table of the task's own lost its handler would meet the same poison.
    #[inline(always)]
    #[must_use]
    pub fn can_signal(&self) -> bool {
        matches!(self.handler, Handler::Ready)
            && self.severity <= Severity::Recoverable
            && matches!(self.origin, Origin::Task(_) | Origin::Border(_))
            && !self.is_table
            && !matches!(self.owner, Some(FrameOwner::Kernel))
    }
}

/// Chooses the remedy for one case.
///
/// The answer is a wish: the engine raises it to [`floor`], and turns what cannot be done into the next worse thing
/// that can ([`enforce`]). It is asked with the kernel in the middle of an exception: it must neither block, nor
/// panic, nor print.
pub trait Policy {
    /// What is to be done about `case`, for which nothing milder than `floor` is allowed ([`floor`] was asked already, so
    /// that a policy need not).
    fn decide(&self, case: &Case, floor: Decision) -> Decision;
}

/// The mildest decision that the architecture lets anyone take. No policy goes below it.
///
/// - Corrected, or an SError in restartable state: carry on.
/// - Uncontainable, from anywhere: halt. It never returns to EL0.
/// - In the kernel's own state, or in a frame that is the kernel's: halt.
/// - As the kernel filled a frame that nobody had, where the state is precise: the filling fails, and nobody is charged.
/// - A page that can be had again, where the state is precise: heal it.
/// - In a copy that may fail: the copy fails if the state is precise. If it is not, and two barriers have confined the
///   error to the copy, what the copy brought is dropped, and the task whose memory it was is not resumed; without
///   barriers the kernel's own state is in doubt: halt. Nor is it resumed if what the copy met is one of its tables, which
///   would otherwise be met by every walk to come.
/// - A task's that has a handler, if the state is precise: signal.
/// - Any other of a task's: its state is not resumed. Restart, which begins anew, is the mildest that keeps to that.
#[inline(always)]
pub fn floor(case: &Case) -> Decision {
    match (case.effective_severity(), case.origin) {
        (Severity::Corrected | Severity::Restartable, _) => Decision::CarryOn,
        (Severity::Uncontainable, _) | (_, Origin::Kernel | Origin::Idle) => Decision::Halt,
        (Severity::Unrecoverable, Origin::KernelCopy(_)) if !matches!(case.cause, Cause::Deferred) => {
            Decision::Halt
        }
        (Severity::Unrecoverable, Origin::Fresh) => Decision::Halt,
        _ if matches!(case.owner, Some(FrameOwner::Kernel)) => Decision::Halt,
        (Severity::Recoverable, Origin::Fresh) => Decision::FailCopy,
        (Severity::Recoverable, _) if case.heals => Decision::Heal,
        (Severity::Recoverable, Origin::KernelCopy(_)) if !case.is_table => Decision::FailCopy,
        (Severity::Recoverable, _) if case.can_signal() => Decision::Signal,
        (
            Severity::Recoverable | Severity::Unrecoverable,
            Origin::Task(_) | Origin::Walk(_) | Origin::Border(_) | Origin::KernelCopy(_),
        ) => Decision::Restart,
    }
}

/// Makes a wish into what will be done: not milder than `floor`, and possible. A page is healed only where it can be, a
/// copy can only fail where there is one, only a handler that is there is told, and only a charged task can be ended.
#[inline(always)]
pub fn enforce(case: &Case, floor: Decision, wish: Decision) -> Decision {
    let raised = wish.max(floor);
    match (raised, case.origin) {
        (Decision::CarryOn | Decision::Halt, _) => raised,
        (Decision::FailCopy, Origin::KernelCopy(_)) if !case.is_table => raised,
        (Decision::FailCopy, Origin::Fresh) => raised,
        (Decision::Heal, _) if case.heals => raised,
        (Decision::Heal, Origin::KernelCopy(_)) if !case.is_table => Decision::FailCopy,
        (_, Origin::Kernel | Origin::Idle | Origin::Fresh) => Decision::Halt,
        (Decision::Heal | Decision::FailCopy | Decision::Signal, _) if case.can_signal() => Decision::Signal,
        (Decision::Heal | Decision::FailCopy | Decision::Signal, _) => Decision::Kill,
        (Decision::Restart | Decision::Kill | Decision::Isolate, _) => raised,
    }
}

/// Does what each task's owner asked for, and never more than the error calls for: the policy to start from. A second
/// error in a task's handler kills the task, whatever was asked for: what was to deal with errors is itself lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByRule;

impl Policy for ByRule {
    #[inline(always)]
    fn decide(&self, case: &Case, floor: Decision) -> Decision {
        match floor {
            // Whatever the task's owner asked for, nothing has happened to it, or what it asked for itself.
            mild @ (Decision::CarryOn | Decision::Heal | Decision::FailCopy | Decision::Signal) => mild,
            _ => match (case.rule, case.handler) {
                (None, _) => Decision::Halt,
                (Some(Rule::Kill | Rule::Restart { left: 0 }), _) | (_, Handler::Busy) => Decision::Kill,
                (Some(Rule::Isolate), _) => Decision::Isolate,
                (Some(Rule::Restart { .. }), _) => Decision::Restart,
            },
        }
    }
}

/// Stops the machine on anything worse than a corrected error: for a kernel that would rather fail over than degrade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strict;

impl Policy for Strict {
    #[inline]
    fn decide(&self, case: &Case, _: Decision) -> Decision {
        if case.severity > Severity::Corrected {
            Decision::Halt
        } else {
            Decision::CarryOn
        }
    }
}
