//! Forks, and loses a page that it had written before: its handler replaces it. Then it announces itself through the port's
//! page for programs, which a fork must leave alone.
#![no_std]
#![no_main]

use seawall_firmware::calls::{HANDLE, REPLACE, RETURN, SHARE, SLEEP, STACK_PAGES, STACK_TOP};
use seawall_tasks::{
    EXITED, MARK, PAGES, Page, TARGET, What, announce, call, checkpoint, exit, fork, load, store, wait, write,
};

seawall_tasks::page!(TARGET: Page::marked(0x40));
seawall_tasks::page!(PAGES: [Page::zeroed(), Page::zeroed()]);
seawall_tasks::program!(main);

const TOP: u64 = STACK_TOP - (STACK_PAGES - 1) * 4096;

extern "C" fn handler(address: u64) -> ! {
    if address == u64::MAX {
        write("handler_fork: told of an error without a place\n");
        exit(0);
    }
    if call(REPLACE, address, 0, 0) != 0 {
        exit(9);
    }
    call(RETURN, 0, 0, 0);
    exit(8)
}

fn main(slot: u64, port: bool) -> u64 {
    store(TARGET + 0x80, 7);
    if call(SHARE, PAGES, 1, 0) != 0 {
        return 1;
    }
    call(HANDLE, handler as *const () as u64, TOP, 0);
    let copy = fork("other");
    if copy == 0 {
        // As long as the page is two processes', it is one that is copied.
        while load(PAGES) == 0 {
            call(SLEEP, 1_000_000, 0, 0);
        }
        exit(0);
    }
    checkpoint(1, TARGET, What::Page);
    let found = load(TARGET + 0x40);
    store(PAGES, 1);
    let is_right = (found == MARK || found == 0) && wait(copy) == EXITED;
    if port {
        announce(slot, 2);
    }
    u64::from(!is_right)
}
