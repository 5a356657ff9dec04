//! Has the kernel announce a window in which SErrors are masked, and let in what became pending.
#![no_std]
#![no_main]

use seawall_firmware::calls::What;
use seawall_tasks::checkpoint;

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, 0, What::Masked);
    0
}
