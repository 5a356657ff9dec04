//! Starts two threads: one writes to memory of this program's and leaves, by itself alone; the other never does, and ends
//! with this program.
#![no_std]
#![no_main]

use seawall_firmware::calls::YIELD;
use seawall_tasks::{EXITED, MARK, Page, Stack, TARGET, call, exit, load, store, thread, wait};

seawall_tasks::page!(TARGET: Page::marked(0x40));
seawall_tasks::program!(main);

static STACKS: [Stack; 2] = [Stack::new(), Stack::new()];

extern "C" fn leave(value: u64) -> ! {
    store(TARGET + 0x80, value);
    exit(u64::from(load(TARGET + 0x40) != MARK))
}

extern "C" fn stay(value: u64) -> ! {
    store(TARGET + 0x88, value);
    loop {
        call(YIELD, 0, 0, 0);
    }
}

fn main(_: u64, _: bool) -> u64 {
    let [first, second] = &STACKS;
    let leaving = thread(leave, first, 7);
    thread(stay, second, 8);
    if wait(leaving) != EXITED || load(TARGET + 0x80) != 7 {
        return 1;
    }
    while load(TARGET + 0x88) != 8 {
        call(YIELD, 0, 0, 0);
    }
    0
}
