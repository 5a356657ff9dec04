//! Gets, for a page that is to be copied on its first write, a frame that turns out to be poisoned: another process has had it
//! before, and never touched it again.
#![no_std]
#![no_main]

use seawall_firmware::calls::SLEEP;
use seawall_tasks::{EXITED, Page, TARGET, What, call, checkpoint, exit, fork, load, store, wait};

/// More than a process gives back as it ends, so that the one frame is among those that are handed out again.
const COUNT: usize = 32;

static mut PAGES: [Page; COUNT] = [const { Page::zeroed() }; COUNT];

seawall_tasks::page!(TARGET: Page::marked(0x40));
seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    let first = (&raw const PAGES).expose_provenance() as u64;
    let pages = || (0..COUNT as u64).map(|number| (number, first + number * 4096));
    pages().for_each(|(number, page)| store(page, number));
    store(TARGET + 0x80, 7);
    // As long as this one lives the pages stay such that are copied.
    let keeper = fork("keeper");
    if keeper == 0 {
        call(SLEEP, 20_000_000, 0, 0);
        exit(u64::from(pages().any(|(number, page)| load(page) != number)));
    }
    let spoiler = fork("spoiler");
    if spoiler == 0 {
        store(TARGET + 0x80, 8);
        checkpoint(1, TARGET, What::Page);
        exit(0);
    }
    let is_right = wait(spoiler) == EXITED;
    pages().for_each(|(_, page)| store(page + 8, 9));
    let has_all = pages().all(|(number, page)| load(page) == number && load(page + 8) == 9);
    u64::from(!is_right || !has_all || wait(keeper) != EXITED)
}
