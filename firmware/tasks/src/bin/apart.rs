//! Loads from a page that has 2 MiB of memory of its own, so that all of it can be put out of reach.
#![no_std]
#![no_main]

use seawall_tasks::{MARK, Page, load};

seawall_tasks::touch!(APART: Page::marked(0x40), |page| load(page + 0x40) == MARK);
