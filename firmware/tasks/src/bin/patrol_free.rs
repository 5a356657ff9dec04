//! Has the kernel announce a frame that is nobody's, and then ask for what a patrol scrubber has found.
#![no_std]
#![no_main]

use seawall_firmware::calls::PATROL;
use seawall_tasks::{What, call, checkpoint};

seawall_tasks::program!(main);

fn main(_: u64, port: bool) -> u64 {
    let announced = checkpoint(1, 0, What::Free);
    let answered = call(PATROL, 0, 0, 0);
    u64::from(announced != port || answered > 1)
}
