//! Loads from a page that is mapped to where the VM has nothing.
#![no_std]
#![no_main]

use seawall_firmware::calls::What;
use seawall_tasks::{checkpoint, load};

seawall_tasks::program!(main);

const AT: u64 = 0x7000_0000;

fn main(_: u64, _: bool) -> u64 {
    if checkpoint(1, AT, What::Beyond) {
        load(AT + 0x40);
    }
    0
}
