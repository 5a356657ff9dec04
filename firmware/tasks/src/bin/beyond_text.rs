//! Jumps into a page that is mapped to where the VM has nothing.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a jump to an address")]

use seawall_firmware::calls::What;
use seawall_tasks::checkpoint;

seawall_tasks::program!(main);

const AT: u64 = 0x7000_0000;

fn main(_: u64, _: bool) -> u64 {
    if checkpoint(1, AT, What::BeyondText) {
        // SAFETY: nothing can be fetched there; if something were, this program would be lost and nobody else.
        unsafe { core::arch::asm!("blr {}", in(reg) AT + 0x40, clobber_abi("C")) };
    }
    0
}
