//! Goes on after a call behind which a replayer may have poisoned the root of its translation tables: the next instruction
//! is the first that cannot be fetched.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a call at a fixed address")]

use seawall_firmware::calls::{CHECKPOINT, What};
use seawall_tasks::TARGET_TEXT;

// INPUTS: x0, x1, x2, x8: a call's. OUTPUTS: x0. CLOBBERS: nothing else. ENDING: RET, one instruction behind the page's
// beginning.
seawall_tasks::text!(TARGET_TEXT: "svc #0", "ret");
seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    // SAFETY: the one function in the page makes a call that announces.
    unsafe {
        core::arch::asm!(
            "blr {at}",
            at = in(reg) TARGET_TEXT,
            inlateout("x0") 1_u64 => _, in("x1") TARGET_TEXT, in("x2") What::Table1 as u64, in("x8") CHECKPOINT,
            out("x30") _
        );
    }
    0
}
