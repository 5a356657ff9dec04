//! Forks again and again: each copy finds what this program wrote before it, changes it for itself alone, and has a copy of
//! its own that does the same.
#![no_std]
#![no_main]

use seawall_tasks::{EXITED, MARK, Page, TARGET, exit, fork, load, store, wait};

seawall_tasks::page!(TARGET: Page::marked(0x40));
seawall_tasks::program!(main);

const ROUNDS: u64 = 8;

/// A copy: it was told the round by the registers and the page alike.
fn copied(round: u64, depth: u64) -> ! {
    let mut own = [round; 8];
    let found = load(TARGET + 0x80) == round && load(TARGET + 0x40) == MARK;
    store(TARGET + 0x80, round + 100 * (depth + 1));
    core::hint::black_box(&mut own);
    let deeper = depth > 0 || {
        store(TARGET + 0x80, round);
        match fork("forked") {
            0 => copied(round, depth + 1),
            copy => wait(copy) == EXITED,
        }
    };
    core::hint::black_box(&mut own);
    let unchanged = load(TARGET + 0x80) == if depth == 0 { round } else { round + 200 };
    let kept = own.iter().all(|word| *word == round);
    exit(u64::from(!(found && deeper && unchanged && kept)))
}

fn main(_: u64, _: bool) -> u64 {
    for round in 1..=ROUNDS {
        store(TARGET + 0x80, round);
        match fork("forked") {
            0 => copied(round, 0),
            copy => {
                if wait(copy) != EXITED || load(TARGET + 0x80) != round {
                    return round;
                }
            }
        }
    }
    0
}
