//! Reads the kernel's memory, which EL0 may not: a fault of its own, and nobody else's.
#![no_std]
#![no_main]

seawall_tasks::program!(main);

fn main(_: u64, _: bool) -> u64 {
    seawall_tasks::load(0xffff_ffff_8000_0000)
}
