//! Has the kernel copy from a page that has 2 MiB of memory of its own, so that all of it can be put out of reach: the
//! abort comes in the kernel, and costs the call.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a page at a fixed address")]

use seawall_firmware::calls::{FAILED, WRITE, What};
use seawall_tasks::{APART, Page, call, checkpoint, write};

#[used]
#[unsafe(link_section = ".apart")]
static mut PAGE: Page = Page::zeroed();

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, APART, What::Page);
    // The words beyond the mark are zero, and print nothing.
    match call(WRITE, APART + 0x800, 8, 0) {
        8 => 0,
        FAILED => {
            write("apart_copyin: the call failed, and I go on\n");
            0
        }
        _ => 1,
    }
}
