//! Starts ten thousand programs of five kinds, one after the other, each of which may meet its own error.
#![no_std]
#![no_main]

use seawall_firmware::calls::{FAILED, SPAWN, WAIT};
use seawall_tasks::call;

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    for (name, times) in [
        ("load", 4000),
        ("store", 2000),
        ("pair", 2000),
        ("border", 1000),
        ("serror", 1000),
    ] {
        for _ in 0..times {
            let slot = call(SPAWN, name.as_ptr() as u64, name.len() as u64, 0);
            if slot == FAILED || call(WAIT, slot, 0, 0) == FAILED {
                return 1;
            }
        }
    }
    0
}
