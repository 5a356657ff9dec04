//! What the vector saves: the registers of one abort, read once.

/// How an error was reported. The number is part of the journal's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Cause {
    /// Through the synchronous vector.
    Synchronous = 0,
    /// Through the SError vector.
    SError = 1,
    /// Not taken at all: found in `DISR_EL1` by an `ESB` at the kernel's border.
    Deferred = 2,
    /// Not an exception at all: somebody who looks for errors before they are consumed (a patrol scrubber) has reported it.
    Patrol = 3,
}

impl Cause {
    /// The cause with this number in a journal.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Synchronous,
            1 => Self::SError,
            2 => Self::Deferred,
            3 => Self::Patrol,
            _ => return None,
        })
    }

    /// Its name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Synchronous => "synchronous",
            Self::SError => "serror",
            Self::Deferred => "deferred",
            Self::Patrol => "patrol",
        }
    }
}

/// The Exception level that was interrupted. The number is part of the journal's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Level {
    /// A task.
    El0 = 0,
    /// The kernel.
    El1 = 1,
}

impl Level {
    /// The level with this number in a journal.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::El0,
            1 => Self::El1,
            _ => return None,
        })
    }

    /// Its name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::El0 => "el0",
            Self::El1 => "el1",
        }
    }
}

/// One abort as the vector found it. Registers that do not exist, or that mean nothing for this cause, are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Which way it came.
    pub cause: Cause,
    /// What was interrupted, by the vector taken. For [`Cause::Deferred`]: what ran up to the barrier, so EL0 for the
    /// barrier at the kernel's entry, and EL1 for any other.
    pub from: Level,
    /// `ESR_EL1`.
    pub esr: u64,
    /// `FAR_EL1`, whether or not the syndrome says that it is valid.
    pub far: u64,
    /// `ELR_EL1`.
    pub elr: u64,
    /// `SPSR_EL1`.
    pub spsr: u64,
    /// `DISR_EL1`, for [`Cause::Deferred`]. The reader clears the register.
    pub disr: u64,
    /// `PFAR_EL1` where `FEAT_PFAR` is implemented; to be read before anything runs at EL0, which makes it UNKNOWN.
    pub pfar: Option<u64>,
    /// Whether `FEAT_RAS` is implemented: `ID_AA64PFR0_EL1.RAS`, bits 31:28, is not 0.
    pub ras: bool,
    /// The counter of [`Kernel::now`](super::Kernel::now) as the vector was entered; 0 when the cost is not measured.
    pub entered: u64,
    /// `CNTVCT_EL0`, in its own ticks.
    pub time: u64,
}
