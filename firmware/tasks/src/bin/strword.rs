//! Stores a word by STR to a page that a replayer may have poisoned.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a store of a certain form")]

use seawall_tasks::{Page, load};

seawall_tasks::touch!(TARGET: Page::zeroed(), |page| {
    // SAFETY: the address lies in this program's own page.
    unsafe { core::arch::asm!("str {value:w}, [{at}]", value = in(reg) 7_u64, at = in(reg) page + 0x88, options(nostack)) };
    load(page + 0x88) == 7
});
