//! Sleeps until the guest's end, and nobody waits for it.
#![no_std]
#![no_main]

use seawall_firmware::calls::SLEEP;
use seawall_tasks::{background, call};

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    background(false);
    call(SLEEP, u64::MAX, 0, 0);
    0
}
