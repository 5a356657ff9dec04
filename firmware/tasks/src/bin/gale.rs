//! Loads from a page that may be poisoned, then announces time and again, in EL0 and on its way into the kernel, and goes
//! on for as long as the errors let it.
#![no_std]
#![no_main]

use seawall_firmware::calls::What;
use seawall_tasks::{MARK, Page, TARGET, announce, checkpoint, load};

seawall_tasks::page!(TARGET: Page::marked(0x40));
seawall_tasks::program!(main);

static WORK: [u64; 2] = [3, 4];
/// Rounds, with two announcements each.
const ROUNDS: usize = 8;

fn main(slot: u64, port: bool) -> u64 {
    checkpoint(2, TARGET, What::Page);
    if load(TARGET + 0x40) != MARK {
        return 1;
    }
    for _ in 0..ROUNDS {
        if port {
            announce(slot, 1);
        }
        // Something whose result shows whether it went on where it was.
        let sum: u64 = WORK
            .iter()
            .map(|word| load(core::ptr::from_ref(word) as u64))
            .sum();
        if sum != 7 {
            return 1;
        }
        checkpoint(1, 0, What::Border);
    }
    0
}
