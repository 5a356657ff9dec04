//! Has the kernel copy from a page that a replayer may have poisoned, while an SError may be pending and is masked.
#![no_std]
#![no_main]

use seawall_tasks::{Page, What, checkpoint};

seawall_tasks::touch!(TARGET: Page::zeroed(), |page| {
    checkpoint(2, page + 0x800, What::Masked);
    true
});
