//! Loads eight bytes, of which the first four lie in a sound page and the last four in one that a replayer may have poisoned.
#![no_std]
#![no_main]

use seawall_tasks::{PAGES, Page, What, checkpoint, load, own};

seawall_tasks::page!(PAGES: [Page::zeroed(), Page::zeroed()]);
seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    own(PAGES + 0x1000);
    checkpoint(1, PAGES + 0x1000, What::Page);
    load(PAGES + 0xffc)
}
