//! Loads one byte from a page that a replayer may have poisoned.
#![no_std]
#![no_main]

use seawall_tasks::{MARK, Page, load_byte};

seawall_tasks::touch!(TARGET: Page::marked(0x40), |page| u64::from(load_byte(page + 0x40)) == MARK & 0xff);
