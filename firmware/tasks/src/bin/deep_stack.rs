//! Runs over the end of its stack, below which nothing is mapped: a fault of its own, and nobody else's.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a stack pushed without end")]

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    // SAFETY: this does not return: a push faults in the page below the stack, and the kernel ends the program.
    unsafe { core::arch::asm!("2:", "str xzr, [sp, #-16]!", "b 2b", options(noreturn)) }
}
