//! Starts programs, several at a time, until the replayer has drawn as many errors for them as it was to.
#![no_std]
#![no_main]

use seawall_firmware::calls::{FAILED, LEFT, SPAWN, WAIT};
use seawall_tasks::call;

seawall_tasks::program!(main);

/// Started together. Most announce without a page: a frame is lost for good, and there are not as many as errors.
const TOGETHER: [&str; 10] = [
    "load", "gale", "gale", "store", "gale", "pair", "gale", "fetch", "gale", "walk",
];

fn main(_: u64, _: bool) -> u64 {
    while call(LEFT, 0, 0, 0) > 0 {
        let slots = TOGETHER.map(|name| call(SPAWN, name.as_ptr() as u64, name.len() as u64, 0));
        for slot in slots {
            if slot == FAILED || call(WAIT, slot, 0, 0) == FAILED {
                return 1;
            }
        }
    }
    0
}
