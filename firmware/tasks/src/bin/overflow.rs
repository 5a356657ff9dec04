//! Loads a pair of registers from two pages, both of which a replayer may have poisoned: two errors at once.
#![no_std]
#![no_main]

use seawall_tasks::{PAGES, Page, What, checkpoint, load_pair, own};

seawall_tasks::page!(PAGES: [Page::zeroed(), Page::zeroed()]);
seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    own(PAGES);
    own(PAGES + 0x1000);
    checkpoint(1, PAGES, What::Page);
    checkpoint(2, PAGES + 0x1000, What::Page);
    let (low, high) = load_pair(PAGES + 0xff8);
    low | high
}
