//! Has the kernel stop before a copy of a page that a replayer may have poisoned, and in the middle of it.
#![no_std]
#![no_main]

use seawall_firmware::calls::{MEMORY_ERROR, WRITE};
use seawall_tasks::{Page, What, call, checkpoint, write};

seawall_tasks::touch!(TARGET: Page::zeroed(), |page| {
    checkpoint(2, 0, What::Copy);
    // Zeros print nothing.
    match call(WRITE, page + 0x800, 8, 0) {
        8 => true,
        MEMORY_ERROR => {
            write("copy_stop: the call failed, and I go on\n");
            true
        }
        _ => false,
    }
});
