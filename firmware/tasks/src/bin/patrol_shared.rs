//! Shares a page with a copy of itself and announces it; a replayer may report it as a patrol scrubber does. Nobody touches it.
#![no_std]
#![no_main]

use seawall_firmware::calls::{PATROL, SHARE, SLEEP};
use seawall_tasks::{EXITED, Page, TARGET, What, call, checkpoint, exit, fork, wait};

seawall_tasks::page!(TARGET: Page::marked(0x40));
seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    if call(SHARE, TARGET, 1, 0) != 0 {
        return 1;
    }
    let copy = fork("partner");
    if copy == 0 {
        call(SLEEP, 5_000_000, 0, 0);
        exit(0);
    }
    checkpoint(1, TARGET, What::Page);
    call(PATROL, 0, 0, 0);
    u64::from(wait(copy) != EXITED)
}
