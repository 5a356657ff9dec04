//! Enters the kernel just as an SError becomes pending: it is masked there, and found by the border's ESB.
#![no_std]
#![no_main]

use seawall_firmware::calls::What;
use seawall_tasks::checkpoint;

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, 0, What::Border);
    0
}
