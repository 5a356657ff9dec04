//! Has a handler for memory errors, which deals with the page that is lost, ends the program, or meets a second error.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering};

use seawall_firmware::calls::{EXIT, FAILED, HANDLE, REPLACE, RETURN, STACK_PAGES, STACK_TOP};
use seawall_tasks::{MARK, PAGES, Page, TARGET, What, announce, call, checkpoint, load, own, store};

seawall_tasks::page!(TARGET: Page::marked(0x40));
seawall_tasks::page!(PAGES: [Page::zeroed(), Page::zeroed()]);
seawall_tasks::program!(main);

/// The handler's stack: in the page below its top, which is the program's lowest of stack.
const TOP: u64 = STACK_TOP - (STACK_PAGES - 1) * 4096;

static TASK: AtomicU64 = AtomicU64::new(0);

// What the handler is to do.
const REPLACE_AND_RETURN: u64 = 1;
const TOUCH_ANOTHER: u64 = 2;
const END: u64 = 3;
const FAULT: u64 = 4;
const NOWHERE: u64 = 5;

/// Where the handler is told that it is not known where the error was.
const UNKNOWN: u64 = u64::MAX;

fn exit(code: u64) -> ! {
    loop {
        call(EXIT, code, 0, 0);
    }
}

extern "C" fn handler(address: u64, length: u64, severity: u64, restartable: u64, told: u64) -> ! {
    let at = TASK.load(Ordering::Relaxed);
    if at == NOWHERE {
        // Recoverable, and not to be gone back to, for it is not known what is lost.
        let is_right = (address, length, severity, restartable, told) == (UNKNOWN, 4096, 2, 0, 0);
        exit(u64::from(!is_right || call(RETURN, 0, 0, 0) != FAILED));
    }
    if (address, length, severity, restartable, told) != (TARGET + 0x40, 4096, 2, 1, 0) {
        exit(8);
    }
    match at {
        REPLACE_AND_RETURN => {
            checkpoint(8, 0, What::Next);
            if call(REPLACE, address, 0, 0) != 0 || load(address) != 0 {
                exit(7);
            }
            store(address, !MARK);
            call(RETURN, 0, 0, 0);
            exit(6)
        }
        TOUCH_ANOTHER => exit(load(PAGES + 0x40)),
        FAULT => exit(load(0)),
        _ => exit(0),
    }
}

/// Touches the page that may be lost, with something for the handler to do; what it finds.
fn touch(number: u64, task: u64) -> u64 {
    TASK.store(task, Ordering::Relaxed);
    checkpoint(number, TARGET, What::Page);
    load(TARGET + 0x40)
}

fn main(slot: u64, port: bool) -> u64 {
    if call(HANDLE, handler as *const () as u64 + 2, TOP, 0) != FAILED
        || call(HANDLE, handler as *const () as u64, TOP, 0) != 0
        || call(RETURN, 0, 0, 0) != FAILED
        || call(REPLACE, TARGET, 0, 0) != FAILED
    {
        return 1;
    }
    // As its image has it: nobody is told.
    if touch(1, 0) != MARK {
        return 2;
    }
    own(TARGET);
    own(PAGES);
    let found = touch(2, REPLACE_AND_RETURN);
    if found != MARK && found != !MARK {
        return 3;
    }
    TASK.store(TOUCH_ANOTHER, Ordering::Relaxed);
    checkpoint(3, TARGET, What::Page);
    checkpoint(4, PAGES, What::Page);
    load(TARGET + 0x40);
    touch(5, FAULT);
    TASK.store(NOWHERE, Ordering::Relaxed);
    if port {
        announce(slot, 6);
    }
    touch(7, END);
    0
}
