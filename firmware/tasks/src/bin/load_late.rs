//! Loads from a page that a replayer may have poisoned, 0.3 s after it started.
#![no_std]
#![no_main]

use seawall_firmware::calls::SLEEP;
use seawall_tasks::{MARK, Page, TARGET, What, call, checkpoint, load, own};

seawall_tasks::page!(TARGET: Page::marked(0x40));
seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    call(SLEEP, 300_000_000, 0, 0);
    own(TARGET);
    checkpoint(1, TARGET, What::Page);
    u64::from(load(TARGET + 0x40) != MARK)
}
