//! Stores to a page that a replayer may have poisoned.
#![no_std]
#![no_main]

use seawall_tasks::{Page, load, store};

seawall_tasks::touch!(TARGET: Page::zeroed(), |page| {
    store(page + 0x80, 7);
    load(page + 0x80) == 7
});
