//! Loads from a sound page whose last-level translation table a replayer may have poisoned.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a page at a fixed address")]

use seawall_firmware::calls::What;
use seawall_tasks::{LONE, MARK, Page, checkpoint, load};

#[used]
#[unsafe(link_section = ".lone")]
static mut PAGE: Page = Page::marked();

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, LONE, What::Table);
    u64::from(load(LONE + 0x40) != MARK)
}
