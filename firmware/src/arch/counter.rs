#![expect(
    unsafe_code,
    reason = "PMU registers are reached by instructions of their own"
)]
//! Instructions counted: event 0x08 of the PMU, which the first instructions of the boot switched on.
//!
//! [Arm ARM D13] The count is exact where the machine counts exactly (QEMU under `-icount`), and absent where there is
//! no PMU or the event is not implemented; then everything here is 0, and costs are not given.

use core::sync::atomic::{AtomicBool, Ordering};

use super::registers::read;

static COUNTING: AtomicBool = AtomicBool::new(false);

/// Finds out whether instructions are counted. Gives their number so far.
pub(crate) fn start() -> u64 {
    let version = (read!("id_aa64dfr0_el1") >> 8) & 0xf;
    if version == 0 || version == 15 || (read!("pmcr_el0") >> 11) & 0x1f == 0 {
        return 0;
    }
    // PMCEID0_EL0 bit 8: INST_RETIRED is implemented. Seen: QEMU has the bit only under -icount.
    if read!("pmceid0_el0") & (1 << 8) == 0 {
        return 0;
    }
    COUNTING.store(true, Ordering::Relaxed);
    // PMUSERENR_EL0.EN: programs may read the counter; the bench measures from there.
    // SAFETY: there is a PMU.
    unsafe {
        core::arch::asm!("msr pmuserenr_el0, {}", in(reg) 1_u64, options(nomem, nostack, preserves_flags))
    };
    now()
}

/// Instructions so far, modulo 2^32; 0 where they are not counted.
#[inline]
pub(crate) fn now() -> u64 {
    if COUNTING.load(Ordering::Relaxed) {
        read!("pmevcntr0_el0") & 0xffff_ffff
    } else {
        0
    }
}
