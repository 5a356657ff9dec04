//! Has the kernel copy from a page that a replayer may have poisoned, while an SError may be pending and is masked.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a page at a fixed address")]

use seawall_firmware::calls::What;
use seawall_tasks::{Page, TARGET, checkpoint};

#[used]
#[unsafe(link_section = ".target")]
static mut PAGE: Page = Page::zeroed();

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, TARGET, What::Page);
    checkpoint(2, TARGET + 0x800, What::Masked);
    0
}
