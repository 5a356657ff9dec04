//! Stores two registers by STP, a quadword to a page that a replayer may have poisoned.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a store of a certain form")]

use seawall_tasks::{Page, load};

seawall_tasks::touch!(TARGET: Page::zeroed(), |page| {
    // SAFETY: the address lies in this program's own page.
    unsafe { core::arch::asm!("stp {value}, {value}, [{at}]", value = in(reg) 7_u64, at = in(reg) page + 0x88, options(nostack)) };
    load(page + 0x88) == 7 && load(page + 0x90) == 7
});
