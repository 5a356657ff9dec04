//! Copies between the kernel and tasks' memory, each of which may fail.
//!
//! [Arm ARM D20.4.2.1] Each copy lies between two barriers: what the first finds was there before and is the kernel's,
//! what the second finds came with the copy, and is charged to the task whose memory it was, whoever asked for the copy.
//! An abort in the middle comes to the same task by its instruction; it is dealt with first.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use core::ops::Range;

use seawall_agent::engine::{Level, Outcome, Snapshot};
use seawall_agent::{Esr, FrameNumber, IntermediateAddress, TaskId, VirtualAddress};
use seawall_firmware::calls::{ABOUT_BYTES, FAILED, MEMORY_ERROR, PEEK_BYTES};
use seawall_firmware::frames::Holder;
use seawall_firmware::leaf::Leaf;
use seawall_firmware::native;
use seawall_replay::report::TaskState;

use super::call::nanoseconds;
use super::task::State;
use super::{Guest, Kernel, recover};
use crate::arch::guarded::{self, Walk};
use crate::arch::{entry, registers, tables, timer};

/// A copy that met a page which could be had again, or could be made writable, is made again; a piece lies in two pages at
/// most.
const MOST_TRIES: u32 = 3;
const IN_PAGE: u64 = 4095;
const PAGE: usize = 4096;

/// Why a copy ended early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// The address is not the task's to read or write.
    Address,
    /// A memory error.
    Poison,
    /// A memory error, and the page is sound again: the copy may be made once more.
    Healed,
    /// A page that the task may write and had not written: now it is writable, and the copy may be made once more.
    Unwritten,
}

impl Refusal {
    /// What the call gives.
    pub(super) const fn result(self) -> u64 {
        match self {
            Self::Address | Self::Unwritten => FAILED,
            Self::Poison | Self::Healed => MEMORY_ERROR,
        }
    }
}

/// A copy: whose memory, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copying {
    /// The task whose memory it is.
    pub(super) task: TaskId,
    /// Where in the task's space; once it has aborted, where that was.
    pub(super) address: VirtualAddress,
    /// The frame that the copy reaches by the linear map.
    alias: Option<FrameNumber>,
    /// It is the kernel's own, from a program's image, so that a page can be had again.
    pub(super) heals: bool,
}

impl Copying {
    /// A copy that is to have a task's page again, in this frame.
    pub(super) const fn to_heal(task: u16, address: VirtualAddress, to: FrameNumber) -> Self {
        Self {
            task: TaskId(task),
            address,
            alias: Some(to),
            heals: true,
        }
    }

    /// A copy of a task's page that is to be moved out of this frame while it can be read.
    pub(super) const fn to_migrate(task: TaskId, address: VirtualAddress, from: FrameNumber) -> Self {
        Self {
            task,
            address,
            alias: Some(from),
            heals: false,
        }
    }

    /// A walk of a task's tables by the kernel, which aborted at this address of the linear map.
    pub(super) const fn of_table(task: TaskId, far: u64) -> Self {
        let offset = far.wrapping_sub(tables::LINEAR_BASE);
        Self {
            task,
            address: VirtualAddress(far),
            alias: Some(FrameNumber::from_address(IntermediateAddress(offset))),
            heals: false,
        }
    }

    /// The frame behind an address of the linear map, if it is the one that this copy is of.
    pub(super) fn frame_at(&self, task: TaskId, address: VirtualAddress) -> Option<FrameNumber> {
        let offset = address.0.checked_sub(tables::LINEAR_BASE)?;
        let frame = FrameNumber::from_address(IntermediateAddress(offset));
        self.alias.filter(|alias| *alias == frame && self.task == task)
    }

    /// Whether an abort in the copy can be one of the task's memory: not, when it names an address of the kernel's half
    /// that is not the frame's.
    fn met(&self, taken: &Snapshot) -> bool {
        can_be_of(taken, self.alias)
    }
}

impl Guest {
    /// Copies from the current task.
    pub(super) fn copy_in(&mut self, to: &mut [u8], from: u64) -> Result<(), Refusal> {
        self.copy(self.kernel.current, from, to.len(), |_, part| {
            to.get_mut(part.clone())
                .is_some_and(|to| guarded::copy_from_task(to, at(from, part.start)))
        })
    }

    /// Copies to the current task.
    pub(super) fn copy_out(&mut self, to: u64, from: &[u8]) -> Result<(), Refusal> {
        self.copy(self.kernel.current, to, from.len(), |_, part| {
            from.get(part.clone())
                .is_some_and(|from| guarded::copy_to_task(at(to, part.start), from))
        })
    }

