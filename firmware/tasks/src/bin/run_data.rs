//! Runs its own stack, which is mapped non-executable: a fault of its own, and nobody else's.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a forbidden branch")]

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    // SAFETY: this does not return: the fetch faults, and the kernel ends the program.
    unsafe { core::arch::asm!("mov x9, sp", "blr x9", out("x9") _, clobber_abi("C")) };
    0
}
