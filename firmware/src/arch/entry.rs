#![expect(
    unsafe_code,
    reason = "the vectors hand over raw frames, and one static holds the guest"
)]
//! What the vectors call.
//!
//! There is one guest in one static, and one CPU that runs its kernel with every exception masked; so whoever comes
//! from EL0 is alone with it. What comes from EL1 (`accident`) interrupts somebody who holds the guest: it either goes
//! back without touching it, or never goes back.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

use seawall_agent::engine::{Cause, Level, Snapshot};
use seawall_firmware::calls;

use super::frame::Frame;
use super::{counter, gic, guarded, registers, timer};
use crate::kernel::{Guest, epitaph};

/// What `emergency` saves of interrupted kernel code.
#[derive(Debug)]
#[repr(C, align(16))]
pub(crate) struct Emergency {
    x: [u64; 31],
    elr: u64,
    spsr: u64,
    sp: u64,
    _reserved: [u64; 2],
}

/// The guest, and whether it is there: apart, so that none of it is in the Image.
struct GuestCell {
    there: UnsafeCell<bool>,
    guest: UnsafeCell<MaybeUninit<Guest>>,
}

// SAFETY: see the module's top: one CPU, exceptions masked.
unsafe impl Sync for GuestCell {}

static GUEST: GuestCell = GuestCell {
    there: UnsafeCell::new(false),
    guest: UnsafeCell::new(MaybeUninit::uninit()),
};

/// An abort in a guarded access, for the code whose access it was.
struct AbortCell(UnsafeCell<Option<Snapshot>>);

// SAFETY: written by `accident` alone and read by the code it interrupted, on one CPU.
unsafe impl Sync for AbortCell {}

static GUARDED_ABORT: AbortCell = AbortCell(UnsafeCell::new(None));

/// The snapshot of the last abort in a guarded access, once.
pub(crate) fn take_guarded_abort() -> Option<Snapshot> {
    // SAFETY: `accident`, the only other user, runs to its end while this code is interrupted.
    unsafe { (*GUARDED_ABORT.0.get()).take() }
}

/// Puts the guest into its place and runs its first task.
pub(crate) fn run(guest: Guest) -> ! {
    // SAFETY: boot is over and no task has run: nobody else holds the guest.
    let guest = unsafe { (*GUEST.guest.get()).write(guest) };
    // SAFETY: as above.
    unsafe { *GUEST.there.get() = true };
    leave_for(guest.first())
}

/// Goes to EL0, with the registers of a frame.
#[inline(always)]
fn leave_for(frame: *mut Frame) -> ! {
    unsafe extern "C" {
        fn leave(frame: *mut Frame) -> !;
    }
    // SAFETY: the frame is a task's, in the guest's own table, whose address does not change once tasks run; nothing on
    // the kernel's stack is needed any more.
    unsafe { leave(frame) }
}

/// The guest, for an exception from EL0.
///
/// # Safety
/// Only from a handler that came from EL0, once in it; or from one that never returns.
#[inline(always)]
unsafe fn guest() -> Option<&'static mut Guest> {
    let mut address = (&raw const GUEST).expose_provenance();
    // The empty instruction keeps the compiler from knowing which static this is: knowing it, it would compute the
    // address of each field anew, in place of keeping one in a register.
    // SAFETY: no instruction.
    unsafe {
        core::arch::asm!("/* {} */", inout(reg) address, options(nomem, nostack, preserves_flags, pure))
    };
    let cell = core::ptr::with_exposed_provenance::<GuestCell>(address);
    // SAFETY: the address is the static's, which is not zero.
    let cell = unsafe {
        core::hint::assert_unchecked(address != 0);
        &*cell
    };
    // SAFETY: see the module's top; the caller promises that nobody else holds it, and what is there was written.
    unsafe { (*cell.there.get()).then(|| (*cell.guest.get()).assume_init_mut()) }
}

