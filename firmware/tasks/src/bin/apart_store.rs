//! Stores to a page that has 2 MiB of memory of its own, so that all of it can be put out of reach.
#![no_std]
#![no_main]
#![expect(
    unsafe_code,
    reason = "a page at a fixed address, and a store of a certain form"
)]

use seawall_firmware::calls::What;
use seawall_tasks::{APART, Page, checkpoint, load};

#[used]
#[unsafe(link_section = ".apart")]
static mut PAGE: Page = Page::zeroed();

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, APART, What::Page);
    // SAFETY: the address lies in this program's own page.
    unsafe { core::arch::asm!("str {}, [{}]", in(reg) 7_u64, in(reg) APART + 0x80, options(nostack)) };
    u64::from(load(APART + 0x80) != 7)
}
