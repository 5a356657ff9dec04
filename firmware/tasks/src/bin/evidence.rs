//! Is to be isolated, and says so itself: leaves something to be found in a register and in a sound page, and loads from
//! a page that a replayer may have poisoned.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a load with a register that holds something")]

use seawall_tasks::{PAGES, Page, What, checkpoint, own, store};

seawall_tasks::policy!("isolate");
seawall_tasks::page!(PAGES: [Page::zeroed(), Page::zeroed()]);
seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    store(PAGES + 0x10, 0x5ea_ca5e);
    own(PAGES + 0x1000);
    checkpoint(1, PAGES + 0x1000, What::Page);
    // SAFETY: the address lies in this program's own page.
    unsafe {
        core::arch::asm!("ldr {}, [{}]", out(reg) _, in(reg) PAGES + 0x1040, in("x20") 0x5ea_1ed9_u64, options(nostack));
    }
    0
}
