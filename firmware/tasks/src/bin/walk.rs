//! Loads from a sound page whose last-level translation table a replayer may have poisoned.
#![no_std]
#![no_main]

use seawall_tasks::{LONE, MARK, Page, What, checkpoint, load};

seawall_tasks::page!(LONE: Page::marked(0x40));
seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, LONE, What::Table);
    u64::from(load(LONE + 0x40) != MARK)
}
