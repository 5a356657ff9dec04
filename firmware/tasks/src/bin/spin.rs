//! Spins for ever, and never calls the kernel again: it may starve nobody.
#![no_std]
#![no_main]

use seawall_tasks::background;

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    background(false);
    loop {
        core::hint::spin_loop();
    }
}
