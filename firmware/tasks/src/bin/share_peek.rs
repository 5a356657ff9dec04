//! Shares a page, that a replayer may have poisoned, with a copy of itself. The copy has the kernel read this one's page, which
//! meets the poison, and then touches its own: it is the same frame, and the poison is not met a second time.
#![no_std]
#![no_main]

use seawall_firmware::calls::{MEMORY_ERROR, PEEK, SHARE, SLEEP};
use seawall_tasks::{MARK, Page, TARGET, What, call, call4, checkpoint, exit, fork, load, wait, write};

seawall_tasks::page!(TARGET: Page::marked(0x40));
seawall_tasks::program!(main);

const WORD: u64 = TARGET + 0x40;

fn main(slot: u64, _: bool) -> u64 {
    if call(SHARE, TARGET, 1, 0) != 0 {
        return 1;
    }
    match fork("peeker") {
        0 => {
            // The page is announced by now.
            call(SLEEP, 2_000_000, 0, 0);
            let word = 0_u64;
            let here = (&raw const word).expose_provenance() as u64;
            match call4(PEEK, [slot, WORD, here, 8]) {
                8 => exit(u64::from(load(here) != MARK)),
                MEMORY_ERROR => write("peeker: that page is lost\n"),
                _ => exit(2),
            }
            u64::from(load(WORD) != MARK)
        }
        copy => {
            checkpoint(1, TARGET, What::Page);
            wait(copy);
            0
        }
    }
}
