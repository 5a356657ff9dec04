//! Announces from EL0, and then runs for two seconds in which nothing it does leaves the guest.
#![no_std]
#![no_main]

use seawall_firmware::calls::TIME;
use seawall_tasks::{announce, call};

seawall_tasks::program!(main);

const NANOSECONDS: u64 = 2_000_000_000;
/// Between two looks at the clock, which is a call.
const ROUNDS: u64 = 100_000;

fn main(slot: u64, port: bool) -> u64 {
    if !port {
        return 0;
    }
    let begin = call(TIME, 0, 0, 0);
    announce(slot, 1);
    let (mut counted, mut looks) = (0_u64, 0_u64);
    while call(TIME, 0, 0, 0).wrapping_sub(begin) < NANOSECONDS {
        for _ in 0..ROUNDS {
            counted = core::hint::black_box(counted + 1);
        }
        looks += 1;
    }
    // Whether each register went on where it was.
    u64::from(counted != looks * ROUNDS)
}
