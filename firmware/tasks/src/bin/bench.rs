//! Measures, in instructions: an empty call, and an abort up to the next task's first instruction.
//!
//! The counter is the PMU's, read in EL0; where it does not count, nothing is reported. For the abort, a child reads the
//! counter, meets its abort, and dies; this program, which gave its turn away, reads the counter again with its first
//! instruction and finds the child's reading in the register it died with.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "counters and calls by exact instruction sequences")]

use core::arch::asm;

use seawall_firmware::calls::{FAILED, INSPECT, MEASURE, NOTHING, SPAWN, YIELD};
use seawall_tasks::call;

seawall_tasks::program!(main);

/// Repetitions; the largest figure counts.
const TIMES: usize = 16;

/// Instructions of one empty call: SVC itself counts, the two readings do not.
fn empty_call() -> u64 {
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
    (after.wrapping_sub(before) & 0xffff_ffff) - 1
}

/// Instructions from the abort of a child to the first instruction here.
fn abort() -> Option<u64> {
    let name = "victim";
    let slot = call(SPAWN, name.as_ptr() as u64, name.len() as u64, 0);
    if slot == FAILED {
        return None;
    }
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
            call(seawall_firmware::calls::WAIT, slot, 0, 0);
            // The child's reading and its load, which did not retire, lie before the abort; the reading here is the
            // next task's first instruction, and does not count either.
            return Some((now.wrapping_sub(before) & 0xffff_ffff) - 1);
        }
    }
}

fn main(_: u64, port: bool) -> u64 {
    let counting: u64;
    // SAFETY: PMUSERENR_EL0.EN is readable in EL0 wherever there is a PMU; without one the read would fault, and
    // ID registers are not for EL0 to read, so the bench is only run where the runner knows that there is a PMU.
    unsafe { asm!("mrs {}, pmuserenr_el0", out(reg) counting, options(nomem, nostack)) };
    if counting & 1 == 0 {
        return 2;
    }
    let call_cost = (0..TIMES).map(|_| empty_call()).max().unwrap_or(0);
    call(MEASURE, 1, call_cost, 0);
    if port {
        let Some(cost) = (0..TIMES).map(|_| abort()).max().flatten() else {
            return 1;
        };
        call(MEASURE, 2, cost, 0);
    }
    0
}
