//! Starts a child; when it has met a memory error, has the guest begin again.
#![no_std]
#![no_main]

use seawall_firmware::calls::{FAILED, REBOOT, SPAWN, WAIT};
use seawall_tasks::call;

seawall_tasks::program!(main);

/// The state of a child that was killed.
const KILLED: u64 = 3;

fn main(_: u64, _: bool) -> u64 {
    let name = "load";
    let slot = call(SPAWN, name.as_ptr() as u64, name.len() as u64, 0);
    if slot == FAILED {
        return 1;
    }
    if call(WAIT, slot, 0, 0) == KILLED {
        call(REBOOT, 0, 0, 0);
        return 2;
    }
    0
}
