//! In the first slot: starts itself once more, and waits for that one's end. In any other: loads from a page of 2 MiB of its
//! own that a replayer may have poisoned, and is begun again as often as there are such 2 MiB left.
#![no_std]
#![no_main]

use seawall_firmware::calls::SPAWN;
use seawall_tasks::{APART, EXITED, KILLED, MARK, Page, What, call, checkpoint, load, own, wait};

seawall_tasks::policy!("restart:99");
seawall_tasks::page!(APART: Page::marked(0x40));
seawall_tasks::program!(main);

fn main(slot: u64, port: bool) -> u64 {
    if slot == 1 {
        let name = "restless";
        let other = call(
            SPAWN,
            name.as_ptr().expose_provenance() as u64,
            name.len() as u64,
            0,
        );
        let expected = if port { KILLED } else { EXITED };
        return u64::from(wait(other) != expected);
    }
    own(APART);
    checkpoint(1, APART, What::Page);
    u64::from(load(APART + 0x40) != MARK)
}
