//! Reads the instruction counter, and takes an SError behind its next instruction; for the bench, which finds the reading
//! in the register it died with.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "an exact instruction sequence")]

use seawall_firmware::calls::USER_WINDOW;

seawall_tasks::program!(main);

fn main(slot: u64, _: bool) -> u64 {
    // SAFETY: the kernel maps the port's page there; x19 is given back as it was.
    unsafe {
        core::arch::asm!(
            "mov {kept}, x19",
            "mrs x19, pmevcntr0_el0",
            "str {word}, [{window}]",
            "mov x19, {kept}",
            kept = out(reg) _, word = in(reg) slot << 52 | 2, window = in(reg) USER_WINDOW, options(nostack)
        );
    }
    0
}
