//! Loads from a sound page whose translation table of level 2 a replayer may have poisoned.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a load right behind the call")]

use seawall_firmware::calls::{CHECKPOINT, What};
use seawall_tasks::{LONE, MARK, Page};

seawall_tasks::page!(LONE: Page::marked(0x40));
seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    let value: u64;
    // The stack is behind the same table: between the call and the load nothing may touch it.
    // SAFETY: the call keeps every register but x0, and the load reads a page of the program.
    unsafe {
        core::arch::asm!(
            "svc #0",
            "ldr {value}, [{from}]",
            value = out(reg) value, from = in(reg) LONE + 0x40,
            inlateout("x0") 1_u64 => _, in("x1") LONE, in("x2") What::Table2 as u64, in("x8") CHECKPOINT,
            options(nostack)
        );
    }
    u64::from(value != MARK)
}
