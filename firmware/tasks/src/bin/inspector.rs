//! Starts a program that is isolated when it meets its abort, and looks at what is left of it.
#![no_std]
#![no_main]

use seawall_firmware::calls::{FAILED, INSPECT, MEMORY_ERROR, PEEK, SPAWN, WAIT, register};
use seawall_tasks::{PAGES, call, call4, load};

seawall_tasks::program!(main);

/// [`seawall_replay::report::TaskState`] as WAIT gives it.
const EXITED: u64 = 2;
const ISOLATED: u64 = 4;

fn main(_: u64, _: bool) -> u64 {
    let name = "evidence";
    let slot = call(SPAWN, name.as_ptr() as u64, name.len() as u64, 0);
    match call(WAIT, slot, 0, 0) {
        EXITED => return 0,
        ISOLATED => {}
        _ => return 1,
    }
    let read = |number| call(INSPECT, slot, number, 0);
    // Data Abort from EL0, IL, DFSC 0x10; PSTATE.M = EL0t.
    let wrong = read(20) != 0x5ea_1ed9
        || read(register::ESR) != 0x9200_0010
        || read(register::FAR) != PAGES + 0x1040
        || read(register::FRAME) & 0xfff != 0
        || read(register::DISR) != 0
        || read(register::PSTATE) & 0x1f != 0
        || read(register::PC) & !0xfff != 0x40_0000
        || read(register::SP) & 0xf != 0
        || read(register::FRAME + 1) != FAILED;
    if wrong {
        return 2;
    }
    let found = 0_u64;
    let to = &raw const found as u64;
    let wrong = call4(PEEK, [slot, PAGES + 0x10, to, 8]) != 8
        || load(to) != 0x5ea_ca5e
        || call4(PEEK, [slot, PAGES + 0x1040, to, 8]) != MEMORY_ERROR;
    u64::from(wrong) * 3
}
