//! Touches pages of every kind that are as its image has them, each of which a replayer may have poisoned, and one that no
//! longer is.
#![no_std]
#![no_main]

use seawall_tasks::{CONSTANT, MARK, PAGES, Page, TARGET, TARGET_TEXT, What, checkpoint, load, run, store};

seawall_tasks::page!(TARGET: Page::marked(0x40));
seawall_tasks::page!(PAGES: [Page::zeroed(), Page::zeroed()]);
seawall_tasks::page!(CONSTANT: Page::marked(0x40));
seawall_tasks::text!(TARGET_TEXT: "mov x0, #7", "ret");
seawall_tasks::program!(main);

/// MOV X0, #7; RET [Arm ARM C6.2.259, C6.2.316].
const SEVEN: u64 = 0xd65f_03c0_d280_00e0;

/// Writes a page and finds it written.
fn keeps(address: u64) -> bool {
    store(address, 9);
    load(address) == 9
}

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, TARGET, What::Page);
    if load(TARGET + 0x40) != MARK || !keeps(TARGET + 0x80) {
        return 1;
    }
    checkpoint(2, PAGES, What::Page);
    if load(PAGES + 0x80) != 0 || !keeps(PAGES + 0x80) {
        return 2;
    }
    checkpoint(3, CONSTANT, What::Page);
    if load(CONSTANT + 0x40) != MARK {
        return 3;
    }
    checkpoint(4, TARGET_TEXT, What::Page);
    if load(TARGET_TEXT) != SEVEN {
        return 4;
    }
    checkpoint(5, TARGET_TEXT, What::Page);
    checkpoint(6, TARGET_TEXT, What::Source);
    if run(TARGET_TEXT) != 7 {
        return 5;
    }
    checkpoint(7, TARGET, What::Page);
    if load(TARGET + 0x80) != 9 {
        return 7;
    }
    0
}
