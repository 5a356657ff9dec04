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
//!
//! # A replayer
//!
//! Each of the guest's writes to the port goes into the [`Interpreter`](interpreter::Interpreter), and before the guest
//! goes on the VMM does what the [`Reaction`](interpreter::Reaction) says. This one can open holes and pend SErrors.
//!
//! ```
//! use seawall_replay::IntermediateAddress;
//! use seawall_replay::interpreter::{Interpreter, Reaction};
//! use seawall_replay::plan::{Injection, Plan, Step};
//! use seawall_replay::port::{self, Announcement, End, Register, Window};
//!
//! /// The guest's memory.
//! const MEMORY: core::ops::Range<u64> = 0x8000_0000..0x8400_0000;
//!
//! #[derive(Default)]
//! struct Vm {
//!     hole: Option<IntermediateAddress>,
//!     serror: Option<Option<u32>>,
//!     journal: Option<core::ops::Range<u64>>,
//!     end: Option<End>,
//! }
//!
//! impl Vm {
//!     /// The vCPU left for a write to the port. The error is what this VM cannot do.
//!     fn answer(&mut self, port: &mut Interpreter, offset: u64, width: usize, value: u64) -> Result<(), Reaction> {
//!         match port.write(offset, width, value) {
//!             Reaction::Inject { injection: Injection::Hole, announcement, .. }
//!                 if MEMORY.contains(&announcement.page.0) =>
//!             {
//!                 // Out of the memslots. Every access to it is then answered by `ext_dabt_pending`.
//!                 self.hole = Some(announcement.page);
//!             }
//!             Reaction::Inject { injection: Injection::SError { syndrome }, .. } => {
//!                 // `serror_pending`, and with a syndrome `serror_has_esr`.
//!                 self.serror = Some(syndrome);
//!             }
//!             cannot @ Reaction::Inject { .. } => return Err(cannot),
//!             Reaction::Journal { address, length } => {
//!                 // The guest's word: it is checked before anyone reads there.
//!                 self.journal = address.0.checked_add(length).map(|end| address.0..end);
//!                 self.journal.take_if(|at| at.start < MEMORY.start || at.end > MEMORY.end);
//!             }
//!             Reaction::Lost { from } => port.lost(self.hole.filter(|page| *page >= from)),
//!             Reaction::End(end) => self.end = Some(end),
//!             Reaction::Announced { .. } | Reaction::Noted | Reaction::Refused => {}
//!         }
//!         Ok(())
//!     }
//! }
//!
//! // The task in slot 1 is to meet a hole at its checkpoint 1, once.
//! let plan = Plan::new(&[Step {
//!     task: Some(1),
//!     number: 1,
//!     window: Window::Checkpoint,
//!     skip: 0,
//!     times: 1,
//!     injection: Injection::Hole,
//! }])?;
//! let (mut vm, mut port) = (Vm::default(), Interpreter::new(plan));
//!
//! // What a guest does, from its boot to its end: it looks whether there is a port, says where its journal lies,
//! // announces the page that its task is about to touch, and is done.
//! assert_eq!(port.read(Register::Magic.offset(), 8), port::MAGIC);
//! let page = IntermediateAddress(0x8040_7000);
//! let announcement = Announcement { task: 1, number: 1, page };
//! for (register, value) in [
//!     (Register::JournalAddress, 0x8300_0000),
//!     (Register::JournalLength, 0x8_0080),
//!     (Window::Checkpoint.register(), announcement.to_word()),
//!     (Register::End, End::Done.to_word()),
//! ] {
//!     vm.answer(&mut port, register.offset(), 8, value).expect("a hole can be made");
//! }
//!
//! // Every step has fired as often as it was to, and the guest lived. Whether it did right is in its journal: the
//! // bytes that lie here now, for `seawall_agent::journal::read`.
//! assert_eq!(vm.hole, Some(page));
//! assert!(port.fired().eq([1]));
//! assert_eq!(vm.end, Some(End::Done));
//! assert_eq!(vm.journal, Some(0x8300_0000..0x8308_0080));
//! # Ok::<(), seawall_replay::plan::PlanError>(())
//! ```
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
