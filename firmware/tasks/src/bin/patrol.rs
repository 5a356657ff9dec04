//! Writes to a page, announces it twice, has the kernel ask for what a patrol scrubber has found, and reads it again.
#![no_std]
#![no_main]

use seawall_firmware::calls::PATROL;
use seawall_tasks::{MARK, Page, TARGET, What, call, checkpoint, load, store};

seawall_tasks::page!(TARGET: Page::marked(0x40));
seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    store(TARGET + 0x80, !MARK);
    checkpoint(1, TARGET, What::Page);
    checkpoint(2, TARGET, What::Page);
    call(PATROL, 0, 0, 0);
    let is_there = load(TARGET + 0x40) == MARK && load(TARGET + 0x80) == !MARK;
    store(TARGET + 0x80, MARK);
    u64::from(!is_there || load(TARGET + 0x80) != MARK)
}
