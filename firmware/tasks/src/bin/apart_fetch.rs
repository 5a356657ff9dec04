//! Fetches instructions from a page that has 2 MiB of memory of its own, so that all of it can be put out of reach.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a function at a fixed address")]

use seawall_firmware::calls::What;
use seawall_tasks::{APART_TEXT, checkpoint};

// INPUTS: none. OUTPUTS: x0 = 7. CLOBBERS: nothing else. ENDING: RET.
core::arch::global_asm!(
    ".pushsection .apart_text, \"ax\"",
    ".global seven",
    "seven:",
    "    mov     x0, #7",
    "    ret",
    ".popsection",
);

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    checkpoint(1, APART_TEXT, What::Page);
    let value: u64;
    // SAFETY: `seven` is the one function in the page.
    unsafe { core::arch::asm!("blr {}", in(reg) APART_TEXT, out("x0") value, clobber_abi("C")) };
    u64::from(value != 7)
}

unsafe extern "C" {
    fn seven();
}

#[used]
static KEEP: unsafe extern "C" fn() = seven;
