//! Reports of errors that nobody has consumed: what a patrol scrubber finds before anyone touches it.
//!
//! Nothing was lost yet, so nobody is interrupted and nobody ends. The frame goes out of use now, while there is time:
//! a free one just leaves the allocator; what can be had again is, in another frame; what can be read still, and only
//! fails, is moved. Of what cannot be had again the mapping is taken away: whoever touches it later meets no poison, and
//! is told. What the kernel itself stands on, and a task's translation tables, stay in use until they are given back or
//! consumed: to take them away would do now what the error may never do.

use super::{Cause, FrameOwner, Kernel, Level, Running};
use crate::journal::{AbortRecord, Flags, Journal};
use crate::{Decision, FrameNumber, Ledger, Origin, Recorded, Severity, TaskId, VirtualAddress};

/// One report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The frame.
    pub frame: FrameNumber,
    /// It can be read still: its errors were corrected so far, and are too many.
    pub failing: bool,
    /// The counter of [`Kernel::now`] as the report was taken; 0 when the cost is not measured.
    pub entered: u64,
    /// `CNTVCT_EL0`, in its own ticks.
    pub time: u64,
}

/// What a kernel supplies to answer reports. None of it is on the way of an abort.
pub trait Patrolled: Kernel {
    /// A task that maps `frame`, and where: its owner, or the first of those that share it.
    fn mapped_at(&self, frame: FrameNumber) -> Option<(TaskId, VirtualAddress)>;

    /// Moves what is in `frame`, which `task` maps at `address`, to another frame, and maps that in its place; the old one is
    /// retired next. It may turn out to be poisoned as it is read: false then, or without memory, and nothing has changed.
    fn migrate(&mut self, task: TaskId, address: VirtualAddress, frame: FrameNumber) -> bool;

    /// Takes `frame`, which is retired by now, away from every task that maps it, `task` at `address` among them: a later
    /// touch is answered by the kernel, as that of a page that was lost.
    fn withdraw(&mut self, task: TaskId, address: VirtualAddress, frame: FrameNumber);

    /// Notes that `frame`, which stays in use, is to be retired when it is given back.
    fn condemn(&mut self, frame: FrameNumber);
}

/// What came of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Corrected for a failing frame, restartable for one whose content is lost and was not consumed.
    pub severity: Severity,
    /// Heal when the page is mapped again, in another frame; else carry on.
    pub decision: Decision,
}

/// Answers a report, and writes the record. Nobody is charged.
pub fn report(
    report: &Report,
    kernel: &mut impl Patrolled,
    ledger: &mut Ledger<'_>,
    journal: &mut Journal<'_>,
) -> Answered {
    let frame = report.frame;
    let owner = kernel.owner(frame);
    let mut flags = match owner {
        FrameOwner::NotRam => Flags::NONE,
        _ => Flags::FRAME_VALID,
    };
    let mut answered = Answered {
        // A latent error, which the Arm RAS architecture counts with the restartable ones.
        severity: Severity::Restartable,
        decision: Decision::CarryOn,
    };
    match owner {
        FrameOwner::NotRam | FrameOwner::Retired => {}
        FrameOwner::Free => flags = flags.with(retire(frame, kernel, ledger)),
        FrameOwner::Kernel | FrameOwner::PageTable(_) => kernel.condemn(frame),
        FrameOwner::Task(_) | FrameOwner::Shared => {
            let place = kernel.mapped_at(frame);
            let moves = |(task, address)| report.failing && kernel.migrate(task, address, frame);
            if place.is_some_and(moves) {
                answered.severity = Severity::Corrected;
                answered.decision = Decision::Heal;
                flags = flags.with(retire(frame, kernel, ledger));
            } else {
                if report.failing {
                    flags = flags.with(Flags::MIGRATION_FAILED);
                }
                let heals = place.is_some_and(|(task, address)| kernel.heals(task, address, frame));
                flags = flags.with(retire(frame, kernel, ledger));
                if let Some((task, address)) = place {
                    if heals && kernel.heal(task, address, frame) {
                        answered.decision = Decision::Heal;
                    } else {
                        if heals {
                            flags = flags.with(Flags::HEAL_FAILED);
                        }
                        kernel.withdraw(task, address, frame);
                    }
                }
            }
        }
    }
    if report.failing && !flags.contains(Flags::MIGRATION_FAILED) {
        answered.severity = Severity::Corrected;
    }
    write(report, &answered, flags, kernel, journal);
    answered
}

fn retire(frame: FrameNumber, kernel: &mut impl Kernel, ledger: &mut Ledger<'_>) -> Flags {
    let flags = match ledger.record(frame) {
        Recorded::New => Flags::NEW_FRAME,
        Recorded::Known => return Flags::NONE,
        Recorded::Full => Flags::LEDGER_FULL,
    };
    kernel.retire(frame);
    flags
}

fn write(
    report: &Report,
    answered: &Answered,
    flags: Flags,
    kernel: &impl Kernel,
    journal: &mut Journal<'_>,
) {
    let running = kernel.running();
    journal.append_abort(&AbortRecord {
        cause: Cause::Patrol,
        from: Level::El1,
        severity: answered.severity,
        // It was the kernel that asked, and nobody is charged.
        origin: match running {
            Running::Task(_) => Origin::Kernel,
            Running::Idle => Origin::Idle,
        },
        running,
        decision: answered.decision,
        flags,
        esr: 0,
        far: 0,
        elr: 0,
        spsr: 0,
        disr: 0,
        pfar: 0,
        frame: flags.contains(Flags::FRAME_VALID).then_some(report.frame),
        time: report.time,
        cost: match report.entered {
            0 => 0,
            entered => kernel.now().wrapping_sub(entered),
        },
    });
}
