//! Loads exclusively by LDXR, and stores by STXR, in a page that a replayer may have poisoned.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "exclusive accesses")]

use seawall_tasks::{MARK, Page, load};

seawall_tasks::touch!(TARGET: Page::marked(0x40), |page| {
    // SAFETY: the address lies in this program's own page. Between the two nothing but an exception can come, and the
    // store is tried again.
    unsafe {
        core::arch::asm!(
            "2:", "ldxr {value}, [{at}]", "add {value}, {value}, #1", "stxr {failed:w}, {value}, [{at}]",
            "cbnz {failed:w}, 2b",
            value = out(reg) _, failed = out(reg) _, at = in(reg) page + 0x40, options(nostack)
        );
    }
    load(page + 0x40) == MARK + 1
});
