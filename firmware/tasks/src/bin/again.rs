//! Runs by one and the same instruction over and over, while a replayer may say that it met an error and lost nothing.
#![no_std]
#![no_main]

use seawall_tasks::announce;

seawall_tasks::program!(main);

fn main(slot: u64, port: bool) -> u64 {
    if port {
        for _ in 0..20 {
            announce(slot, 1);
        }
    }
    0
}
