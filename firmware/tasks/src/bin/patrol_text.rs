//! Announces a page of instructions, has the kernel ask for what a patrol scrubber has found, and runs them.
#![no_std]
#![no_main]

use seawall_firmware::calls::PATROL;
use seawall_tasks::{TARGET_TEXT, What, call, checkpoint, run};

seawall_tasks::text!(TARGET_TEXT: "mov x0, #7", "ret");
seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, TARGET_TEXT, What::Page);
    call(PATROL, 0, 0, 0);
    u64::from(run(TARGET_TEXT) != 7)
}
