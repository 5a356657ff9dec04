//! Has the kernel copy from a page of this program's that a replayer may have poisoned: the abort comes in the kernel,
//! and costs the call.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a page at a fixed address")]

use seawall_firmware::calls::{FAILED, WRITE, What};
use seawall_tasks::{Page, TARGET, call, checkpoint, write};

#[used]
#[unsafe(link_section = ".target")]
static mut PAGE: Page = Page::zeroed();

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, TARGET, What::Page);
    // The words beyond the mark are zero, and print nothing.
    match call(WRITE, TARGET + 0x800, 8, 0) {
        8 => 0,
        FAILED => {
            write("copyin: the call failed, and I go on\n");
            0
        }
        _ => 1,
    }
}
