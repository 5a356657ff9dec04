//! Has the kernel stop while it handles an error that was deferred to its border.
#![no_std]
#![no_main]

use seawall_tasks::{What, checkpoint};

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(2, 0, What::Handler);
    checkpoint(1, 0, What::Border);
    0
}
