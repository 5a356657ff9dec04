//! What the bench measures: each figure is a way through the kernel, counted by the PMU's instruction counter.
//!
//! A figure is one row of [`FIGURES`], under the number that `host-runner/src/command/bench/rows.rs` gives it; each is
//! measured as the guest stands alone, and again with more tasks and more retired frames beside. The counter is read in
//! EL0; where it does not count, nothing is reported.

use core::arch::asm;

use seawall_firmware::calls::{FAILED, INSPECT, MEASURE, NOTHING, SPAWN, WAIT, YIELD};

use crate::call;

/// One figure: its number, and one round of it in instructions; `None` where that failed.
pub type Figure = (u64, fn() -> Option<u64>);

/// Those that must not depend on how much there is beside.
pub const FIGURES: [Figure; 1] = [(2, kill)];
/// None of them measured.
pub const NONE: [Option<u64>; FIGURES.len()] = [None; FIGURES.len()];
/// The empty call's number.
pub const EMPTY_CALL: u64 = 1;
/// Repetitions; the largest figure counts.
const TIMES: usize = 16;
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

/// Instructions from the abort of a child to the next task's first instruction, which is here.
fn kill() -> Option<u64> {
    let slot = start("victim")?;
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
            // The child's reading and its load, which did not retire, lie before the abort; the reading here is the
            // next task's first instruction, and does not count either.
            return Some(between(before, now) - 1);
        }
    }
}

/// The counter has 32 bits.
const fn between(before: u64, after: u64) -> u64 {
    after.wrapping_sub(before) & 0xffff_ffff
}
