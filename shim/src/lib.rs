//! What the shim decides: pure functions of registers and tables, without a register of their own.
//!
//! The shim is a replayer for where there is no KVM. It runs at EL2 under a guest at EL1, on one CPU of QEMU `virt`, and
//! does with stage 2, `HCR_EL2.VSE` and `VSESR_EL2` what the runner does elsewhere with memslots and
//! `KVM_SET_VCPU_EVENTS`. The program that collects and applies is `main.rs`; everything with asm is under its `arch`.
#![no_std]
#![forbid(unsafe_code)]

pub mod answer;
pub mod psci;
pub mod stage2;
pub mod trap;
