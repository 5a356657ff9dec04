//! The bench's child: reads the instruction counter into x19 and loads from a page that is poisoned.
#![no_std]
#![no_main]
#![expect(
    unsafe_code,
    reason = "a page at a fixed address, and an exact instruction sequence"
)]

use seawall_firmware::calls::What;
use seawall_tasks::{Page, TARGET, checkpoint};

#[used]
#[unsafe(link_section = ".target")]
static mut PAGE: Page = Page::zeroed();

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, TARGET, What::Page);
    // SAFETY: the address lies in this program's own page; x19 is given back as it was.
    unsafe {
        core::arch::asm!(
            "mov {kept}, x19",
            "mrs x19, pmevcntr0_el0",
            "ldr {scratch}, [{page}]",
            "mov x19, {kept}",
            kept = out(reg) _, scratch = out(reg) _, page = in(reg) TARGET + 0x40, options(nostack)
        );
    }
    0
}
