//! Zeroes a block by DC ZVA, in a page that a replayer may have poisoned.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "DC ZVA")]

use seawall_tasks::{Page, load};

seawall_tasks::touch!(TARGET: Page::marked(0x40), |page| {
    // SAFETY: the block lies in this program's own page; the kernel allows it by SCTLR_EL1.DZE.
    unsafe { core::arch::asm!("dc zva, {at}", at = in(reg) page + 0x48, options(nostack)) };
    load(page + 0x40) | load(page + 0x48) == 0
});
