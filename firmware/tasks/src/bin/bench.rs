//! Measures, in instructions, what the kernel's ways cost with nothing beside: an empty call, and each figure.
#![no_std]
#![no_main]

use seawall_firmware::calls::MEASURE;
use seawall_tasks::{call, measure};

seawall_tasks::measured_pages!();
// A whole page, so that all of it has to come from the program's image.
seawall_tasks::text!(TARGET_TEXT: ".rept 1023", "nop", ".endr", "ret");
seawall_tasks::program!(main);

fn main(_: u64, port: bool) -> u64 {
    if !measure::counts() {
        return 2;
    }
    call(MEASURE, measure::EMPTY_CALL, measure::empty_call(), 0);
    if port {
        measure::report(0, measure::all());
        if let Some(cost) = measure::heal_text() {
            call(MEASURE, measure::HEAL_TEXT, cost, 0);
        }
    }
    0
}
