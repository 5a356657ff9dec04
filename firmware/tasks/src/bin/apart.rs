//! Loads from a page that has 2 MiB of memory of its own, so that all of it can be put out of reach.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a page at a fixed address")]

use seawall_firmware::calls::What;
use seawall_tasks::{APART, MARK, Page, checkpoint, load};

#[used]
#[unsafe(link_section = ".apart")]
static mut PAGE: Page = Page::marked();

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, APART, What::Page);
    u64::from(load(APART + 0x40) != MARK)
}
