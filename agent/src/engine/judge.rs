//! The judgement: from a snapshot and the kernel's answers to a verdict. Nothing here changes anything.

use super::{Cause, FrameOwner, Kernel, Level, Running, Snapshot};
use crate::journal::Flags;
use crate::policy::{Case, Policy, enforce, floor};
use crate::syndrome::{Abort, Disr, Esr, SError};
use crate::{Decision, FrameNumber, Origin, Severity, TaskId, VirtualAddress};

/// What is known about one memory error, and what is to be done about it.
#[must_use = "a verdict that is not applied leaves the poison where it is"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How bad it is.
    pub severity: Severity,
    /// Where it struck.
    pub origin: Origin,
    /// The task that it is charged to.
    pub charged: Option<TaskId>,
    /// What the PE was doing.
    pub running: Running,
    /// The poisoned frame, where it is known and believed. Frames that are the kernel's are named too: the record
    /// has them, and the decision is then to halt.
    pub frame: Option<FrameNumber>,
    /// The address that was used, as `FAR_EL1` has it; `None` when the syndrome says that it is not valid, and for
    /// SErrors.
    pub far: Option<VirtualAddress>,
    /// What is to be done.
    pub decision: Decision,
    /// How it was reported. A synchronous abort that `SCTLR2_ELx.EASE` sent to the SError vector is synchronous here.
    pub cause: Cause,
    /// What the record will say besides.
    pub flags: Flags,
}

/// Judges one abort.
///
/// `None` when it is no memory error at all, a translation fault for one, or when nothing was deferred: the kernel
/// goes on as it does for every other exception. Everything that comes through the SError vector is an error; if its
/// syndrome does not even say SError, it is an uncontainable one.
#[inline(always)]
#[must_use]
pub fn judge(snapshot: &Snapshot, kernel: &impl Kernel, policy: &impl Policy) -> Option<Verdict> {
    let finding = find(snapshot)?;
    let running = kernel.running();
    let origin = place(snapshot, &finding, running, kernel);
    let charged = origin.task();
    let trace = match finding.abort {
        Some(abort) => trace(abort, finding.walk, snapshot, charged, kernel),
        None => NO_TRACE,
    };
    let case = Case {
        cause: finding.cause,
        severity: finding.severity,
        origin,
        rule: charged.map(|task| kernel.rule(task)),
        owner: trace.owner,
    };
    let mildest = floor(&case);
    let decision = enforce(&case, mildest, policy.decide(&case, mildest));
    let pfar = match snapshot.pfar.is_some() && finding.has_pfar() {
        true => Flags::PFAR_VALID,
        false => Flags::NONE,
    };
    Some(Verdict {
        severity: finding.severity,
        origin,
        charged,
        running,
        frame: trace.frame,
        far: trace.far,
        decision,
        cause: finding.cause,
        flags: trace.flags.with(pfar),
    })
}

/// What the syndrome alone says.
struct Finding {
    cause: Cause,
    severity: Severity,
    /// The abort, when it is one: asynchronous errors have no address to follow.
    abort: Option<Abort>,
    /// The level of the walk that the abort came on.
    walk: Option<i8>,
    serror: Option<SError>,
}

impl Finding {
    /// Whether the syndrome says that PFAR is valid.
    #[inline(always)]
    fn has_pfar(&self) -> bool {
        match (self.abort, self.serror) {
            (Some(abort), _) => matches!(abort.pfv(), Some(true)),
            (None, Some(serror)) => matches!(serror.pfv(), Some(true)),
            (None, None) => false,
        }
    }
}

#[inline(always)]
fn find(snapshot: &Snapshot) -> Option<Finding> {
    let asynchronous = |severity| Finding {
        cause: snapshot.cause,
        severity,
        abort: None,
        walk: None,
        serror: None,
    };
    if matches!(snapshot.cause, Cause::Deferred) {
        let severity = Severity::of_disr(Disr(snapshot.disr), snapshot.ras)?;
        return Some(asynchronous(severity));
    }
    let esr = Esr(snapshot.esr);
    // The class counts more than the vector: FEAT_DoubleFault2 takes synchronous external aborts to the SError vector
    // while SCTLR2_ELx.EASE is set.
    if let Some(abort) = esr.abort()
        && let Some(severity) = Severity::of_abort(abort, snapshot.ras)
    {
        return Some(Finding {
            cause: Cause::Synchronous,
            severity,
            abort: Some(abort),
            walk: abort.walk_level(),
            serror: None,
        });
    }
    if let Some(serror) = esr.serror() {
        let severity = Severity::of_serror(serror, snapshot.ras);
        return Some(Finding {
            cause: Cause::SError,
            severity,
            abort: None,
            walk: None,
            serror: Some(serror),
        });
    }
    match snapshot.cause {
        Cause::SError => Some(asynchronous(Severity::Uncontainable)),
        Cause::Synchronous | Cause::Deferred => None,
    }
}

