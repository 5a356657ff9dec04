//! Loads two bytes right after each other, from two lines of a page that a replayer may have poisoned.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "two loads in a row")]

use seawall_tasks::{MARK, Page};

seawall_tasks::touch!(TARGET: Page::marked(0x38), |page| {
    let (first, second): (u64, u64);
    // SAFETY: the addresses lie in this program's own page.
    unsafe {
        core::arch::asm!(
            "ldrb {first:w}, [{page}, #0x38]", "ldrb {second:w}, [{page}, #0x40]",
            first = out(reg) first, second = out(reg) second, page = in(reg) page, options(nostack, readonly)
        );
    }
    first == MARK & 0xff && second == first
});
