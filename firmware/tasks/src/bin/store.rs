//! Stores to a page that a replayer may have poisoned.
#![no_std]
#![no_main]
#![expect(
    unsafe_code,
    reason = "a page at a fixed address, and a store of a certain form"
)]

use seawall_firmware::calls::What;
use seawall_tasks::{Page, TARGET, checkpoint, load};

#[used]
#[unsafe(link_section = ".target")]
static mut PAGE: Page = Page::marked();

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, TARGET, What::Page);
    // SAFETY: the address lies in this program's own page.
    unsafe { core::arch::asm!("str {}, [{}]", in(reg) 7_u64, in(reg) TARGET + 0x80, options(nostack)) };
    u64::from(load(TARGET + 0x80) != 7)
}
