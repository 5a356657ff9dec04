//! Starts others, by their image and by a fork, in frames that may have been poisoned while they were nobody's.
#![no_std]
#![no_main]

use seawall_firmware::calls::{FAILED, PATROL, SLEEP, SPAWN};
use seawall_tasks::{EXITED, What, call, checkpoint, exit, fork, wait};

seawall_tasks::program!(main);

/// Starts a program; whether it ran to its end.
fn start(name: &str) -> bool {
    let slot = call(SPAWN, name.as_ptr() as u64, name.len() as u64, 0);
    slot != FAILED && wait(slot) == EXITED
}

fn main(_: u64, _: bool) -> u64 {
    // Of the frames that are handed out next the first becomes the root of a task's tables, and the second a page.
    checkpoint(1, 1, What::Next);
    let mut is_right = start("load");
    checkpoint(2, 0, What::Next);
    is_right &= start("load");
    for earlier in 0..3 {
        checkpoint(3, earlier, What::Next);
    }
    is_right &= start("load");
    if !is_right {
        return 1;
    }
    checkpoint(4, 0, What::Next);
    let child = fork("forked");
    if child == 0 {
        exit(0);
    }
    if child == FAILED || wait(child) != EXITED {
        return 2;
    }
    // Far from all others: to take it out of the kernel's own mapping a table is needed.
    checkpoint(5, 0, What::Free);
    let answered = call(PATROL, 0, 0, 0);
    call(SLEEP, 5_000_000, 0, 0);
    u64::from(answered > 1)
}
