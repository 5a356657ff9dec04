//! The command `seawall`: runs scenarios against a guest, explains syndromes, and reports.
#![cfg_attr(not(test), deny(clippy::unwrap_used))]

pub mod backend;
pub mod guest_tree;
pub mod kvm;
pub mod lab;
pub mod qemu;
