//! Shares a page, that a replayer may have poisoned, with a copy of itself, which meets the poison. This one waits for a word
//! in the page meanwhile, and then has the kernel read and write it: each call fails as one that had met the poison itself,
//! and this program goes on.
#![no_std]
#![no_main]

use seawall_firmware::calls::{FUTEX_WAIT, FUTEX_WAKE, MEMORY_ERROR, PEEK, READ, SHARE, SLEEP, WRITE};
use seawall_tasks::{MARK, Page, TARGET, What, call, call4, checkpoint, fork, load, wait, write};

seawall_tasks::page!(TARGET: Page::marked(0x40));
seawall_tasks::program!(main);

const WORD: u64 = TARGET + 0x40;

fn main(slot: u64, _: bool) -> u64 {
    if call(SHARE, TARGET, 1, 0) != 0 {
        return 1;
    }
    match fork("sharer") {
        0 => {
            // The other waits by now.
            call(SLEEP, 1_000_000, 0, 0);
            checkpoint(1, TARGET, What::Page);
            u64::from(load(WORD) != MARK || call(FUTEX_WAKE, WORD, 1, 0) != 1)
        }
        copy => match call(FUTEX_WAIT, WORD, MARK, 0) {
            0 => u64::from(wait(copy) != seawall_tasks::EXITED),
            MEMORY_ERROR => {
                let mut there = [0_u8; 8];
                let to = (&raw mut there).expose_provenance() as u64;
                let results = [
                    call(WRITE, TARGET + 0x100, 8, 0),
                    call(READ, TARGET + 0x200, 8, 0),
                    call(FUTEX_WAIT, WORD, MARK, 1),
                    call4(PEEK, [slot, TARGET + 0x300, to, 8]),
                ];
                if results != [MEMORY_ERROR; 4] {
                    return 3;
                }
                write("share_copy: each call failed, and I go on\n");
                u64::from(wait(copy) != seawall_tasks::KILLED)
            }
            _ => 2,
        },
    }
}
