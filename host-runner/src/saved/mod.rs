//! A saved VM: everything that it takes to go on in another process, or on another host.
//!
//! A file is a header of 64 bytes and sections, each with a header of 16 bytes; all integers are little endian:
//!
//! | offset | size | header | | offset | size | section |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | 0 | 8 | `SEAWALLV` | | 0 | 4 | kind, see [`Section`] |
//! | 8 | 4 | version, 1 | | 4 | 4 | 0 |
//! | 12 | 4 | count of sections | | 8 | 8 | bytes that follow |
//! | 16 | 8 | length of the file | | 16 | | what its type below has, in order |
//! | 24 | 8 | 0 | | | | |
//! | 32 | 32 | SHA-256 of all other bytes | | | | |
//!
//! Each section is there once, but the last two, which are there where they are not empty. Texts and lists are a count of 32 bits and their items. A file that is cut, altered, of
//! another version, too long, or holds a value that does not exist is refused as a whole, and by name: [`decode`] is
//! total, and allocates no more than the bytes that are there. The digest is SHA-256 (`sha2`) and no CRC, because the
//! same function names the scenario's text, where two must never be taken for one; what it costs is lost beside the
//! memory's own copy. It is no signature: who can write the file can make a good one.
//!
//! Nothing here knows KVM: a register is an id of ONE_REG and bytes, the GIC a list of device attributes.

mod bytes;
mod decode;
mod encode;
mod error;
pub mod file;

use seawall_replay::interpreter::Count;
use seawall_replay::plan::SERROR_SYNDROME_MASK;
use seawall_replay::transcript::Event;

pub use decode::decode;
pub use encode::encode;
#[cfg(any(test, fuzzing))]
pub(crate) use encode::seal;
pub use error::SavedError;

/// The first eight bytes.
pub const MAGIC: [u8; 8] = *b"SEAWALLV";
/// The layout's version.
pub const VERSION: u32 = 1;
/// A file that is longer is refused, and never made.
pub const MOST_BYTES: u64 = 1 << 30;
/// Bytes of a page.
pub const PAGE: usize = 0x1000;

const HEADER_BYTES: usize = 64;
const SECTION_BYTES: usize = 16;
const DIGEST_OFFSET: usize = 32;

/// A part of the file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u32)]
pub enum Section {
    /// [`ScenarioId`].
    Scenario = 1,
    /// [`Machine`].
    Machine = 2,
    /// [`Cpu`].
    Cpu = 3,
    /// [`Layout`].
    Layout = 4,
    /// A list of [`Page`].
    Memory = 5,
    /// A list of [`Register`].
    Registers = 6,
    /// A list of [`Attribute`].
    Gic = 7,
    /// [`Vcpu`].
    Vcpu = 8,
    /// [`Board`].
    Board = 9,
    /// Events that were lost (64 bits), and a list of events as `replay/src/transcript.rs` lays them out.
    Transcript = 10,
    /// A list of reports that the guest has not asked for yet, each 64 bits as `replay/src/reports.rs` lays them out.
    Reports = 11,
    /// [`Lives`].
    Lives = 12,
}

impl Section {
    /// Those that are always there, in the order in which they are written.
    pub const ALL: [Self; 10] = [
        Self::Scenario,
        Self::Machine,
        Self::Cpu,
        Self::Layout,
        Self::Memory,
        Self::Registers,
        Self::Gic,
        Self::Vcpu,
        Self::Board,
        Self::Transcript,
    ];

    /// Those that are there where they are not empty: files that are older than such a section have none.
    pub const OPTIONAL: [Self; 2] = [Self::Reports, Self::Lives];

    /// Its name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scenario => "scenario",
            Self::Machine => "machine",
            Self::Cpu => "cpu",
            Self::Layout => "layout",
            Self::Memory => "memory",
            Self::Registers => "registers",
            Self::Gic => "gic",
            Self::Vcpu => "vcpu",
            Self::Board => "board",
            Self::Transcript => "transcript",
            Self::Reports => "reports",
            Self::Lives => "lives",
        }
    }
}

/// Which scenario the VM runs, and will be judged by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScenarioId {
    /// Its name.
    pub name: String,
    /// SHA-256 of its text.
    pub digest: [u8; 32],
}

impl ScenarioId {
    /// The scenario of this name and text.
    #[must_use]
    pub fn of(name: &str, text: &str) -> Self {
        Self {
            name: name.to_owned(),
            digest: encode::digest(&[text.as_bytes()]),
        }
    }
}

/// What was built, and on what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Machine {
    /// Where memory begins.
    pub memory_base: u64,
    /// Its bytes, a multiple of 2 MiB.
    pub memory_bytes: u64,
    /// Bits of an IPA.
    pub ipa_bits: u32,
    /// Interrupts of the GIC.
    pub interrupts: u32,
    /// What was used of the host: [`Machine::PMU`] and the like.
    pub used: u32,
    /// The Linux release that saved it.
    pub linux: String,
}

