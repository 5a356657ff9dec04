//! The recovery brain for memory errors on arm64, for any kernel.
//!
//! When a host or the hardware finds poisoned memory, an arm64 kernel learns of it through a synchronous external
//! abort or an SError. Most of those cost one task, not the machine, if the kernel reads the syndrome right. This
//! crate does that part: it decodes, judges, finds who is hit, decides by policy, keeps the books and writes the
//! record. It has no `unsafe`, no assembly, no allocation and no dependency; it runs, and is tested, on any host.
//!
//! # Embedding it
//!
//! 1. Give it memory: words for a [`Journal`] and slots for a [`Ledger`].
//! 2. Implement [`Kernel`]: seven questions about who maps what, and five actions. Healing
//!    pages and telling a task's own handler are hooks that may be left out.
//! 3. Choose a [`Policy`]. [`ByRule`] gives each task the remedy that its owner asked for.
//! 4. In the vectors, read each register once, first of all, into a [`Snapshot`]. At every entry from EL0 run an `ESB`,
//!    and if `DISR_EL1.A` is set, make a snapshot with [`Cause::Deferred`] of that.
//! 5. Call [`judge`]; when there is a verdict, [`apply`] it and do what the [`Outcome`] says. When there is none, it
//!    was an ordinary exception.
//!
//! ```
//! use core::sync::atomic::AtomicU64;
//! use seawall_agent::*;
//!
//! /// Task 7 runs, and has one page: virtual 0x40_0000 lies in frame 0x4_8000.
//! struct Tiny {
//!     alive: bool,
//!     retired: Option<FrameNumber>,
//! }
//!
//! impl Kernel for Tiny {
//!     fn running(&self) -> Running {
//!         Running::Task(TaskId(7))
//!     }
//!     fn copying_for(&self, _: VirtualAddress) -> Option<TaskId> {
//!         None
//!     }
//!     fn frame_at(&self, _: TaskId, address: VirtualAddress) -> Option<FrameNumber> {
//!         (address.0 >> 12 == 0x400).then_some(FrameNumber(0x4_8000))
//!     }
//!     fn table_at(&self, _: TaskId, _: VirtualAddress, _: i8) -> Option<FrameNumber> {
//!         None
//!     }
//!     fn owner(&self, frame: FrameNumber) -> FrameOwner {
//!         if frame == FrameNumber(0x4_8000) { FrameOwner::Task(TaskId(7)) } else { FrameOwner::Free }
//!     }
//!     fn rule(&self, _: TaskId) -> Rule {
//!         Rule::Kill
//!     }
//!     fn now(&self) -> u64 {
//!         1_250
//!     }
//!     fn retire(&mut self, frame: FrameNumber) {
//!         self.retired = Some(frame);
//!     }
//!     fn kill(&mut self, _: TaskId) {
//!         self.alive = false;
//!     }
//!     fn isolate(&mut self, _: TaskId) {}
//!     fn restart(&mut self, _: TaskId) {}
//!     fn fail_copy(&mut self, _: TaskId) {}
//! }
//!
//! let mut kernel = Tiny { alive: true, retired: None };
//! let mut slots = [0; 64];
//! let mut ledger = Ledger::new(&mut slots)?;
//! let words = [const { AtomicU64::new(0) }; 16 + 16 * 8];
//! let mut journal = Journal::new(&words)?;
//!
//! // What the vector saved: a load at 0x40_0008 in EL0 met poison.
//! let snapshot = Snapshot {
//!     cause: Cause::Synchronous,
//!     from: Level::El0,
//!     esr: 0x9200_0010,
//!     far: 0x40_0008,
//!     elr: 0x20_0000,
//!     spsr: 0,
//!     disr: 0,
//!     pfar: None,
//!     ras: true,
//!     entered: 1_000,
//!     time: 0,
//! };
//! if let Some(mut verdict) = judge(&snapshot, &kernel, &ByRule) {
//!     assert_eq!(verdict.severity, Severity::Recoverable);
//!     assert_eq!(verdict.charged, Some(TaskId(7)));
//!     let outcome = apply(&mut verdict, &snapshot, &mut kernel, &mut ledger, &mut journal);
//!     assert_eq!(outcome, Outcome::Reschedule);
//! }
//! assert!(!kernel.alive);
//! assert_eq!(kernel.retired, Some(FrameNumber(0x4_8000)));
//! assert_eq!(journal.written(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Sources
//!
//! `[Arm ARM …]` is the Arm Architecture Reference Manual for A-profile, DDI 0487 M.a.a.

#![no_std]
#![forbid(unsafe_code)]
// Nothing on the way of an abort may panic: a panic there is a second error on top of the first.
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

pub mod address;
pub mod engine;
pub mod explain;
pub mod journal;
pub mod ledger;
pub mod origin;
pub mod policy;
pub mod severity;
pub mod syndrome;

pub use address::{FrameNumber, IntermediateAddress, TaskId, VirtualAddress};
pub use engine::{
    Cause, FrameOwner, GRANULE, Handler, Kernel, Level, Notice, Outcome, Rule, Running, Snapshot, Verdict,
    apply, judge,
};
pub use explain::{Explanation, explain, explain_disr};
pub use journal::{AbortRecord, Flags, Journal, JournalError};
pub use ledger::{Ledger, LedgerError, Recorded};
pub use origin::Origin;
pub use policy::{ByRule, Case, Decision, Policy, Strict};
pub use severity::Severity;
pub use syndrome::{Abort, Disr, Esr, SError};
