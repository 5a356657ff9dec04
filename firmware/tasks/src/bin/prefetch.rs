//! Prefetches from a page that a replayer may have poisoned, for reading, for writing and into the second level; and never
//! touches it.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "prefetches")]

use seawall_tasks::Page;

seawall_tasks::touch!(TARGET: Page::zeroed(), |page| {
    // SAFETY: a prefetch changes nothing.
    unsafe {
        core::arch::asm!(
            "prfm pldl1keep, [{at}]", "prfm pstl1keep, [{at}]", "prfm pldl2strm, [{at}]",
            at = in(reg) page + 0x40, options(nostack, readonly)
        );
    }
    true
});
