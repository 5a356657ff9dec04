//! What the bench measures: each figure is a way through the kernel, counted by the PMU's instruction counter.
//!
//! A figure is one row of [`FIGURES`], under the number that `host-runner/src/command/bench/rows.rs` gives it; each is
//! measured as the guest stands alone, and again with more tasks and more retired frames beside. The counter is read in
//! EL0; where it does not count, nothing is reported.

use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU64, Ordering};

use seawall_firmware::calls::{
    FAILED, HANDLE, INSPECT, MEASURE, NOTHING, REPLACE, RETURN, SLEEP, SPAWN, STACK_PAGES, STACK_TOP, WAIT,
    YIELD,
};

use crate::{CONSTANT, TARGET, TARGET_TEXT, What, call, checkpoint, own};

/// One figure: its number, and one round of it in instructions; `None` where that failed.
pub type Figure = (u64, fn() -> Option<u64>);

/// Those that must not depend on how much there is beside.
pub const FIGURES: [Figure; 4] = [(2, kill), (3, heal), (4, signal), (5, serror)];
/// None of them measured.
pub const NONE: [Option<u64>; FIGURES.len()] = [None; FIGURES.len()];
/// The empty call's number.
pub const EMPTY_CALL: u64 = 1;
/// That of healing a page of text.
pub const HEAL_TEXT: u64 = 6;
/// Repetitions; the largest figure counts.
const TIMES: usize = 16;
/// Longer than a turn, in nanoseconds: who sleeps so long wakes as a turn begins, and no other begins before its round is
/// over.
const A_TURN: u64 = 5_000_000;
/// Where the place on the curve begins in a reported number; below it is the figure's.
const PLACE_SHIFT: u32 = 32;

/// Whether instructions are counted here.
#[must_use]
pub fn counts() -> bool {
    let counting: u64;
    // SAFETY: PMUSERENR_EL0.EN is readable in EL0 wherever there is a PMU; without one the read would fault, and
    // ID registers are not for EL0 to read, so the bench is only run where the runner knows that there is a PMU.
    unsafe { asm!("mrs {}, pmuserenr_el0", out(reg) counting, options(nomem, nostack)) };
    counting & 1 != 0
}

/// The largest of several rounds of each figure.
#[must_use]
pub fn all() -> [Option<u64>; FIGURES.len()] {
    FIGURES.map(|(_, round)| {
        let mut most = 0;
        for _ in 0..TIMES {
            call(SLEEP, A_TURN, 0, 0);
            most = most.max(round()?);
        }
        Some(most)
    })
}

/// Reports figures, measured at this place on the curve: 0 is beside nothing. What failed is not reported, and so is
/// told as not measured.
pub fn report(place: u64, figures: [Option<u64>; FIGURES.len()]) {
    for ((number, _), value) in FIGURES.into_iter().zip(figures) {
        if let Some(value) = value {
            call(MEASURE, number | place << PLACE_SHIFT, value, 0);
        }
    }
}

/// Instructions of one empty call, the largest of several rounds: SVC itself counts, the two readings do not.
#[must_use]
pub fn empty_call() -> u64 {
    (0..TIMES).map(|_| one_empty_call()).max().unwrap_or(0)
}

fn one_empty_call() -> u64 {
    let (before, after): (u64, u64);
    // SAFETY: the kernel allows the counter to programs where it counts, which the caller found out.
    unsafe {
        asm!(
            "mrs {before}, pmevcntr0_el0",
            "svc #0",
            "mrs {after}, pmevcntr0_el0",
            before = out(reg) before, after = out(reg) after,
            inlateout("x0") 0_u64 => _, in("x8") NOTHING, options(nostack)
        );
    }
    // From one reading to the next lie the reading itself and what is between.
    between(before, after) - 1
}

/// Starts a program; its slot.
#[must_use]
pub fn start(name: &str) -> Option<u64> {
    let slot = call(SPAWN, name.as_ptr() as u64, name.len() as u64, 0);
    (slot != FAILED).then_some(slot)
}

