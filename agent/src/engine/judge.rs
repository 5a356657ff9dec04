//! The judgement: from a snapshot and the kernel's answers to a verdict. Nothing here changes anything.

use super::trace::{NO_TRACE, Trace, trace, trace_fresh, trace_serror};
use super::{Cause, Handler, Kernel, Level, Running, Snapshot};
use crate::journal::Flags;
use crate::policy::{Case, Policy, enforce, floor};
use crate::syndrome::{Abort, Disr, Esr, SError};
use crate::{Decision, FrameNumber, FrameOwner, Origin, Severity, TaskId, VirtualAddress};

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
    /// What is to be done where the decision is to heal, and that cannot be carried out; else the decision.
    pub otherwise: Decision,
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
    let trace = match (finding.abort, finding.serror) {
        (Some(abort), _) if matches!(origin, Origin::Fresh) => trace_fresh(abort, snapshot, kernel),
        (Some(abort), _) => trace(abort, finding.walk, snapshot, charged, kernel),
        (None, Some(serror)) => trace_serror(serror, snapshot, charged, kernel),
        (None, None) => NO_TRACE,
    };
    Some(verdict(
        snapshot, &finding, running, origin, &trace, kernel, policy,
    ))
}

#[inline(always)]
fn verdict(
    snapshot: &Snapshot,
    finding: &Finding,
    running: Running,
    origin: Origin,
    trace: &Trace,
    kernel: &impl Kernel,
    policy: &impl Policy,
) -> Verdict {
    let charged = origin.task();
    let mut case = Case {
        cause: finding.cause,
        severity: finding.severity,
        origin,
        rule: charged.map(|task| kernel.rule(task)),
        owner: trace.owner,
        is_table: finding.walk.is_some() || matches!(trace.owner, Some(FrameOwner::PageTable(_))),
        heals: false,
        handler: charged.map_or(Handler::Absent, |task| kernel.handler(task)),
        runs_again: runs_again(snapshot, finding, origin, trace, kernel),
    };
    let otherwise = decide(&case, policy);
    case.heals = heals(&case, trace, kernel);
    let decision = if case.heals {
        decide(&case, policy)
    } else {
        otherwise
    };
    let pfar = match snapshot.pfar.is_some() && finding.has_pfar() {
        true => Flags::PFAR_VALID,
        false => Flags::NONE,
    };
    Verdict {
        severity: finding.severity,
        origin,
        charged,
        running,
        frame: trace.frame,
        far: trace.far,
        decision,
        otherwise,
        cause: finding.cause,
        flags: trace.flags.with(pfar),
    }
}

/// The verdict of [`judge`], sooner, for the abort that comes most often: of a task's access to a page of its own, in
/// recoverable state, by the synchronous vector. `None` for every other one, and [`judge`] is to be asked.
///
/// For a kernel whose abort path counts instructions: what is known of this abort beforehand is not looked at again.
#[inline(always)]
#[must_use]
pub fn judge_plain(snapshot: &Snapshot, kernel: &impl Kernel, policy: &impl Policy) -> Option<Verdict> {
    let (Cause::Synchronous, Level::El0, Running::Task(task), Some(abort)) = (
        snapshot.cause,
        snapshot.from,
        kernel.running(),
        Esr(snapshot.esr).plain_abort(),
    ) else {
        return None;
    };
    let far = VirtualAddress(snapshot.far);
    let frame = kernel.frame_at(task, far.untagged())?;
    let owner = FrameOwner::Task(task);
    if kernel.owner(frame) != owner {
        return None;
    }
    let finding = Finding {
        cause: Cause::Synchronous,
        severity: Severity::Recoverable,
        abort: Some(abort),
        walk: None,
        serror: None,
    };
    let trace = Trace {
        far: Some(far),
        frame: Some(frame),
        owner: Some(owner),
        flags: Flags::FAR_VALID.with(Flags::FRAME_VALID),
    };
    Some(verdict(
        snapshot,
        &finding,
        Running::Task(task),
        Origin::Task(task),
        &trace,
        kernel,
        policy,
    ))
}

/// The same for the SError that an operating system can do something about: in recoverable state, of a task in EL0.
/// `None` for every other one, and [`judge`] is to be asked.
#[inline(always)]
#[must_use]
pub fn judge_plain_serror(
    snapshot: &Snapshot,
    kernel: &impl Kernel,
    policy: &impl Policy,
) -> Option<Verdict> {
    let (Cause::SError, Level::El0, true, Running::Task(task), Some(serror)) = (
        snapshot.cause,
        snapshot.from,
        snapshot.ras,
        kernel.running(),
        Esr(snapshot.esr).plain_serror(),
    ) else {
        return None;
    };
    let finding = Finding {
        cause: Cause::SError,
        severity: Severity::Recoverable,
        abort: None,
        walk: None,
        serror: Some(serror),
    };
    Some(verdict(
        snapshot,
        &finding,
        Running::Task(task),
        Origin::Task(task),
        &NO_TRACE,
        kernel,
        policy,
    ))
}

#[inline(always)]
fn decide(case: &Case, policy: &impl Policy) -> Decision {
    let mildest = floor(case);
    enforce(case, mildest, policy.decide(case, mildest))
}

/// Whether the poisoned page can be had again. A table cannot, an imprecise state could not go on with the page, and a
/// frame that only a physical address names is not known to be the page at the virtual one.
#[inline(always)]
fn heals(case: &Case, trace: &Trace, kernel: &impl Kernel) -> bool {
    let (Some(task), Some(far), Some(frame)) = (case.origin.task(), trace.far, trace.frame) else {
        return false;
    };
    case.severity <= Severity::Recoverable
        && !case.is_table
        && !trace.flags.contains(Flags::FRAME_BY_PFAR)
        && !matches!(case.owner, Some(FrameOwner::Kernel))
        && kernel.heals(task, far.untagged(), frame)
}

/// Whether an instruction that lost nothing, and whose error has no place, may be tried once more.
#[inline(always)]
fn runs_again(
    snapshot: &Snapshot,
    finding: &Finding,
    origin: Origin,
    trace: &Trace,
    kernel: &impl Kernel,
) -> bool {
    match (finding.cause, finding.severity, origin, trace.owner) {
        (Cause::Synchronous, Severity::Restartable, Origin::Task(task), None) => {
            kernel.runs_again(task, VirtualAddress(snapshot.elr))
        }
        _ => false,
    }
}

/// What the syndrome alone says.
struct Finding {
    cause: Cause,
    severity: Severity,
    /// The abort, when it is one.
    abort: Option<Abort>,
    /// The level of the walk that the abort came on.
    walk: Option<i8>,
    /// The SError that was taken, when it says that it is one.
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
        Cause::Synchronous | Cause::Deferred | Cause::Patrol => None,
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
            Cause::Synchronous | Cause::SError | Cause::Patrol => Origin::Task(task),
        },
        (Level::El1, _, Some(_)) => match kernel.copying_for(VirtualAddress(snapshot.elr)) {
            Some(task) => Origin::KernelCopy(task),
            // On a walk it is a table of the kernel's own that is lost.
            None if finding.walk.is_none() && kernel.filling(VirtualAddress(snapshot.elr)).is_some() => {
                Origin::Fresh
            }
            None => at_el1(running),
        },
        // What a barrier around a copy found came while the copy ran; what is taken says nothing of where it arose.
        (Level::El1, _, None) if matches!(finding.cause, Cause::Deferred) => match kernel.copied() {
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
