//! Fetches instructions from a page that a replayer may have poisoned.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a function at a fixed address")]

use seawall_firmware::calls::What;
use seawall_tasks::{TARGET_TEXT, checkpoint};

// INPUTS: none. OUTPUTS: x0 = 7. CLOBBERS: nothing else. ENDING: RET.
core::arch::global_asm!(
    ".pushsection .target_text, \"ax\"",
    ".global seven",
    "seven:",
    "    mov     x0, #7",
    "    ret",
    ".popsection",
);

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, TARGET_TEXT, What::Page);
    let value: u64;
    // SAFETY: `seven` is the one function in the page.
    unsafe { core::arch::asm!("blr {}", in(reg) TARGET_TEXT, out("x0") value, clobber_abi("C")) };
    u64::from(value != 7)
}

unsafe extern "C" {
    fn seven();
}

#[used]
static KEEP: unsafe extern "C" fn() = seven;
