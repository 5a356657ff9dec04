//! Where the poison lies: from an abort's addresses to a frame that the charged task does have.

use super::{FrameOwner, Kernel, Snapshot};
use crate::journal::Flags;
use crate::syndrome::{Abort, SError};
use crate::{FrameNumber, IntermediateAddress, TaskId, VirtualAddress};

/// Where the poison lies, as far as it can be told.
pub(super) struct Trace {
    pub(super) far: Option<VirtualAddress>,
    pub(super) frame: Option<FrameNumber>,
    pub(super) owner: Option<FrameOwner>,
    pub(super) flags: Flags,
}

pub(super) const NO_TRACE: Trace = Trace {
    far: None,
    frame: None,
    owner: None,
    flags: Flags::NONE,
};

/// Follows the addresses of an SError that was taken to a frame, where its syndrome says that there are any (VFV and PFV
/// [Arm ARM D24.2.45]; one that was deferred has none). It names a frame to retire, and no access that could be made again:
/// the verdict has no FAR.
#[cold]
#[inline(never)]
pub(super) fn trace_serror(
    serror: SError,
    snapshot: &Snapshot,
    charged: Option<TaskId>,
    kernel: &impl Kernel,
) -> Trace {
    let far_valid = serror.vfv() == Some(true);
    let trace = by_address(far_valid, None, snapshot, charged, kernel);
    let trace = or_by_physical_address(trace, serror.pfv() == Some(true), snapshot, charged, kernel);
    Trace { far: None, ..trace }
}

/// The frame that was filled is known by the instruction, whether or not there is an address.
#[cold]
#[inline(never)]
pub(super) fn trace_fresh(abort: Abort, snapshot: &Snapshot, kernel: &impl Kernel) -> Trace {
    let frame = kernel.filling(VirtualAddress(snapshot.elr));
    let (far, flags) = match abort.far_valid() {
        true => (Some(VirtualAddress(snapshot.far)), Flags::FAR_VALID),
        false => (None, Flags::NONE),
    };
    Trace {
        far,
        frame,
        owner: None,
        flags: match frame {
            Some(_) => flags.with(Flags::FRAME_VALID),
            None => flags,
        },
    }
}

/// Follows the addresses of a synchronous abort to a frame.
///
/// The virtual address goes first: it says where the page is mapped. `PFAR_EL1` is asked where there is none, or where
/// it is not believed.
#[inline(always)]
pub(super) fn trace(
    abort: Abort,
    walk: Option<i8>,
    snapshot: &Snapshot,
    charged: Option<TaskId>,
    kernel: &impl Kernel,
) -> Trace {
    let trace = by_address(abort.far_valid(), walk, snapshot, charged, kernel);
    or_by_physical_address(trace, abort.pfv() == Some(true), snapshot, charged, kernel)
}

#[inline(always)]
fn or_by_physical_address(
    mut trace: Trace,
    pfar_valid: bool,
    snapshot: &Snapshot,
    charged: Option<TaskId>,
    kernel: &impl Kernel,
) -> Trace {
    if trace.owner.is_none()
        && let (Some(task), Some(pfar), true) = (charged, snapshot.pfar, pfar_valid)
    {
        match by_physical_address(pfar, task, kernel) {
            Some((frame, owner)) => {
                trace.frame = Some(frame);
                trace.owner = Some(owner);
                let shared = match owner {
                    FrameOwner::Shared => Flags::SHARED,
                    _ => Flags::NONE,
                };
                trace.flags = trace
                    .flags
                    .with(Flags::FRAME_VALID)
                    .with(Flags::FRAME_BY_PFAR)
                    .with(shared);
            }
            None => trace.flags = trace.flags.with(Flags::PFAR_NOT_BELIEVED),
        }
    }
    trace
}

/// The frame that a physical address names, if it is memory that the charged task does have.
///
/// PFAR_EL1 has an address anywhere in the granule, in bits 55:0; NS and NSE are in the top bits.
#[inline(never)]
#[cold]
fn by_physical_address(pfar: u64, task: TaskId, kernel: &impl Kernel) -> Option<(FrameNumber, FrameOwner)> {
    const ADDRESS: u64 = (1 << 56) - 1;
    let frame = FrameNumber::from_address(IntermediateAddress(pfar & ADDRESS));
    let owner = kernel.owner(frame);
    let is_its = match owner {
        FrameOwner::Task(owner) | FrameOwner::PageTable(owner) => {
            owner == task || kernel.same_space(task, owner)
        }
        FrameOwner::Shared => kernel.shares(task, frame),
        FrameOwner::Kernel | FrameOwner::Free | FrameOwner::Retired | FrameOwner::NotRam => false,
    };
    is_its.then_some((frame, owner))
}

/// Follows a virtual address to a frame.
///
/// A FAR that the syndrome calls valid is a claim, no more: KVM re-injects an abort with `FnV` clear and whatever
/// FAR the last stage 2 fault left. So the frame has to be one that the charged task does reach at that address, and
/// that is its own or shared with it; else the address is not believed, and the record says so. The task is charged
/// either way: that it met the poison is certain, only where it lies is not.
#[inline(always)]
fn by_address(
    far_valid: bool,
    walk: Option<i8>,
    snapshot: &Snapshot,
    charged: Option<TaskId>,
    kernel: &impl Kernel,
) -> Trace {
    if !far_valid {
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
    let is_its_own = |owner| owner == task || kernel.same_space(task, owner);
    let believed = match owner {
        FrameOwner::Task(owner) => walk.is_none() && is_its_own(owner),
        FrameOwner::Shared => walk.is_none(),
        // Of a table also without a walk level: KVM before Linux 6.18 does not tell an abort on a walk from another.
        FrameOwner::PageTable(owner) => is_its_own(owner),
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
        let shared = match owner {
            FrameOwner::Shared => Flags::SHARED,
            _ => Flags::NONE,
        };
        let flags = Flags::FAR_VALID.with(Flags::FRAME_VALID).with(shared);
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
