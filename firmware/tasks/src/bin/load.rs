//! Loads from a page that a replayer may have poisoned.
#![no_std]
#![no_main]

use seawall_tasks::{MARK, Page, load};

seawall_tasks::touch!(TARGET: Page::marked(0x40), |page| load(page + 0x40) == MARK);
