//! Enters the kernel just as an SError becomes pending, and has it stop between the ESB that defers the error and the
//! look at DISR_EL1.
#![no_std]
#![no_main]

use seawall_firmware::calls::What;
use seawall_tasks::checkpoint;

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, 0, What::Deferred);
    0
}
