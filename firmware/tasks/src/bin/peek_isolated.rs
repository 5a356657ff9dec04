//! Reads the memory of the task in the next slot, which is isolated by then; a replayer may have that copy meet an error. Then it
//! goes on with its own work for a while.
#![no_std]
#![no_main]

use seawall_firmware::calls::{FAILED, INSPECT, MEMORY_ERROR, PEEK, SLEEP, STACK_TOP};
use seawall_tasks::{What, call, call4, checkpoint, write};

seawall_tasks::program!(main);

fn main(slot: u64, _: bool) -> u64 {
    let other = slot + 1;
    // Until it has ended, or has had the time to.
    for _ in 0..25 {
        if call(INSPECT, other, 31, 0) == FAILED {
            call(SLEEP, 1_000_000, 0, 0);
        }
    }
    let word = 0_u64;
    let here = (&raw const word).expose_provenance() as u64;
    checkpoint(2, 0, What::Copy);
    if call4(PEEK, [other, STACK_TOP - 0x4000, here, 8]) == MEMORY_ERROR {
        write("peek_isolated: that memory is lost\n");
    }
    call(SLEEP, 20_000_000, 0, 0);
    write("peek_isolated: all done\n");
    0
}
