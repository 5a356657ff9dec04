//! Fetches instructions from a page that has 2 MiB of memory of its own, so that all of it can be put out of reach.
#![no_std]
#![no_main]

use seawall_tasks::{APART_TEXT, What, checkpoint, run};

seawall_tasks::text!(APART_TEXT: "mov x0, #7", "ret");
seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, APART_TEXT, What::Page);
    u64::from(run(APART_TEXT) != 7)
}
