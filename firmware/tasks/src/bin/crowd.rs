//! Fills the task table with copies of itself that sleep for ever, but for a few slots; ends with code 0 once they stand.
//! What they cost is their tables: all memory is shared.
#![no_std]
#![no_main]

use seawall_firmware::calls::{FAILED, SHARE, SLEEP, YIELD};
use seawall_tasks::{Page, TARGET, background, call, exit, fork, load, store, wait};

seawall_tasks::page!(TARGET: Page::marked(0x40));
seawall_tasks::program!(main);

/// Slots that are left to others.
const LEFT: usize = 8;
/// Where those who leave again are told to.
const LEAVE: u64 = TARGET + 0x80;

fn main(_: u64, _: bool) -> u64 {
    background(false);
    if call(SHARE, TARGET, 1, 0) != 0 {
        return 1;
    }
    let mut leaving = [0; LEFT];
    for slot in &mut leaving {
        match fork("crowd") {
            0 => {
                while load(LEAVE) == 0 {
                    call(SLEEP, 1_000_000, 0, 0);
                }
                exit(0)
            }
            FAILED => return 2,
            copy => *slot = copy,
        }
    }
    loop {
        match fork("crowd") {
            0 => loop {
                call(SLEEP, u64::MAX, 0, 0);
            },
            FAILED => break,
            // Each goes to sleep before the next comes.
            _ => call(YIELD, 0, 0, 0),
        };
    }
    store(LEAVE, 1);
    for slot in leaving {
        if wait(slot) == FAILED {
            return 3;
        }
    }
    0
}
