//! Runs an instruction that does not exist: a fault of its own, and nobody else's.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "an undefined instruction")]

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    // SAFETY: this does not return: the instruction is undefined, and the kernel ends the program.
    unsafe { core::arch::asm!("udf #0", options(noreturn)) }
}
