//! Has the kernel stop at the next interrupt, before its border is synchronised.
#![no_std]
#![no_main]

use seawall_firmware::calls::TIME;
use seawall_tasks::{What, call, checkpoint};

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, 0, What::Interrupt);
    // More than a turn.
    let end = call(TIME, 0, 0, 0) + 30_000_000;
    while call(TIME, 0, 0, 0) < end {}
    0
}