    /// Reads a word of the current task.
    pub(super) fn load_in(&mut self, from: u64) -> Result<u32, Refusal> {
        let mut word = None;
        self.copy(self.kernel.current, from, 4, |_, part| {
            if part.end == 4 {
                word = guarded::load_from_task(from);
            }
            part.end < 4 || word.is_some()
        })?;
        word.ok_or(Refusal::Address)
    }

    /// A copy of `bytes` at `address` of the task in `slot`, made by `part` between two barriers; in two parts, when a
    /// replayer asked for it.
    fn copy(
        &mut self,
        slot: u16,
        address: u64,
        bytes: usize,
        mut part: impl FnMut(&mut Copying, Range<usize>) -> bool,
    ) -> Result<(), Refusal> {
        let mut result = Err(Refusal::Healed);
        for _ in 0..MOST_TRIES {
            let mut copying = Copying {
                task: TaskId(slot),
                address: VirtualAddress(address),
                alias: None,
                heals: false,
            };
            let stop = self.kernel.stop_before_copy(slot, bytes);
            // What is pending by now is not this copy's.
            self.synchronise();
            let middle = if stop.is_some() { bytes / 2 } else { 0 };
            let mut whole = middle == 0 || part(&mut copying, 0..middle);
            if let Some(number) = stop.filter(|_| whole) {
                self.kernel.stop_in_copy(slot, number, at(address, middle));
            }
            whole = whole && part(&mut copying, middle..bytes);
            // At once: what comes while an abort is dealt with is the kernel's.
            let disr = if self.kernel.ras {
                registers::synchronise_errors()
            } else {
                0
            };
            if disr != 0 {
                registers::clear_deferred();
            }
            result = self.copied(copying, whole, disr);
            self.kernel.copying = None;
            if !matches!(result, Err(Refusal::Healed | Refusal::Unwritten)) {
                break;
            }
        }
        result
    }

    /// Copies a page of the current task's, that it may read, to a frame that was just handed out.
    pub(super) fn copy_page(&mut self, to: FrameNumber, from: u64) -> Result<(), Refusal> {
        let from = from & !IN_PAGE;
        self.copy(self.kernel.current, from, PAGE, |copying, part| {
            // It may be what is written that is poisoned.
            copying.alias = Some(to);
            guarded::copy_page_from_task(to, from, part)
        })
    }

    /// Reads a byte of the current task between no barriers, for a window in which an SError is to stay pending.
    pub(super) fn touch_between_no_barriers(&mut self, address: u64) {
        let whole = guarded::copy_from_task(&mut [0], address);
        let copying = Copying {
            task: TaskId(self.kernel.current),
            address: VirtualAddress(address),
            alias: None,
            heals: false,
        };
        // Whether it comes is on record, or nothing was in its way.
        let _ = self.copied(copying, whole, 0);
        self.kernel.copying = None;
    }

    /// Deals with what a copy has met: the abort first.
    fn copied(&mut self, mut copying: Copying, whole: bool, disr: u64) -> Result<(), Refusal> {
        let mut result = Ok(());
        let mut fault = None;
        if !whole {
            result = Err(Refusal::Address);
            if let Some(taken) = entry::take_guarded_abort() {
                // Whose it is not, is the kernel's: then nobody's copy is named.
                if copying.met(&taken) {
                    if copying.alias.is_none() || taken.far >> 63 == 0 {
                        copying.address = VirtualAddress(taken.far);
                    }
                    self.kernel.copying = Some(copying);
                }
                result = Err(match self.copy_aborted(&taken) {
                    None => {
                        fault = Some(taken);
                        Refusal::Address
                    }
                    Some(Outcome::Resume) => Refusal::Healed,
                    Some(_) => Refusal::Poison,
                });
            }
        }
        if disr != 0 {
            copying.address = VirtualAddress(0);
            self.kernel.copying = Some(copying);
            let outcome = self.copy_aborted(&recover::found(Level::El1, disr));
            if let Some(Outcome::CopyFailed | Outcome::Reschedule) = outcome {
                result = Err(Refusal::Poison);
            }
        }
        // Last: it may itself copy a page.
        if result == Err(Refusal::Address)
            && let Some(taken) = fault
        {
            self.kernel.copying = None;
            result = Err(self.copy_faulted(&taken));
        }
        if result.is_err() {
            self.kernel.stay_in_space();
        }
        result
    }

