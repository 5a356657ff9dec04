//! Loads a pair of registers, which gives a hypervisor no syndrome to decode, from a page that may be poisoned.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a load of a certain form")]

use seawall_tasks::{MARK, Page};

seawall_tasks::touch!(TARGET: Page::marked(0xc0), |page| {
    let (low, high): (u64, u64);
    // SAFETY: the address lies in this program's own page.
    unsafe {
        core::arch::asm!("ldp {}, {}, [{}]", out(reg) low, out(reg) high, in(reg) page + 0xc0, options(nostack, readonly));
    };
    low + high == 2 * MARK
});
