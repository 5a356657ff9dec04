//! What of the guest needs no arm64 machine: reading its world and its programs, and keeping the books on memory.
//!
//! The guest itself is the binary beside this library; here is all that can be tested on any host.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod arguments;
pub mod board;
pub mod bundle;
pub mod calls;
pub mod elf;
pub mod frames;
pub mod image;
pub mod layout;
pub mod leaf;
pub mod lost;
pub mod policy;
pub mod regions;
pub mod slots;

/// A length or an address as the machine's own size: the guest runs on 64 bits alone.
#[expect(clippy::cast_possible_truncation, reason = "64 bits wherever the guest runs")]
#[inline(always)]
#[must_use]
pub const fn native(value: u64) -> usize {
    value as usize
}