    /// What the kernel knows of the caller.
    pub(super) fn read(&mut self, to: u64, length: u64) -> u64 {
        let about = self.kernel.about();
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(ABOUT_BYTES);
        match about.get(..length).map(|about| self.copy_out(to, about)) {
            Some(Ok(())) => length as u64,
            Some(Err(refusal)) => refusal.result(),
            None => FAILED,
        }
    }

    /// Memory of another task, to the end of its page.
    pub(super) fn peek(&mut self, slot: u64, address: u64, to: u64, length: u64) -> u64 {
        let mut piece = [0; PEEK_BYTES];
        let in_page = native(IN_PAGE.saturating_sub(address & IN_PAGE)).saturating_add(1);
        let length = usize::try_from(length)
            .unwrap_or(usize::MAX)
            .min(PEEK_BYTES)
            .min(in_page);
        let Some(piece) = piece.get_mut(..length) else {
            return FAILED;
        };
        let peeked = self
            .kernel
            .may_be_peeked(slot)
            .ok_or(Refusal::Address)
            .and_then(|slot| self.copy_from(slot, piece, address))
            .and_then(|()| self.copy_out(to, piece));
        match peeked {
            Ok(()) => length as u64,
            Err(refusal) => refusal.result(),
        }
    }

    /// Copies from a task that need not run; all of it lies in one page.
    fn copy_from(&mut self, slot: u16, to: &mut [u8], address: u64) -> Result<(), Refusal> {
        let Some(space) = self.kernel.slot(slot).space else {
            return Err(Refusal::Address);
        };
        let mut known = None;
        let mut is_lost = false;
        let frame = self.copy(slot, address, 0, |copying, _| {
            match space.walk(VirtualAddress(address)) {
                Walk::Descriptor(descriptor) => {
                    known = space.frame_of(descriptor);
                    is_lost = Leaf(descriptor).lost().is_some();
                    true
                }
                // A table of the task's.
                Walk::Aborted(table) => {
                    copying.alias = Some(FrameNumber::from_address(IntermediateAddress(table)));
                    false
                }
            }
        });
        frame?;
        if is_lost {
            return Err(Refusal::Poison);
        }
        let frame = known.ok_or(Refusal::Address)?;
        match self.kernel.frames.holder(frame) {
            Holder::Retired => return Err(Refusal::Poison),
            Holder::Outside | Holder::Free | Holder::Kernel | Holder::Table(_) => {
                return Err(Refusal::Address);
            }
            Holder::Task(_) | Holder::Shared(_) => {}
        }
        let offset = native(address & IN_PAGE);
        self.copy(slot, address, to.len(), |copying, part| {
            copying.alias = Some(frame);
            to.get_mut(part.clone())
                .is_some_and(|to| guarded::copy_from_frame(to, frame, offset.saturating_add(part.start)))
        })
    }
}

/// Whether an abort can be one of what the kernel was about, in a program's half or in this frame by the linear map: not, when
/// it names another address of the kernel's half.
pub(super) fn can_be_of(taken: &Snapshot, frame: Option<FrameNumber>) -> bool {
    let names_far = Esr(taken.esr).abort().is_some_and(|abort| abort.far_valid());
    let named = FrameNumber::from_address(IntermediateAddress(taken.far.wrapping_sub(tables::LINEAR_BASE)));
    !names_far || taken.far >> 63 == 0 || frame == Some(named)
}

/// Where a part of a copy begins. An address that wraps is nobody's.
fn at(address: u64, offset: usize) -> u64 {
    address.wrapping_add(offset as u64)
}

impl Kernel {
    /// The slot of a task whose memory is as it was: one that lives, or was isolated.
    fn may_be_peeked(&self, slot: u64) -> Option<u16> {
        let slot = u16::try_from(slot).ok()?;
        let task = self.task(slot)?;
        let is_kept = matches!(task.state, State::Ended(TaskState::Isolated));
        (is_kept || !matches!(task.state, State::Ended(_))).then_some(slot)
    }

    fn about(&self) -> [u8; ABOUT_BYTES] {
        let mut about = [0; ABOUT_BYTES];
        let task = self.slot(self.current);
        let numbers = [
            u64::from(self.current),
            u64::from(task.charged),
            nanoseconds(timer::ticks()),
        ];
        let words = numbers.iter().flat_map(|number| number.to_le_bytes());
        for (byte, known) in about.iter_mut().zip(task.name.into_iter().chain(words)) {
            *byte = known;
        }
        about
    }

    /// A task that was ended while another ran leaves nobody's space behind: the one that runs has its own again.
    pub(super) fn stay_in_space(&self) {
        if self.current_runs()
            && let Some(space) = self.slot(self.current).space
        {
            registers::set_address_space(space.ttbr0());
        }
    }
}
