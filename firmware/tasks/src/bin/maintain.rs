//! Cleans and invalidates caches by address, in a page that a replayer may have poisoned; and never touches it.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "cache maintenance")]

use seawall_tasks::Page;

seawall_tasks::touch!(TARGET: Page::zeroed(), |page| {
    // SAFETY: the address lies in this program's own page; the kernel allows them by SCTLR_EL1.UCI.
    unsafe {
        core::arch::asm!(
            "dc cvac, {at}", "dc cvau, {at}", "dc civac, {at}", "dsb ish", "ic ivau, {at}", "dsb ish", "isb",
            at = in(reg) page + 0x40, options(nostack)
        );
    }
    true
});
