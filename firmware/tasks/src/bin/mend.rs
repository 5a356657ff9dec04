//! Announces a page twice before it loads from it and stores to it, so that a replayer may take it away and give it back;
//! and once more before the last load.
#![no_std]
#![no_main]

use seawall_tasks::{MARK, Page, What, checkpoint, load, store};

seawall_tasks::touch!(TARGET: Page::marked(0x40), |page| {
    checkpoint(2, page, What::Page);
    if load(page + 0x40) != MARK {
        return false;
    }
    store(page + 0x80, 7);
    if load(page + 0x80) != 7 {
        return false;
    }
    checkpoint(3, page, What::Page);
    load(page + 0x48) == MARK
});
