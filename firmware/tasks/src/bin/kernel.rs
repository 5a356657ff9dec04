//! Has the kernel touch a page of its own that a replayer may have poisoned.
#![no_std]
#![no_main]

use seawall_firmware::calls::What;
use seawall_tasks::checkpoint;

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, 0, What::Kernel);
    0
}
