//! Announces a page twice before it loads from it and stores to it, so that a replayer may take it away and give it back;
//! and once more before the last load.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a page at a fixed address")]

use seawall_firmware::calls::What;
use seawall_tasks::{MARK, Page, TARGET, checkpoint, load, store};

#[used]
#[unsafe(link_section = ".target")]
static mut PAGE: Page = Page::marked();

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, TARGET, What::Page);
    checkpoint(2, TARGET, What::Page);
    if load(TARGET + 0x40) != MARK {
        return 1;
    }
    store(TARGET + 0x80, 7);
    if load(TARGET + 0x80) != 7 {
        return 2;
    }
    checkpoint(3, TARGET, What::Page);
    u64::from(load(TARGET + 0x48) != MARK)
}
