//! Fetches instructions from a page that a replayer may have poisoned.
#![no_std]
#![no_main]

use seawall_tasks::{TARGET_TEXT, What, checkpoint, run};

seawall_tasks::text!(TARGET_TEXT: "mov x0, #7", "ret");
seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, TARGET_TEXT, What::Page);
    u64::from(run(TARGET_TEXT) != 7)
}
