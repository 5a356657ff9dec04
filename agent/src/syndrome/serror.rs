//! SError exceptions: the ISS of class 0x2f \[Arm ARM D24.2.45, "ISS encoding for an SError exception"\], and its
//! deferred form in `DISR_EL1` \[Arm ARM, "`DISR_EL1`, Deferred Interrupt Status Register"\].

use super::WriteUpdate;
use super::field::{bit, small};

/// `AET`, bits 12:10: the state of the PE after an asynchronous error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AsynchronousErrorType {
    /// 0b000, UC: imprecise, not contained.
    Uncontainable,
    /// 0b001, UEU: imprecise, contained.
    Unrecoverable,
    /// 0b010, UEO: precise; nothing is lost.
    Restartable,
    /// 0b011, UER: precise; to be repaired before the software goes on.
    Recoverable,
    /// 0b110, CE.
    Corrected,
    /// 0b100, 0b101, 0b111.
    Reserved(u8),
}

impl AsynchronousErrorType {
    #[inline]
    const fn from_bits(bits: u8) -> Self {
        match bits & 0b111 {
            0b000 => Self::Uncontainable,
            0b001 => Self::Unrecoverable,
            0b010 => Self::Restartable,
            0b011 => Self::Recoverable,
            0b110 => Self::Corrected,
            other => Self::Reserved(other),
        }
    }

    /// What it says, in a few words.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Uncontainable => "uncontainable (UC)",
            Self::Unrecoverable => "unrecoverable state (UEU)",
            Self::Restartable => "restartable state (UEO)",
            Self::Recoverable => "recoverable state (UER)",
            Self::Corrected => "corrected (CE)",
            Self::Reserved(_) => "reserved, to be taken as uncontainable",
        }
    }
}

/// `DFSC` of an SError, bits 5:0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SErrorStatus {
    /// 0x00: the error is not categorised; no other field is defined.
    Uncategorised,
    /// 0x11: an asynchronous SError; the other fields are defined.
    Asynchronous,
    /// A value that the manual does not name.
    Unknown(u8),
}

impl SErrorStatus {
    #[inline]
    const fn from_bits(bits: u8) -> Self {
        match bits & 0x3f {
            0x00 => Self::Uncategorised,
            0x11 => Self::Asynchronous,
            other => Self::Unknown(other),
        }
    }

    /// What it says, in a few words.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Uncategorised => "uncategorised error",
            Self::Asynchronous => "asynchronous SError",
            Self::Unknown(_) => "reserved fault status code",
        }
    }
}

/// Whether the fields that need it are defined: `IDS` is 0 and `DFSC` is 0x11, in one comparison.
#[inline]
const fn is_described(register: u64) -> bool {
    register & (1 << 24 | 0x3f) == 0x11
}

/// An SError taken. Only `ids` is defined in every one; `dfsc` needs `IDS` = 0, and all others need `DFSC` = 0x11 on
/// top: where that does not hold they are `None`. Most SErrors in the field have `IDS` = 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SError {
    esr: u64,
}

impl SError {
    #[inline]
    pub(crate) const fn new(esr: u64) -> Self {
        Self { esr }
    }

    #[inline]
    const fn flag(self, number: u32) -> Option<bool> {
        if is_described(self.esr) {
            Some(bit(self.esr, number))
        } else {
            None
        }
    }

    /// `IDS`, bit 24: all below is IMPLEMENTATION DEFINED.
    #[inline]
    #[must_use]
    pub const fn ids(self) -> bool {
        bit(self.esr, 24)
    }

    /// `ELS`, bit 18: triggered by the instruction at ELR (`FEAT_RASv2`). It does not by itself mean precise.
    #[must_use]
    pub const fn els(self) -> Option<bool> {
        self.flag(18)
    }

    /// `WU`, bits 17:16: whether a store has changed memory (`FEAT_RASv2`).
    #[must_use]
    pub const fn wu(self) -> Option<WriteUpdate> {
        if is_described(self.esr) {
            Some(WriteUpdate::from_bits(small(self.esr, 16, 0b11)))
        } else {
            None
        }
    }

    /// `VFV`, bit 15: `FAR_EL1` holds an address (`FEAT_RASv2`).
    #[must_use]
    pub const fn vfv(self) -> Option<bool> {
        self.flag(15)
    }

    /// `PFV`, bit 14: `PFAR_EL1` holds an address (`FEAT_PFAR`).
    #[inline]
    #[must_use]
    pub const fn pfv(self) -> Option<bool> {
        self.flag(14)
    }

