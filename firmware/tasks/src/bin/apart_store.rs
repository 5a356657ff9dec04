//! Stores to a page that has 2 MiB of memory of its own, so that all of it can be put out of reach.
#![no_std]
#![no_main]

use seawall_tasks::{Page, load, store};

seawall_tasks::touch!(APART: Page::zeroed(), |page| {
    store(page + 0x80, 7);
    load(page + 0x80) == 7
});
