//! Shares a page, that a replayer may have poisoned, with a copy of itself: two address spaces, one frame. The copy touches
//! it first; this one when the copy has ended, whatever became of it.
#![no_std]
#![no_main]

use seawall_firmware::calls::SHARE;
use seawall_tasks::{MARK, Page, TARGET, What, call, checkpoint, fork, load, store, wait};

seawall_tasks::page!(TARGET: Page::marked(0x40));
seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    if call(SHARE, TARGET, 1, 0) != 0 {
        return 1;
    }
    match fork("sharer") {
        0 => {
            store(TARGET + 0x80, 7);
            checkpoint(1, TARGET, What::Page);
            u64::from(load(TARGET + 0x40) != MARK)
        }
        copy => {
            wait(copy);
            u64::from(load(TARGET + 0x80) != 7)
        }
    }
}
