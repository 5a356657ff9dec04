//! Adds to a word by LDADD, one instruction that loads and stores, in a page that a replayer may have poisoned.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "an atomic instruction (FEAT_LSE)")]

use seawall_tasks::{MARK, Page, load};

seawall_tasks::touch!(TARGET: Page::marked(0x40), |page| {
    let old: u64;
    // SAFETY: the address lies in this program's own page.
    unsafe {
        core::arch::asm!(
            ".arch_extension lse", "ldadd {one}, {old}, [{at}]",
            old = out(reg) old, one = in(reg) 1_u64, at = in(reg) page + 0x40, options(nostack)
        );
    }
    old == MARK && load(page + 0x40) == MARK + 1
});
