//! Loads a pair of registers, which gives a hypervisor no syndrome to decode, from a page that may be poisoned.
#![no_std]
#![no_main]
#![expect(
    unsafe_code,
    reason = "a page at a fixed address, and a load of a certain form"
)]

use seawall_firmware::calls::What;
use seawall_tasks::{MARK, Page, TARGET, checkpoint};

#[used]
#[unsafe(link_section = ".target")]
static mut PAGE: Page = Page::marked();

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, TARGET, What::Page);
    let (low, high): (u64, u64);
    // SAFETY: the address lies in this program's own page.
    unsafe {
        core::arch::asm!("ldp {}, {}, [{}]", out(reg) low, out(reg) high, in(reg) TARGET + 0xc0, options(nostack, readonly));
    };
    u64::from(low + high != 2 * MARK)
}
