//! Forks; the copy fetches from a page of text that both have and that a replayer may have poisoned, and then this program
//! does.
#![no_std]
#![no_main]

use seawall_tasks::{EXITED, TARGET_TEXT, What, checkpoint, fork, run, wait};

seawall_tasks::text!(TARGET_TEXT: "mov x0, #7", "ret");
seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    match fork("text_sharer") {
        0 => {
            checkpoint(1, TARGET_TEXT, What::Page);
            u64::from(run(TARGET_TEXT) != 7)
        }
        copy => u64::from(wait(copy) != EXITED || run(TARGET_TEXT) != 7),
    }
}
