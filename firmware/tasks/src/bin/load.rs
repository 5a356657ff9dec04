//! Loads from a page that a replayer may have poisoned.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a page at a fixed address")]

use seawall_firmware::calls::What;
use seawall_tasks::{MARK, Page, TARGET, checkpoint, load};

#[used]
#[unsafe(link_section = ".target")]
static mut PAGE: Page = Page::marked();

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, TARGET, What::Page);
    u64::from(load(TARGET + 0x40) != MARK)
}
