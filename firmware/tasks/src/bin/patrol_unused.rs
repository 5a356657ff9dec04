//! Announces a page that it never touches, and has the kernel ask for what a patrol scrubber has found.
#![no_std]
#![no_main]

use seawall_firmware::calls::PATROL;
use seawall_tasks::{Page, TARGET, What, call, checkpoint, own};

seawall_tasks::page!(TARGET: Page::marked(0x40));
seawall_tasks::program!(main);

fn main(_: u64, port: bool) -> u64 {
    own(TARGET);
    let announced = checkpoint(1, TARGET, What::Page);
    let answered = call(PATROL, 0, 0, 0);
    u64::from(announced != port || answered > 1)
}