#[inline(always)]
fn snapshot(cause: Cause, from: Level, elr: u64, spsr: u64, ras: bool) -> Snapshot {
    Snapshot {
        cause,
        from,
        esr: registers::syndrome(),
        far: registers::fault_address(),
        elr,
        spsr,
        disr: 0,
        pfar: None,
        ras,
        entered: counter::now(),
        time: timer::ticks(),
    }
}

/// SVC from EL0.
///
/// The empty call is answered here; its cost is what the way in and out costs.
pub(super) extern "C" fn el0_call<const RAS: bool>(frame: *mut Frame) -> *mut Frame {
    // SAFETY: the vector saved the running task's frame there, and nothing else refers to it yet.
    let registers = unsafe { &mut (*frame).x };
    if registers[8] == calls::NOTHING {
        if RAS && registers::synchronise_errors() != 0 {
            return deferred(frame);
        }
        registers[0] = 0;
        return frame;
    }
    call::<RAS>(frame)
}

#[inline(never)]
fn call<const RAS: bool>(frame: *mut Frame) -> *mut Frame {
    // SAFETY: from EL0.
    let Some(guest) = (unsafe { guest() }) else {
        return frame;
    };
    guest.before_border();
    if RAS && registers::synchronise_errors() != 0 && !guest.border() {
        return guest.next();
    }
    guest.call()
}

/// An error that ESB found at the border of an empty call.
#[cold]
#[inline(never)]
fn deferred(frame: *mut Frame) -> *mut Frame {
    // SAFETY: from EL0.
    let Some(guest) = (unsafe { guest() }) else {
        return frame;
    };
    if !guest.border() {
        return guest.next();
    }
    // The call is not lost: it is answered, once what was found has been dealt with.
    // SAFETY: the frame is the running task's, and the guest is not used any more.
    unsafe { (*frame).x[0] = 0 };
    frame
}

/// Any other synchronous exception from EL0, with ESR_EL1 and FAR_EL1 as the vector read them.
///
/// This and the next two never return: they leave for EL0 themselves, so that no register is kept for the vector, which
/// needs none of them.
pub(super) extern "C" fn el0_synchronous(frame: *mut Frame, esr: u64, far: u64) -> ! {
    // SAFETY: from EL0.
    let Some(guest) = (unsafe { guest() }) else {
        leave_for(frame);
    };
    if guest.kernel.has_handler() {
        synchronous_told(guest, frame, esr, far)
    }
    let taken = taken_from(guest, frame, esr, far);
    border_beside(guest, &taken);
    leave_for(guest.exception(&taken))
}

/// The same, of a task that has a handler. It stands apart, so that what is kept for the one way costs the other nothing.
#[inline(never)]
fn synchronous_told(guest: &mut Guest, frame: *mut Frame, esr: u64, far: u64) -> ! {
    let taken = taken_from(guest, frame, esr, far);
    border_beside(guest, &taken);
    leave_for(guest.exception_told(&taken))
}

/// The snapshot of a synchronous exception from EL0.
#[inline(always)]
fn taken_from(guest: &Guest, frame: *mut Frame, esr: u64, far: u64) -> Snapshot {
    // SAFETY: the vector saved the running task's frame there.
    let (elr, spsr) = unsafe { ((*frame).elr, (*frame).spsr) };
    Snapshot {
        cause: Cause::Synchronous,
        from: Level::El0,
        esr,
        far,
        elr,
        spsr,
        disr: 0,
        pfar: guest.kernel.pfar.then(registers::physical_fault_address),
        ras: guest.kernel.ras,
        entered: counter::now(),
        time: timer::ticks(),
    }
}

/// The border comes after the registers were read: what it finds is a second error, not this one.
#[inline(always)]
fn border_beside(guest: &mut Guest, taken: &Snapshot) {
    if taken.ras && registers::synchronise_errors() != 0 && !guest.exception_beside_border(taken) {
        leave_for(guest.next());
    }
}