impl Machine {
    /// The vCPU has a PMU.
    pub const PMU: u32 = 1 << 0;
    /// An SError's syndrome could be chosen (`KVM_CAP_ARM_INJECT_SERROR_ESR`).
    pub const SYNDROMES: u32 = 1 << 1;
    /// There are read-only slots (`KVM_CAP_READONLY_MEM`).
    pub const READ_ONLY: u32 = 1 << 2;
    /// All of these.
    pub const ALL_USED: u32 = Self::PMU | Self::SYNDROMES | Self::READ_ONLY;
}

/// The type of the CPU, which no restoring can change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cpu {
    /// MIDR_EL1.
    pub midr: u64,
    /// REVIDR_EL1.
    pub revidr: u64,
    /// AIDR_EL1.
    pub aidr: u64,
}

/// Pages that are not as memory usually is, each list ascending.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Layout {
    /// Pages that no slot covers.
    pub holes: Vec<u64>,
    /// Pages that can only be read.
    pub read_only: Vec<u64>,
    /// Pages whose host memory is poisoned. What was in them is not in the file, and the restored VM has holes there.
    pub poisoned: Vec<(u64, PoisonedBy)>,
}

/// What poisoned a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum PoisonedBy {
    /// The runner, by userfaultfd.
    Userfault = 1,
    /// The runner, by the host's handling of memory failures.
    MemoryFailure = 2,
    /// The host itself.
    Host = 3,
}

/// A page that is not all zero.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// Its IPA.
    pub ipa: u64,
    /// What is in it.
    pub bytes: Box<[u8; PAGE]>,
}

/// One register of the vCPU.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Register {
    /// Its id for ONE_REG, which tells how long it is.
    pub id: u64,
    /// Its value.
    pub bytes: Vec<u8>,
}

/// How many bytes a register of this id has: bits 55:52 are the logarithm; none is longer than 256.
#[must_use]
pub const fn register_bytes(id: u64) -> Option<usize> {
    let size = (id >> 52) & 0xf;
    if size <= 8 { Some(1 << size) } else { None }
}

/// One value of the GIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attribute {
    /// The group: distributor, redistributor, CPU interface, levels.
    pub group: u32,
    /// Which of them.
    pub attr: u64,
    /// The value.
    pub value: u64,
}

/// What the vCPU has beside its registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vcpu {
    /// `kvm_mp_state`.
    pub mp_state: u32,
    /// An SError is pending.
    pub serror_pending: bool,
    /// Its syndrome counts.
    pub serror_has_esr: bool,
    /// ISS of it, within [`SERROR_SYNDROME_MASK`].
    pub serror_esr: u64,
}

/// The devices of the board, and what it remembers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Board {
    /// How far each step of the plan has come.
    pub counts: Vec<Count>,
    /// What the guest last wrote as its journal's address.
    pub journal_address: u64,
    /// Where the journal is: first byte and first byte behind it.
    pub journal: Option<(u64, u64)>,
    /// The UART's registers that are written and read back.
    pub uart: [u16; 6],
    /// What was written to the console.
    pub console: Vec<u8>,
    /// Pages that something was done to: page, step, announcement.
    pub pages: Vec<(u64, u16, u64)>,
    /// Reports of errors that the guest has not asked for yet, oldest first.
    pub reports: Vec<u64>,
    /// The lives before this one.
    pub lives: Lives,
}

/// The lives of a guest that has begun again.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lives {
    /// It has said that it begins again, and has not yet.
    pub reboots: bool,
    /// What each life before left in its journal, oldest first.
    pub journals: Vec<Vec<u8>>,
}

impl Lives {
    /// A guest that begins again more often than this is reset for good.
    pub const MOST: usize = 4;
    /// Bytes of journal that are copied at most.
    pub const LONGEST_JOURNAL: u64 = 64 << 20;

    /// Whether there is nothing to save: it is the first life, and goes on.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        !self.reboots && self.journals.is_empty()
    }
}

/// A saved VM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Saved {
    /// What it runs.
    pub scenario: ScenarioId,
    /// What it is.
    pub machine: Machine,
    /// On which CPU.
    pub cpu: Cpu,
    /// Where its memory is not as usual.
    pub layout: Layout,
    /// What is in its memory, ascending.
    pub memory: Vec<Page>,
    /// Its registers, ascending by id.
    pub registers: Vec<Register>,
    /// Its GIC, in the order of restoring.
    pub gic: Vec<Attribute>,
    /// What else its vCPU has.
    pub vcpu: Vcpu,
    /// Its devices.
    pub board: Board,
    /// What happened so far.
    pub transcript: Vec<Event>,
    /// And found no room.
    pub events_lost: u64,
}

impl Saved {
    /// The value of a 64-bit register, if it is in there.
    #[must_use]
    pub fn register(&self, id: u64) -> Option<u64> {
        let at = self
            .registers
            .binary_search_by_key(&id, |register| register.id)
            .ok()?;
        let bytes = self.registers.get(at)?.bytes.as_slice();
        bytes.try_into().ok().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
pub(crate) mod tests;
