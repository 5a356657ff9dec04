//! Stores to a page that a replayer may have poisoned.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a page at a fixed address")]

use seawall_firmware::calls::What;
use seawall_tasks::{Page, TARGET, checkpoint, load, store};

#[used]
#[unsafe(link_section = ".target")]
static mut PAGE: Page = Page::zeroed();

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, TARGET, What::Page);
    store(TARGET + 0x80, 7);
    u64::from(load(TARGET + 0x80) != 7)
}