    /// `IESB`, bit 13: synchronised by an implicit error synchronisation event, and taken at once.
    #[must_use]
    pub const fn iesb(self) -> Option<bool> {
        self.flag(13)
    }

    /// `AET`, bits 12:10. Of several errors in one SError, the overall state.
    #[inline]
    #[must_use]
    pub const fn aet(self) -> Option<AsynchronousErrorType> {
        if is_described(self.esr) {
            Some(AsynchronousErrorType::from_bits(small(self.esr, 10, 0b111)))
        } else {
            None
        }
    }

    /// `EA`, bit 9: an IMPLEMENTATION DEFINED class of external abort.
    #[must_use]
    pub const fn ea(self) -> Option<bool> {
        self.flag(9)
    }

    /// `WnRV`, bit 7: `WnR` is valid (`FEAT_RASv2`).
    #[must_use]
    pub const fn wnrv(self) -> Option<bool> {
        self.flag(7)
    }

    /// `WnR`, bit 6: a write. `None` also when `WnRV` is 0.
    #[must_use]
    pub const fn wnr(self) -> Option<bool> {
        if bit(self.esr, 7) { self.flag(6) } else { None }
    }

    /// `DFSC`, bits 5:0. `None` when `IDS` is 1.
    #[must_use]
    pub const fn dfsc(self) -> Option<SErrorStatus> {
        if self.ids() {
            None
        } else {
            Some(SErrorStatus::from_bits(small(self.esr, 0, 0x3f)))
        }
    }
}

/// `DISR_EL1` (S3_0_C12_C1_1): an SError that an `ESB` found pending while it was masked. It has no `ELS`, `VFV`,
/// `PFV` or `IESB`, so a deferred SError never comes with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Disr(
    /// The register.
    pub u64,
);

impl Disr {
    #[inline]
    const fn flag(self, number: u32) -> Option<bool> {
        if self.pending() && is_described(self.0) {
            Some(bit(self.0, number))
        } else {
            None
        }
    }

    /// Whether an SError was deferred at all: `A`. When not, nothing else means anything.
    #[inline]
    #[must_use]
    pub const fn pending(self) -> bool {
        self.a()
    }

    /// `A`, bit 31: an `ESB` has deferred an SError.
    #[inline]
    #[must_use]
    pub const fn a(self) -> bool {
        bit(self.0, 31)
    }

    /// `IDS`, bit 24: all below is IMPLEMENTATION DEFINED. `None` when nothing was deferred.
    #[must_use]
    pub const fn ids(self) -> Option<bool> {
        if self.pending() {
            Some(bit(self.0, 24))
        } else {
            None
        }
    }

    /// `WU`, bits 17:16. `None` unless pending, `IDS` = 0 and `DFSC` = 0x11.
    #[must_use]
    pub const fn wu(self) -> Option<WriteUpdate> {
        if self.pending() && is_described(self.0) {
            Some(WriteUpdate::from_bits(small(self.0, 16, 0b11)))
        } else {
            None
        }
    }

    /// `AET`, bits 12:10. `None` unless pending, `IDS` = 0 and `DFSC` = 0x11.
    #[inline]
    #[must_use]
    pub const fn aet(self) -> Option<AsynchronousErrorType> {
        if self.pending() && is_described(self.0) {
            Some(AsynchronousErrorType::from_bits(small(self.0, 10, 0b111)))
        } else {
            None
        }
    }

    /// `EA`, bit 9. `None` unless pending, `IDS` = 0 and `DFSC` = 0x11.
    #[must_use]
    pub const fn ea(self) -> Option<bool> {
        self.flag(9)
    }

    /// `WnRV`, bit 7. `None` unless pending, `IDS` = 0 and `DFSC` = 0x11.
    #[must_use]
    pub const fn wnrv(self) -> Option<bool> {
        self.flag(7)
    }

    /// `WnR`, bit 6. `None` unless pending, `IDS` = 0, `DFSC` = 0x11 and `WnRV` = 1.
    #[must_use]
    pub const fn wnr(self) -> Option<bool> {
        if bit(self.0, 7) { self.flag(6) } else { None }
    }

    /// `DFSC`, bits 5:0. `None` unless pending and `IDS` = 0.
    #[must_use]
    pub const fn dfsc(self) -> Option<SErrorStatus> {
        if self.pending() && !bit(self.0, 24) {
            Some(SErrorStatus::from_bits(small(self.0, 0, 0x3f)))
        } else {
            None
        }
    }
}