/// Instructions from the abort of a child to the next task's first instruction, which is here. The child's reading and
/// its load, which did not retire, lie before the abort.
fn kill() -> Option<u64> {
    to_the_next("victim")
}

/// The same from an SError that it takes behind its announcement, which did retire.
fn serror() -> Option<u64> {
    to_the_next("victim_serror").map(|cost| cost - 1)
}

/// Instructions from the reading in the x19 of a child that ends with it.
fn to_the_next(name: &str) -> Option<u64> {
    let slot = start(name)?;
    // The child runs up to its abort when this program gives its turn away; the kernel then goes on with this one, if no
    // other comes between: the child is told apart by its end.
    loop {
        let now: u64;
        // SAFETY: as above.
        unsafe {
            asm!(
                "svc #0",
                "mrs {now}, pmevcntr0_el0",
                now = out(reg) now,
                inlateout("x0") 0_u64 => _, in("x8") YIELD, options(nostack)
            );
        }
        let before = call(INSPECT, slot, 19, 0);
        if before != FAILED {
            call(WAIT, slot, 0, 0);
            // The reading here is the next task's first instruction, and does not count.
            return Some(between(before, now) - 1);
        }
    }
}

/// Instructions from a load's abort in a page that is as its image has it to the load again.
fn heal() -> Option<u64> {
    healed(CONSTANT)
}

/// The same in a whole page of text, the largest of several rounds.
#[must_use]
pub fn heal_text() -> Option<u64> {
    (0..TIMES).map(|_| healed(TARGET_TEXT)).max().flatten()
}

/// Loads from a page that is announced; the load that is run again, and the second reading, do not count.
fn healed(page: u64) -> Option<u64> {
    checkpoint(1, page, What::Page);
    let (before, after) = load_between(page);
    between(before, after).checked_sub(2)
}

fn load_between(page: u64) -> (u64, u64) {
    let (before, after): (u64, u64);
    // SAFETY: the address lies in a page of the program's.
    unsafe {
        asm!(
            "mrs {before}, pmevcntr0_el0",
            "ldr {scratch}, [{page}]",
            "mrs {after}, pmevcntr0_el0",
            before = out(reg) before, after = out(reg) after, scratch = out(reg) _, page = in(reg) page + 0x40,
            options(nostack)
        );
    }
    (before, after)
}

/// What the handler read with its first instruction.
static TOLD: AtomicU64 = AtomicU64::new(0);

// The handler: INPUTS: x0 = the address. CLOBBERS: its own registers. ENDING: goes back to the load.
global_asm!(
    ".pushsection .text.measured_handler, \"ax\"",
    "measured_handler:",
    "    mrs     x9, pmevcntr0_el0",
    "    adrp    x10, {told}",
    "    str     x9, [x10, :lo12:{told}]",
    "    mov     x8, #{replace}",
    "    svc     #0",
    "    mov     x8, #{back}",
    "    svc     #0",
    "    brk     #0",
    ".popsection",
    told = sym TOLD,
    replace = const REPLACE,
    back = const RETURN,
);

unsafe extern "C" {
    fn measured_handler();
}

/// Instructions from a load's abort to the first instruction of the program's own handler, which is the reading.
fn signal() -> Option<u64> {
    let top = STACK_TOP - (STACK_PAGES - 1) * 4096;
    call(HANDLE, measured_handler as *const () as u64, top, 0);
    own(TARGET);
    TOLD.store(0, Ordering::Relaxed);
    checkpoint(1, TARGET, What::Page);
    let (before, _) = load_between(TARGET);
    call(HANDLE, 0, 0, 0);
    match TOLD.load(Ordering::Relaxed) {
        0 => None,
        told => Some(between(before, told) - 1),
    }
}

/// The counter has 32 bits.
const fn between(before: u64, after: u64) -> u64 {
    after.wrapping_sub(before) & 0xffff_ffff
}
