//! Has the kernel write to pages that this program has not written: of zeros, of its image, one that it shares with a copy of
//! itself. Each call succeeds, as the program's own write would, and what is not to be written stays so.
#![no_std]
#![no_main]

use seawall_firmware::calls::{FAILED, PEEK, READ};
use seawall_tasks::{
    CONSTANT, EXITED, LONE, MARK, PAGES, Page, TARGET, call, call4, exit, fork, load, store, wait,
};

seawall_tasks::page!(TARGET: Page::marked(0x40));
seawall_tasks::page!(PAGES: [Page::zeroed(), Page::zeroed()]);
seawall_tasks::page!(LONE: Page::zeroed());
seawall_tasks::page!(CONSTANT: Page::marked(0x40));
seawall_tasks::program!(main);

/// From the first page into the next: 16 bytes in the one and 24 in the other.
const ACROSS: u64 = PAGES + 4096 - 16;

/// Whether the kernel writes what it knows of this program, which begins with this name.
fn writes(at: u64, name: [u8; 8]) -> bool {
    call(READ, at, 40, 0) == 40 && load(at) == u64::from_le_bytes(name)
}

fn main(slot: u64, _: bool) -> u64 {
    if !writes(ACROSS, *b"copyout_") || load(ACROSS + 16) != slot {
        return 1;
    }
    // The word that is marked, of a page of data that was read at most.
    if call4(PEEK, [slot, TARGET + 0x40, LONE + 8, 8]) != 8 || load(LONE + 8) != MARK {
        return 2;
    }
    if call(READ, CONSTANT, 40, 0) != FAILED || load(CONSTANT) != 0 {
        return 3;
    }
    store(PAGES, 7);
    let copy = fork("filler");
    // One page was written before the fork, the other not: both are the two's by now.
    let is_right = match copy {
        0 => writes(PAGES + 0x100, *b"filler\0\0") && writes(TARGET + 0x100, *b"filler\0\0"),
        copy => wait(copy) == EXITED && load(PAGES + 0x100) == 0 && load(TARGET + 0x100) == 0,
    };
    if !is_right || load(PAGES) != 7 || load(TARGET + 0x40) != MARK {
        return 4;
    }
    if copy == 0 {
        exit(0);
    }
    // Nobody else has the pages any more.
    u64::from(!writes(PAGES + 0x100, *b"copyout_") || !writes(TARGET + 0x100, *b"copyout_"))
}
