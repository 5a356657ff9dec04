//! Has the kernel write to a page of this program's that a replayer may have poisoned: the abort comes in the kernel,
//! and costs the call.
#![no_std]
#![no_main]

use seawall_firmware::calls::{MEMORY_ERROR, READ};
use seawall_tasks::{Page, call, load, write};

seawall_tasks::touch!(TARGET: Page::zeroed(), |page| {
    match call(READ, page + 0x100, 40, 0) {
        40 => load(page + 0x100) == u64::from_le_bytes(*b"copyout\0"),
        MEMORY_ERROR => {
            write("copyout: the call failed, and I go on\n");
            // The page is gone: it is not met twice, and the error is the same.
            call(READ, page + 0x100, 40, 0) == MEMORY_ERROR
        }
        _ => false,
    }
});
