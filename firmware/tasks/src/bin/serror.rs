//! Runs while a replayer may pend an SError, with SErrors unmasked as they always are in EL0.
#![no_std]
#![no_main]

use seawall_tasks::{announce, load};

seawall_tasks::program!(main);

static WORK: [u64; 2] = [3, 4];

fn main(slot: u64, port: bool) -> u64 {
    if port {
        announce(slot, 1);
    }
    // Something whose result shows whether it went on where it was.
    let sum: u64 = WORK
        .iter()
        .map(|word| load(core::ptr::from_ref(word) as u64))
        .sum();
    u64::from(sum != 7)
}
