//! Loads from a page that a replayer may have poisoned, and with it the page of the frame table that has its entry.
#![no_std]
#![no_main]

use seawall_tasks::{MARK, Page, What, checkpoint, load};

seawall_tasks::touch!(TARGET: Page::marked(0x40), |page| {
    checkpoint(2, page, What::Region);
    load(page + 0x40) == MARK
});
