//! Writes to its own text, which is mapped read-only: a fault of its own, and nobody else's.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a forbidden store")]

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    // SAFETY: this does not return: the store faults, and the kernel ends the program.
    unsafe { core::arch::asm!("adr {0}, _start", "str xzr, [{0}]", out(reg) _, options(nostack)) };
    0
}
