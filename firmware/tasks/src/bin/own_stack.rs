//! Pushes to its stack, in a page of it that a replayer may have poisoned.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a stack pointer at a certain place")]

use seawall_firmware::calls::{CHECKPOINT, STACK_TOP, What};

seawall_tasks::program!(main);

/// In the uppermost page of the stack, below what is on it.
const AT: u64 = STACK_TOP - 0x800;

fn main(_: u64, _: bool) -> u64 {
    let popped: u64;
    // SAFETY: nothing else is on the stack there, and the stack pointer is given back; the call keeps every register but x0.
    unsafe {
        core::arch::asm!(
            "mov {kept}, sp", "mov sp, {at}",
            "svc #0",
            "str {kept}, [sp, #-16]!", "ldr {popped}, [sp], #16",
            "mov sp, {kept}",
            "sub {popped}, {popped}, {kept}",
            kept = out(reg) _, popped = out(reg) popped, at = in(reg) AT,
            inlateout("x0") 1_u64 => _, in("x1") AT - 16, in("x2") What::Page as u64, in("x8") CHECKPOINT
        );
    }
    popped
}
