//! The engine: collect, judge, apply.
//!
//! The vector collects a [`Snapshot`]. [`judge`] makes a [`Verdict`] of it and changes nothing. [`apply`] is the only
//! place where anything changes, and it is one `match`.

mod judge;
mod kernel;
mod report;
mod snapshot;
mod trace;

pub use judge::{Verdict, judge, judge_plain, judge_plain_serror};
pub use kernel::{FrameOwner, GRANULE, Handler, Kernel, Notice, Rule, Running};
pub use report::{Answered, Patrolled, Report, report};
pub use snapshot::{Cause, Level, Snapshot};

use crate::journal::{AbortRecord, Flags, Journal};
use crate::{Decision, FrameNumber, Ledger, Origin, Recorded, Severity, VirtualAddress};

/// What the kernel has to do next.
#[must_use = "the interrupted code may not be the one to return to"]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Return to the interrupted code; when that was a copy, it is made again.
    Resume,
    /// The charged task no longer runs, or begins anew: pick the next one. When the kernel was interrupted, what it did
    /// for the task is abandoned.
    Reschedule,
    /// Go on at the error path of the copy that was interrupted, or with another frame for the one that was filled.
    CopyFailed,
    /// Go on in the charged task's handler.
    Signalled,
    /// Stop everything, with an epitaph. The record is in the journal.
    Halt,
}

/// Carries out a verdict: retires the frame, does what was decided, and writes the record.
///
/// A page that cannot be healed after all gets what the verdict has for that, and the verdict says so from then on.
///
/// The frame goes first, so that neither a restarted task nor a healed page can be given it again. Before a halt nothing is retired: the
/// kernel's own state is in doubt, and every hook that runs on it may make things worse; the record has the frame.
#[inline(always)]
pub fn apply(
    verdict: &mut Verdict,
    snapshot: &Snapshot,
    kernel: &mut impl Kernel,
    ledger: &mut Ledger<'_>,
    journal: &mut Journal<'_>,
) -> Outcome {
    let mut flags = verdict.flags;
    if let Some(frame) = verdict.frame
        && verdict.decision != Decision::Halt
    {
        flags = flags.with(take_out(frame, kernel, ledger));
    }
    if verdict.decision == Decision::Heal && !heal(verdict, kernel) {
        flags = flags.with(Flags::HEAL_FAILED);
        verdict.decision = verdict.otherwise;
    }
    let outcome = match (verdict.decision, verdict.charged) {
        (Decision::CarryOn, charged) => {
            if let (Some(task), Cause::Synchronous) = (charged, verdict.cause) {
                kernel.run_again(task, VirtualAddress(snapshot.elr));
            }
            Outcome::Resume
        }
        (Decision::Heal, _) => Outcome::Resume,
        (Decision::FailCopy, Some(task)) => {
            kernel.fail_copy(task);
            Outcome::CopyFailed
        }
        (Decision::FailCopy, None) if matches!(verdict.origin, Origin::Fresh) => Outcome::CopyFailed,
        (Decision::Signal, Some(task)) => {
            kernel.signal(task, notice(verdict));
            Outcome::Signalled
        }
        (Decision::Restart, Some(task)) => {
            kernel.restart(task);
            Outcome::Reschedule
        }
        (Decision::Kill, Some(task)) => {
            kernel.kill(task);
            Outcome::Reschedule
        }
        (Decision::Isolate, Some(task)) => {
            kernel.isolate(task);
            Outcome::Reschedule
        }
        // A verdict of `judge` charges a task wherever one is to be ended; one made by hand may not.
        (Decision::Halt, _) | (_, None) => Outcome::Halt,
    };
    let cost = cost(snapshot, kernel);
    journal.append_abort(&record(verdict, snapshot, flags, cost));
    outcome
}

/// Carries out a verdict whose decision is to signal, but for the books: the frame is not yet retired, and there is no
/// record. `None`, and nothing is done, for every other decision.
///
/// For a kernel that wants a task's handler to begin soon. Until [`book`] was called no frame may be handed out and no
/// other task may run: a kernel calls it first thing whenever it is entered again. Here [`Kernel::signal`] is called before
/// [`Kernel::retire`], and not after it as by [`apply`].
#[inline(always)]
pub fn tell(verdict: &Verdict, snapshot: &Snapshot, kernel: &mut impl Kernel) -> Option<Unbooked> {
    let (Decision::Signal, Some(task)) = (verdict.decision, verdict.charged) else {
        return None;
    };
    kernel.signal(task, notice(verdict));
    let cost = cost(snapshot, kernel);
    Some(Unbooked(record(verdict, snapshot, verdict.flags, cost)))
}

/// What [`tell`] left to be done.
#[must_use = "the frame is to be retired, and the abort to be recorded"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unbooked(AbortRecord);

/// Does what [`tell`] left: the frame is retired, and the record is written. Gives the record.
pub fn book(
    unbooked: Unbooked,
    kernel: &mut impl Kernel,
    ledger: &mut Ledger<'_>,
    journal: &mut Journal<'_>,
) -> AbortRecord {
    let Unbooked(mut record) = unbooked;
    if let Some(frame) = record.frame {
        record.flags = record.flags.with(take_out(frame, kernel, ledger));
    }
    journal.append_abort(&record);
    record
}

/// Takes a frame out of use, once; what the record is to say of it.
#[inline(always)]
fn take_out(frame: FrameNumber, kernel: &mut impl Kernel, ledger: &mut Ledger<'_>) -> Flags {
    match ledger.record(frame) {
        Recorded::New => {
            kernel.retire(frame);
            Flags::NEW_FRAME
        }
        Recorded::Known => Flags::NONE,
        // Not remembered, so it may be retired twice; better than not at all.
        Recorded::Full => {
            kernel.retire(frame);
            Flags::LEDGER_FULL
        }
    }
}

#[inline(always)]
fn cost(snapshot: &Snapshot, kernel: &impl Kernel) -> u64 {
    match snapshot.entered {
        0 => 0,
        entered => kernel.now().wrapping_sub(entered),
    }
}

/// Has the page of a verdict put into another frame; false when there is none, or when it could not be.
#[inline(always)]
fn heal(verdict: &Verdict, kernel: &mut impl Kernel) -> bool {
    match (verdict.charged, verdict.far, verdict.frame) {
        (Some(task), Some(far), Some(frame)) => kernel.heal(task, far.untagged(), frame),
        _ => false,
    }
}

/// What the charged task's handler is told. An address that is not believed is none.
#[inline(always)]
fn notice(verdict: &Verdict) -> Notice {
    let address = match verdict.flags.contains(Flags::FAR_NOT_BELIEVED) {
        true => None,
        false => verdict.far.map(VirtualAddress::untagged),
    };
    Notice {
        address,
        frame: verdict.frame,
        severity: verdict.severity,
        restartable: verdict.severity <= Severity::Restartable || address.is_some(),
    }
}

#[inline(always)]
const fn record(verdict: &Verdict, snapshot: &Snapshot, flags: Flags, cost: u64) -> AbortRecord {
    AbortRecord {
        cause: verdict.cause,
        from: snapshot.from,
        severity: verdict.severity,
        origin: verdict.origin,
        running: verdict.running,
        decision: verdict.decision,
        flags,
        esr: snapshot.esr,
        far: snapshot.far,
        elr: snapshot.elr,
        spsr: snapshot.spsr,
        disr: snapshot.disr,
        pfar: match snapshot.pfar {
            Some(pfar) => pfar,
            None => 0,
        },
        frame: verdict.frame,
        time: snapshot.time,
        cost,
    }
}
