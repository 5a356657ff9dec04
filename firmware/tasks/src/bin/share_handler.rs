//! Shares a page, that a replayer may have poisoned, with a copy of itself that meets it first. This one has a handler: it
//! touches the page when the copy has ended, and makes it good if it is told that it was lost.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering};

use seawall_firmware::calls::{HANDLE, REPLACE, RETURN, SHARE, STACK_PAGES, STACK_TOP};
use seawall_tasks::{
    EXITED, KILLED, MARK, Page, TARGET, What, call, checkpoint, exit, fork, load, store, wait, write,
};

seawall_tasks::page!(TARGET: Page::marked(0x40));
seawall_tasks::program!(main);

/// The handler's stack: in the page below its top, which is the program's lowest of stack.
const TOP: u64 = STACK_TOP - (STACK_PAGES - 1) * 4096;

static TOLD: AtomicU64 = AtomicU64::new(0);

extern "C" fn handler(address: u64, length: u64, severity: u64, restartable: u64, told: u64) -> ! {
    // Recoverable, to be gone back to, and told of it.
    if (address, length, severity, restartable, told) != (TARGET + 0x80, 4096, 2, 1, 1) {
        exit(8);
    }
    TOLD.fetch_add(1, Ordering::Relaxed);
    if call(REPLACE, address, 0, 0) != 0 {
        exit(7);
    }
    store(address, !MARK);
    call(RETURN, 0, 0, 0);
    exit(6)
}

fn main(_: u64, _: bool) -> u64 {
    if call(SHARE, TARGET, 1, 0) != 0 || call(HANDLE, handler as *const () as u64, TOP, 0) != 0 {
        return 1;
    }
    match fork("struck") {
        0 => {
            // Nobody inherits a handler.
            store(TARGET + 0x80, 7);
            checkpoint(1, TARGET, What::Page);
            u64::from(load(TARGET + 0x40) != MARK)
        }
        copy => {
            let expected = match wait(copy) {
                EXITED => (7, MARK, 0),
                KILLED => (!MARK, 0, 1),
                _ => return 2,
            };
            let found = (
                load(TARGET + 0x80),
                load(TARGET + 0x40),
                TOLD.load(Ordering::Relaxed),
            );
            if found != expected {
                return 3;
            }
            if found.2 == 1 {
                write("share_handler: the page is lost, and I go on with another\n");
            }
            0
        }
    }
}
