//! Has a child meet an abort, starts another, and has the kernel read the frame that was lost with the first.
#![no_std]
#![no_main]

use seawall_firmware::calls::{CHECKPOINT, FAILED, SPAWN, WAIT, What};
use seawall_tasks::call;

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    let name = "load";
    // The second is given frames: nothing that was put off may wait beyond that.
    for _ in 0..2 {
        let slot = call(SPAWN, name.as_ptr() as u64, name.len() as u64, 0);
        if slot == FAILED || call(WAIT, slot, 0, 0) == FAILED {
            return 1;
        }
    }
    u64::from(call(CHECKPOINT, 2, 0, What::Retired as u64) == FAILED)
}
