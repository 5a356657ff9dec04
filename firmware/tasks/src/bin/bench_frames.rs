//! Measures each figure with 1, 1,024 and 16,384 retired frames: a child for each meets poison before.
#![no_std]
#![no_main]

use seawall_firmware::calls::WAIT;
use seawall_tasks::{call, measure};

seawall_tasks::measured_pages!();
seawall_tasks::program!(main);

/// Frames that are retired, or more, while it is measured.
const PLACES: [u64; 3] = [1, 1024, 16_384];

fn main(_: u64, port: bool) -> u64 {
    if !measure::counts() || !port {
        return 2;
    }
    let mut retired = 0;
    // Told at the end: a journal as long as this keeps the newest.
    let mut figures = [(); PLACES.len()].map(|()| measure::NONE);
    for (slots, figures) in PLACES.into_iter().zip(&mut figures) {
        while retired < slots {
            let Some(slot) = measure::start("victim") else {
                return 1;
            };
            call(WAIT, slot, 0, 0);
            retired += 1;
        }
        *figures = measure::all();
    }
    for (place, figures) in (1..).zip(figures) {
        measure::report(place, figures);
    }
    0
}