/// Finds whose the error is. A contradiction (EL0, yet nothing was running) is the kernel's: its books are wrong.
#[inline(always)]
fn place(snapshot: &Snapshot, finding: &Finding, running: Running, kernel: &impl Kernel) -> Origin {
    match (snapshot.from, running, finding.abort) {
        (Level::El0, Running::Idle, _) => Origin::Kernel,
        (Level::El0, Running::Task(task), Some(_)) => match finding.walk {
            Some(_) => Origin::Walk(task),
            None => Origin::Task(task),
        },
        (Level::El0, Running::Task(task), None) => match finding.cause {
            Cause::Deferred => Origin::Border(task),
            Cause::Synchronous | Cause::SError => Origin::Task(task),
        },
        (Level::El1, _, Some(_)) => match kernel.copying_for(VirtualAddress(snapshot.elr)) {
            Some(task) => Origin::KernelCopy(task),
            None => at_el1(running),
        },
        (Level::El1, _, None) => at_el1(running),
    }
}

#[inline]
const fn at_el1(running: Running) -> Origin {
    match running {
        Running::Task(_) => Origin::Kernel,
        Running::Idle => Origin::Idle,
    }
}

/// Where the poison lies, as far as it can be told.
struct Trace {
    far: Option<VirtualAddress>,
    frame: Option<FrameNumber>,
    owner: Option<FrameOwner>,
    flags: Flags,
}

const NO_TRACE: Trace = Trace {
    far: None,
    frame: None,
    owner: None,
    flags: Flags::NONE,
};

/// Follows the address of a synchronous abort to a frame.
///
/// A FAR that the syndrome calls valid is a claim, no more: KVM re-injects an abort with `FnV` clear and whatever
/// FAR the last stage 2 fault left. So the frame has to be one that the charged task does reach at that address, and
/// that is its own or shared with it; else the address is not believed, and the record says so. The task is charged
/// either way: that it met the poison is certain, only where it lies is not.
#[inline(always)]
fn trace(
    abort: Abort,
    walk: Option<i8>,
    snapshot: &Snapshot,
    charged: Option<TaskId>,
    kernel: &impl Kernel,
) -> Trace {
    if !abort.far_valid() {
        return NO_TRACE;
    }
    let far = Some(VirtualAddress(snapshot.far));
    let Some(task) = charged else {
        // The kernel's own address: it halts, and has nothing to retire.
        return Trace {
            far,
            flags: Flags::FAR_VALID,
            ..NO_TRACE
        };
    };
    let doubted = Trace {
        far,
        flags: Flags::FAR_VALID.with(Flags::FAR_NOT_BELIEVED),
        ..NO_TRACE
    };
    let address = VirtualAddress(snapshot.far).untagged();
    let frame = match walk {
        Some(level) => kernel.table_at(task, address, level),
        None => kernel.frame_at(task, address),
    };
    let Some(frame) = frame else {
        return doubted;
    };
    let owner = kernel.owner(frame);
    let believed = match owner {
        FrameOwner::Task(owner) => walk.is_none() && owner == task,
        FrameOwner::Shared => walk.is_none(),
        // Of a table also without a walk level: KVM before Linux 6.18 does not tell an abort on a walk from another.
        FrameOwner::PageTable(owner) => owner == task,
        FrameOwner::Kernel | FrameOwner::Retired => true,
        FrameOwner::Free => false,
        // A device: the address may well be true, and there is no memory to retire.
        FrameOwner::NotRam => {
            return Trace {
                far,
                frame: None,
                owner: Some(owner),
                flags: Flags::FAR_VALID,
            };
        }
    };
    if believed {
        let flags = Flags::FAR_VALID.with(Flags::FRAME_VALID);
        Trace {
            far,
            frame: Some(frame),
            owner: Some(owner),
            flags,
        }
    } else {
        doubted
    }
}
