//! Has the kernel stop while it handles an SError that was taken from this program.
#![no_std]
#![no_main]

use seawall_tasks::{What, announce, checkpoint};

seawall_tasks::program!(main);

fn main(slot: u64, port: bool) -> u64 {
    checkpoint(2, 0, What::Handler);
    if port {
        announce(slot, 1);
    }
    0
}
