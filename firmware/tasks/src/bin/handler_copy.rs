//! Has the kernel stop while it handles the abort of a copy.
#![no_std]
#![no_main]

use seawall_firmware::calls::{MEMORY_ERROR, WRITE};
use seawall_tasks::{Page, What, call, checkpoint};

seawall_tasks::touch!(TARGET: Page::zeroed(), |page| {
    checkpoint(2, 0, What::Handler);
    matches!(call(WRITE, page + 0x800, 8, 0), 8 | MEMORY_ERROR)
});
