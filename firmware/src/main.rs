//! The guest: a small arm64 kernel that loses one task where it could lose the machine.
//!
//! `arch` knows the machine and holds all `unsafe`; `kernel` runs tasks and takes aborts; the library beside this
//! binary reads what comes from outside. This file is the boot.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
mod arch;
#[cfg(target_os = "none")]
mod kernel;

#[cfg(target_os = "none")]
mod boot;
#[cfg(target_os = "none")]
pub(crate) use boot::guest_main;

/// On a host there is nothing to run: the guest is built for bare metal by `cargo xtask build`.
#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("the guest runs on bare metal alone: `cargo xtask build` makes target/seawall/seawall.Image");
}
