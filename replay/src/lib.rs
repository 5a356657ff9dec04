//! The contract between a guest that meets memory errors and whoever replays them into it.
//!
//! A guest that wants an abort to come at a known place *announces* the place through the [`port`]: "task 1 is about
//! to touch the page at this IPA, checkpoint 1". The replayer holds a [`plan`], and its [`interpreter`] answers each
//! port access with what is to be done: nothing, leave a hole where the page was, pend an SError. What happened is
//! written down in a [`transcript`]; what the guest has to say of itself at its end is a [`report`].
//!
//! The same code runs in the shim at EL2 and in the runner on KVM, so that a scenario means the same on both:
//! [`entry`] is the architecture's exception entry as a pure function, [`walk`] finds the level of a stage-1 walk that
//! met a hole, and [`handover`] is the block by which the runner tells the shim what to run.
//!
//! Everything read from the other side is bounded and checked: no function here panics, allocates, or trusts a length.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

pub mod draw;
pub mod entry;
pub mod handover;
pub mod interpreter;
pub mod plan;
pub mod port;
pub mod report;
pub mod reports;
pub mod transcript;
pub mod walk;

mod layout;

/// An intermediate physical address: what the guest takes for a physical one, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct IntermediateAddress(pub u64);

impl IntermediateAddress {
    /// The address of the 4 KiB page this address lies in.
    #[must_use]
    pub const fn page(self) -> Self {
        Self(self.0 & !0xfff)
    }
}

impl core::fmt::LowerHex for IntermediateAddress {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::LowerHex::fmt(&self.0, f)
    }
}
