//! The recovery brain for memory errors on arm64, for any kernel.
//!
//! When a host or the hardware finds poisoned memory, an arm64 kernel learns of it through a synchronous external
//! abort or an SError. Most of those cost one task, not the machine, if the kernel reads the syndrome right. This
//! crate does that part: it decodes, judges, finds who is hit, decides by policy, keeps the books and writes the
//! record. It has no `unsafe`, no assembly, no allocation and no dependency; it runs, and is tested, on any host.
//!
//! # Embedding it
//!
//! 1. Give it memory: words for a [`Journal`], slots for a [`Ledger`] ([Memory](#memory)).
//! 2. Implement [`Kernel`]: seven questions about who maps what, and five actions; nine more hooks if pages can be had
//!    again, tasks have handlers, share memory, or copies lie between barriers.
//! 3. Choose a [`Policy`]. [`ByRule`] gives each task the remedy that its owner asked for.
//! 4. In the vectors, read each syndrome register once, first of all, into a [`Snapshot`]. Run an `ESB` and look at
//!    `DISR_EL1` at every entry from EL0, before you go back there, and round each copy of a task's memory; where
//!    `DISR_EL1.A` is set, clear the register and make a snapshot with [`Cause::Deferred`] of what it held. `from` is
//!    [`Level::El0`] for the barrier at the entry and [`Level::El1`] for every other.
//! 5. Call [`judge`]; if there is a verdict, [`apply`] it and do what the [`Outcome`] says. If there is none, it was an
//!    ordinary exception, or nothing was deferred.
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
//!         if self.alive { Running::Task(TaskId(7)) } else { Running::Idle }
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
//! /// Where the kernel goes on.
//! #[derive(Debug, PartialEq)]
//! enum Next {
//!     Interrupted,
//!     AnotherTask,
//!     ErrorPathOfTheCopy,
//!     HandlerOfTheTask,
//!     Nowhere,
//!     AsWithoutAgent,
//! }
//!
//! /// The same for what a vector saved and for what a barrier found.
//! fn handle(taken: &Snapshot, kernel: &mut Tiny, ledger: &mut Ledger, journal: &mut Journal) -> Next {
//!     let Some(mut verdict) = judge(taken, kernel, &ByRule) else {
//!         return Next::AsWithoutAgent;
//!     };
//!     match apply(&mut verdict, taken, kernel, ledger, journal) {
//!         Outcome::Resume => Next::Interrupted,
//!         Outcome::Reschedule => Next::AnotherTask,
//!         Outcome::CopyFailed => Next::ErrorPathOfTheCopy,
//!         Outcome::Signalled => Next::HandlerOfTheTask,
//!         Outcome::Halt => Next::Nowhere,
//!     }
//! }
//!
//! let mut kernel = Tiny { alive: true, retired: None };
//! let mut slots = [0; 64];
//! let mut ledger = Ledger::new(&mut slots)?;
//! let words = [const { AtomicU64::new(0) }; journal::HEADER_WORDS + 8 * journal::RECORD_WORDS];
//! let mut journal = Journal::new(&words)?;
//!
//! // What the ESB at an entry from EL0 left in DISR_EL1: an SError that was corrected. The task goes on.
//! let deferred = Snapshot {
//!     cause: Cause::Deferred,
//!     from: Level::El0,
//!     esr: 0,
//!     far: 0,
//!     elr: 0,
//!     spsr: 0,
//!     disr: 0x8000_1811,
//!     pfar: None,
//!     ras: true,
//!     entered: 0,
//!     time: 0,
//! };
//! assert_eq!(handle(&deferred, &mut kernel, &mut ledger, &mut journal), Next::Interrupted);
//!
//! // What the vector saved: a load at 0x40_0008 in EL0 met poison. It costs the task.
//! let taken = Snapshot {
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
//! assert_eq!(handle(&taken, &mut kernel, &mut ledger, &mut journal), Next::AnotherTask);
//! assert!(!kernel.alive);
//! assert_eq!(kernel.retired, Some(FrameNumber(0x4_8000)));
//!
//! // What the ESB on the way out found: an error of the kernel's own, which it does not survive.
//! let own = Snapshot { from: Level::El1, disr: 0x8000_0c11, ..deferred };
//! assert_eq!(handle(&own, &mut kernel, &mut ledger, &mut journal), Next::Nowhere);
//!
//! // A translation fault is no memory error.
//! let fault = Snapshot { esr: 0x9200_0006, ..taken };
//! assert_eq!(handle(&fault, &mut kernel, &mut ledger, &mut journal), Next::AsWithoutAgent);
//! assert_eq!(journal.written(), 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Memory
//!
//! A journal takes [`journal::HEADER_WORDS`] words (16) and [`journal::RECORD_WORDS`] (16) for each record, of 64 bits
//! each: 1,024 records take 131,200 bytes. Each error is one record, and so is each note. When the journal is full, the
//! oldest record is overwritten and counted as lost: its size is how far back it reaches. If a host is to read it, it
//! lies in memory that is `'static` and physically contiguous, and the host must know where: the guest of this project
//! writes address and length to the replay port; another kernel does what it has agreed on with its host, such as a
//! reserved region in the device tree. The host copies the bytes, lowest address first, and calls [`journal::read`],
//! which needs no lock and trusts nothing.
//!
//! A ledger takes a power of two of 64-bit slots, 4 at least, and holds as many frames as three quarters of them
//! ([`Ledger::capacity`]). A frame that finds no room is retired all the same, and counted, but not remembered. To hold
//! every 4 KiB frame of N GiB, N being a power of two, it takes N × 524,288 slots: 4 MiB of memory for each GiB. No
//! machine is left running until then: from 64 MiB of memory on the guest of this project has 32,768 slots, 256 KiB,
//! which hold 24,576 frames.
//!
//! # One PE or many
//!
//! [`judge`] takes the kernel by shared reference and changes nothing. [`apply`] takes kernel, ledger and journal by
//! exclusive reference, and so do [`engine::book`] and [`engine::report`]: on several PEs, one of them at a time may be
//! in there with the same kernel, ledger or journal. What the kernel answered to `judge` must still be true when
//! `apply` is called, which does not ask again: a lock spans both. It is taken in the middle of an exception, and the
//! PE that holds it can meet another error, which must not wait for it.
//!
//! [`Kernel::running`], [`Kernel::copying_for`] and [`Kernel::copied`] are asked about the PE that met the error. The
//! task to be ended may be running on another PE, which the hook has to stop; [`Kernel::retire`] has to reach the TLBs
//! of all. A journal for each PE needs no lock between them; with a ledger for each, [`Kernel::retire`] may come once
//! from each for the same frame. Readers of a journal never need one. The guest of this project has one PE: none of
//! this has been tried with several.
//!
//! # Further entry points
//!
//! - [`engine::judge_plain`]: the verdict of [`judge`] in fewer instructions, for a task's access to a page of its own.
//! - [`engine::judge_plain_serror`]: the same for a recoverable SError that is taken from EL0.
//! - [`engine::tell`] and [`engine::book`]: [`apply`] in two, so that a task's handler begins before the books are kept.
//! - [`engine::report`], with the trait [`engine::Patrolled`]: an error that a patrol scrubber found before anyone has
//!   consumed it.
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
