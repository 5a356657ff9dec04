//! Stores to a page, and runs on while a replayer may say that the store met poison: by an SError, as nothing else came of
//! it.
#![no_std]
#![no_main]

use seawall_tasks::{Page, TARGET, announce, load, store};

seawall_tasks::page!(TARGET: Page::zeroed());
seawall_tasks::program!(main);

fn main(slot: u64, port: bool) -> u64 {
    store(TARGET + 0x80, 7);
    if port {
        announce(slot, 1);
    }
    u64::from(load(TARGET + 0x80) != 7)
}
