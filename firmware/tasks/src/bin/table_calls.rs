//! Has the kernel follow the tables of a page, of which a replayer may have poisoned the last: for a copy, which the machine
//! walks for, and for calls in which the kernel walks itself.
#![no_std]
#![no_main]

use seawall_firmware::calls::{FUTEX_WAKE, READ, SHARE};
use seawall_tasks::{LONE, Page, What, call, checkpoint};

seawall_tasks::page!(LONE: Page::zeroed());
seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, LONE, What::Table);
    if call(READ, LONE, 8, 0) != 8 {
        return 1;
    }
    checkpoint(2, LONE, What::Table);
    if call(FUTEX_WAKE, LONE, 1, 0) != 0 {
        return 2;
    }
    checkpoint(3, LONE, What::Table);
    u64::from(call(SHARE, LONE, 1, 0) != 0)
}
