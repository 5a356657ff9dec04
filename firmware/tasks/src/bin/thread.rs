//! Starts a thread, which loads from a page that a replayer may have poisoned, and waits for it: one address space, two
//! tasks.
#![no_std]
#![no_main]

use seawall_tasks::{EXITED, MARK, Page, Stack, TARGET, What, checkpoint, exit, load, store, thread, wait};

seawall_tasks::page!(TARGET: Page::marked(0x40));
seawall_tasks::program!(main);

static STACK: Stack = Stack::new();

extern "C" fn work(_: u64) -> ! {
    checkpoint(1, TARGET, What::Page);
    exit(u64::from(load(TARGET + 0x40) != MARK))
}

fn main(_: u64, _: bool) -> u64 {
    // A page that was written is in its frame alone.
    store(TARGET + 0x80, 7);
    u64::from(wait(thread(work, &STACK, 0)) != EXITED)
}
