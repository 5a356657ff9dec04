//! Writes three pages, so that each is its own and stays where it is, and reads them again; the one in the middle may have
//! been poisoned by a replayer.
#![no_std]
#![no_main]

use seawall_tasks::{MARK, PAGES, Page, TARGET, What, checkpoint, load, store};

seawall_tasks::page!(TARGET: Page::zeroed());
seawall_tasks::page!(PAGES: [Page::zeroed(), Page::zeroed()]);
seawall_tasks::program!(main);

const LOCKED: [u64; 3] = [TARGET, PAGES, PAGES + 4096];

fn main(_: u64, _: bool) -> u64 {
    for page in LOCKED {
        store(page + 0x40, MARK ^ page);
    }
    checkpoint(1, PAGES, What::Page);
    for page in LOCKED {
        if load(page + 0x40) != MARK ^ page {
            return 1;
        }
    }
    0
}
