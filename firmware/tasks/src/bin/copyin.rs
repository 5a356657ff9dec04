//! Has the kernel copy from a page of this program's that a replayer may have poisoned: the abort comes in the kernel,
//! and costs the call.
#![no_std]
#![no_main]

use seawall_firmware::calls::{MEMORY_ERROR, WRITE};
use seawall_tasks::{Page, call, write};

seawall_tasks::touch!(TARGET: Page::zeroed(), |page| {
    // Zeros print nothing.
    match call(WRITE, page + 0x800, 8, 0) {
        8 => true,
        MEMORY_ERROR => {
            write("copyin: the call failed, and I go on\n");
            true
        }
        _ => false,
    }
});
