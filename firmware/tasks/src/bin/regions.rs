//! Has the kernel announce and touch pages of its own, one of each kind, of which a replayer may have taken one: checkpoint
//! 1 and on, in the order of `Spot`.
#![no_std]
#![no_main]

use seawall_firmware::calls::Spot;
use seawall_tasks::{What, checkpoint};

seawall_tasks::program!(main);

fn main(_: u64, port: bool) -> u64 {
    let announced = Spot::ALL
        .into_iter()
        .filter(|spot| checkpoint(*spot as u64 + 1, *spot as u64, What::Region) == port)
        .count();
    u64::from(announced != Spot::ALL.len())
}
