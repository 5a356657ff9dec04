//! The command `seawall`: runs scenarios against a guest, explains syndromes, and reports.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::print_stderr, clippy::print_stdout)
)]

// First: its macro is for all that follow.
#[macro_use]
mod say;

pub mod backend;
pub mod budget;
mod child;
pub mod command;
pub mod doctor;
pub mod escape;
pub mod events;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod guest_tree;
pub mod judge;
pub mod kvm;
pub mod lab;
pub mod linux;
#[cfg(target_os = "linux")]
mod pagemap;
pub mod qemu;
pub mod render;
pub mod run;
pub mod saved;
pub mod scenario;
pub mod timeline;
pub mod width;
