//! Forks; the copy writes to a page that both still share and that a replayer may have poisoned, so that it is the kernel
//! that reads it. This program goes on with its own, if it was not lost, and else without it.
#![no_std]
#![no_main]

use seawall_tasks::{EXITED, KILLED, MARK, Page, TARGET, What, checkpoint, fork, load, store, wait, write};

seawall_tasks::page!(TARGET: Page::marked(0x40));
seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    // A page that was written is in its frame alone.
    store(TARGET + 0x88, 7);
    match fork("copier") {
        0 => {
            checkpoint(1, TARGET, What::Page);
            store(TARGET + 0x80, 7);
            u64::from(load(TARGET + 0x80) != 7 || load(TARGET + 0x40) != MARK)
        }
        copy => match wait(copy) {
            EXITED => u64::from(load(TARGET + 0x80) != 0 || load(TARGET + 0x40) != MARK),
            KILLED => {
                write("copy_on_write: the page is lost, and I go on without it\n");
                0
            }
            _ => 2,
        },
    }
}
