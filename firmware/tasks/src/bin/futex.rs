//! Waits for a word in a page that a replayer may have poisoned: the kernel reads the word, and the abort costs the call.
#![no_std]
#![no_main]

use seawall_firmware::calls::{FAILED, FUTEX_WAIT, FUTEX_WAKE, MEMORY_ERROR};
use seawall_tasks::{MARK, Page, call, write};

seawall_tasks::touch!(TARGET: Page::marked(0x40), |page| {
    let word = page + 0x40;
    match call(FUTEX_WAIT, word, MARK, 1_000_000) {
        // Nobody wakes it. A word of another value, one across two others, and one that is not there are not waited for.
        2 => {
            call(FUTEX_WAIT, word, 0, 0) == 1
                && call(FUTEX_WAIT, word + 2, 0, 0) == FAILED
                && call(FUTEX_WAIT, 0x1000, 0, 0) == FAILED
                && call(FUTEX_WAKE, word, 1, 0) == 0
        }
        MEMORY_ERROR => {
            write("futex: the call failed, and I go on\n");
            call(FUTEX_WAKE, word, 1, 0) == FAILED
        }
        _ => false,
    }
});
