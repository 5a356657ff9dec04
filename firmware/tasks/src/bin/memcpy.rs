//! Copies 512 bytes out of two pages, the second of which a replayer may have poisoned.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a copy of a certain form")]

use seawall_tasks::{PAGES, Page, What, checkpoint, own};

seawall_tasks::page!(PAGES: [Page::zeroed(), Page::marked(0x40)]);
seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    let mut copy = [0xff_u8; 512];
    own(PAGES + 0x1000);
    checkpoint(1, PAGES + 0x1000, What::Page);
    // SAFETY: as many bytes as there are in `copy` are loaded from the end of the one page and the beginning of the other.
    unsafe {
        core::arch::asm!(
            "2:", "ldp {low}, {high}, [{from}], #16", "stp {low}, {high}, [{to}], #16", "cmp {from}, {end}", "b.lo 2b",
            from = inout(reg) PAGES + 0xf00 => _, to = inout(reg) copy.as_mut_ptr() => _, end = in(reg) PAGES + 0x1100,
            low = out(reg) _, high = out(reg) _, options(nostack)
        );
    }
    // The mark is in the second half, the first is zeros.
    u64::from(copy[0] != 0 || copy[0x140] != 0xea)
}
