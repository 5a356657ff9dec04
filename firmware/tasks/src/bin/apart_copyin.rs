//! Has the kernel copy from a page that has 2 MiB of memory of its own, so that all of it can be put out of reach: the
//! abort comes in the kernel, and costs the call.
#![no_std]
#![no_main]

use seawall_firmware::calls::{MEMORY_ERROR, WRITE};
use seawall_tasks::{Page, call, write};

seawall_tasks::touch!(APART: Page::zeroed(), |page| {
    // Zeros print nothing.
    match call(WRITE, page + 0x800, 8, 0) {
        8 => true,
        MEMORY_ERROR => {
            write("apart_copyin: the call failed, and I go on\n");
            true
        }
        _ => false,
    }
});
