//! Measures each figure with 1, 64 and 4,096 tasks: with so many slots of the task table in use that are there beside
//! nobody's, this program's and its child's, all of them asleep.
#![no_std]
#![no_main]

use seawall_tasks::measure;

seawall_tasks::measured_pages!();
seawall_tasks::program!(main);

/// Slots in use while it is measured.
const PLACES: [u64; 3] = [1, 64, 4096];
/// Of these, those of nobody, of this program, and of its child.
const OTHERS: u64 = 3;

fn main(_: u64, port: bool) -> u64 {
    if !measure::counts() || !port {
        return 2;
    }
    let mut sleepers = OTHERS;
    for (place, slots) in (1..).zip(PLACES) {
        while sleepers < slots {
            if measure::start("sleeper").is_none() {
                return 1;
            }
            sleepers += 1;
        }
        // They fall asleep when their turns come, once each.
        seawall_tasks::call(seawall_firmware::calls::YIELD, 0, 0, 0);
        measure::report(place, measure::all());
    }
    0
}