/// SError from EL0.
pub(super) extern "C" fn el0_serror(frame: *mut Frame) -> ! {
    // SAFETY: the vector saved the running task's frame there.
    let (elr, spsr) = unsafe { ((*frame).elr, (*frame).spsr) };
    // SAFETY: from EL0.
    let Some(guest) = (unsafe { guest() }) else {
        leave_for(frame);
    };
    let mut taken = snapshot(Cause::SError, Level::El0, elr, spsr, guest.kernel.ras);
    if guest.kernel.pfar {
        taken.pfar = Some(registers::physical_fault_address());
    }
    // It may be an abort, and another SError pending beside it.
    border_beside(guest, &taken);
    leave_for(guest.serror(&taken))
}

/// An interrupt from EL0.
pub(super) extern "C" fn el0_irq(frame: *mut Frame) -> ! {
    // SAFETY: from EL0.
    let Some(guest) = (unsafe { guest() }) else {
        leave_for(frame);
    };
    guest.before_interrupts_border();
    if guest.kernel.ras && registers::synchronise_errors() != 0 && !guest.border() {
        leave_for(guest.next());
    }
    leave_for(guest.interrupt())
}

/// Names of the sixteen slots, for epitaphs.
const SLOTS: [&str; 16] = [
    "synchronous, EL1 on SP_EL0",
    "IRQ, EL1 on SP_EL0",
    "FIQ, EL1 on SP_EL0",
    "SError, EL1 on SP_EL0",
    "synchronous, EL1",
    "IRQ, EL1",
    "FIQ, EL1",
    "SError, EL1",
    "synchronous, EL0",
    "IRQ, EL0",
    "FIQ, EL0",
    "SError, EL0",
    "synchronous, EL0 in AArch32",
    "IRQ, EL0 in AArch32",
    "FIQ, EL0 in AArch32",
    "SError, EL0 in AArch32",
];

/// The synchronous slot of EL1.
const SYNCHRONOUS: usize = 4;
/// Its SError slot: where a guarded access's abort comes while SCTLR2_EL1.EASE is set, and the SError that is let in.
const SERROR: usize = 7;

/// An exception that nothing good comes through. Returns only when it was a guarded access that failed.
pub(super) extern "C" fn accident(block: *mut Emergency, slot: usize) {
    // SAFETY: `emergency` saved the interrupted code there, and nothing else refers to it.
    let block = unsafe { &mut *block };
    let from = if slot < 8 { Level::El1 } else { Level::El0 };
    let cause = if slot % 4 == 3 {
        Cause::SError
    } else {
        Cause::Synchronous
    };
    let mut taken = snapshot(cause, from, block.elr, block.spsr, registers::has_ras());
    if registers::has_pfar() {
        taken.pfar = Some(registers::physical_fault_address());
    }
    if matches!(slot, SYNCHRONOUS | SERROR)
        && let Some(elr) = guarded::way_back(block.elr)
    {
        // SAFETY: the interrupted code looks only after this has returned.
        unsafe { *GUARDED_ABORT.0.get() = Some(taken) };
        block.elr = elr;
        return;
    }
    // SAFETY: whoever held the guest is never gone back to.
    let guest = unsafe { guest() };
    let handling = guest
        .as_ref()
        .map_or_else(Default::default, |guest| guest.kernel.handling);
    epitaph::keep_first(&taken, handling);
    if let Some(guest) = guest {
        guest.record_accident(&taken);
    }
    let place = SLOTS.get(slot).copied().unwrap_or("unknown slot");
    epitaph::epitaph_beside(place, &taken, handling)
}

/// An accident while one was handled: the second, or one further on.
pub(super) extern "C" fn last_resort(depth: u64) -> ! {
    epitaph::last_resort(
        depth,
        registers::syndrome(),
        registers::fault_address(),
        registers::return_address(),
    )
}

/// Takes and ends the interrupt that is pending, if there is one.
pub(crate) fn take_interrupt(gic: &mut gic::Gic) -> Option<u32> {
    let interrupt = gic.take()?;
    timer::begin_turn();
    gic.end(interrupt);
    Some(interrupt)
}
