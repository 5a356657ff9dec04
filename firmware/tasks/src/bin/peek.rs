//! Reads the memory of the task in the next slot, of which a replayer may have poisoned a page, and the copy may be
//! stopped at.
#![no_std]
#![no_main]

use seawall_firmware::calls::{FAILED, INSPECT, MEMORY_ERROR, PEEK, SLEEP, STACK_TOP};
use seawall_tasks::{MARK, TARGET, What, call, call4, checkpoint, load, write};

seawall_tasks::program!(main);

fn main(slot: u64, _: bool) -> u64 {
    let other = slot + 1;
    // Until it has ended, or has announced its page and waits.
    for _ in 0..25 {
        if call(INSPECT, other, 31, 0) == FAILED {
            call(SLEEP, 1_000_000, 0, 0);
        }
    }
    let word = 0_u64;
    let here = &raw const word as u64;
    checkpoint(2, 0, What::Copy);
    let is_right = match call4(PEEK, [other, TARGET + 0x40, here, 8]) {
        8 => load(here) == MARK,
        MEMORY_ERROR => {
            write("peek: that page is lost\n");
            true
        }
        _ => false,
    };
    match call4(PEEK, [other, STACK_TOP - 0x4000, here, 8]) {
        8 if load(here) == 0 => write("peek: the rest can be read\n"),
        _ => write("peek: there is nothing to be read\n"),
    }
    u64::from(!is_right)
}
