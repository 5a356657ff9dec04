//! Data aborts and instruction aborts: the ISS of classes 0x20, 0x21, 0x24 and 0x25 \[Arm ARM D24.2.45, "ISS
//! encoding for an exception from a Data Abort", "… from an Instruction Abort"\].

use super::FaultStatus;
use super::fault_status::above;
use super::field::{bit, small};

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AbortKind {
    /// A load, a store, a cache maintenance or address translation instruction.
    Data,
    /// An instruction fetch.
    Instruction,
}

/// `SET`, bits 12:11: the state of the PE after a synchronous external abort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SynchronousErrorType {
    /// 0b00, UER. Also what is read where `FEAT_RAS` is not implemented.
    Recoverable,
    /// 0b01.
    Reserved,
    /// 0b10, UC. Not with `FEAT_RASv2`.
    Uncontainable,
    /// 0b11, UEO.
    Restartable,
}

impl SynchronousErrorType {
    /// What it says, in a few words.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Recoverable => "recoverable state (UER)",
            Self::Reserved => "reserved",
            Self::Uncontainable => "uncontainable (UC)",
            Self::Restartable => "restartable state (UEO)",
        }
    }
}

/// `WU`, bits 17:16: whether a store that failed has changed memory (`FEAT_RASv2`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WriteUpdate {
    /// 0b00: not a store, or the location may have been updated.
    Unspecified,
    /// 0b01.
    Reserved,
    /// 0b10: the store did not update the location.
    NotUpdated,
    /// 0b11: the store updated the location.
    Updated,
}

impl WriteUpdate {
    pub(crate) const fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0b00 => Self::Unspecified,
            0b01 => Self::Reserved,
            0b10 => Self::NotUpdated,
            _ => Self::Updated,
        }
    }

    /// What it says, in a few words.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Unspecified => "not a store, or the location may have been updated",
            Self::Reserved => "reserved",
            Self::NotUpdated => "store did not update the location",
            Self::Updated => "store updated the location",
        }
    }
}

/// A data or instruction abort. Every method is total; a field that means nothing in this abort is `None`, and its
/// doc says when that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Abort {
    /// What was being done.
    pub kind: AbortKind,
    /// Whether it came from a lower Exception level than the one it was taken to.
    pub from_lower_el: bool,
    esr: u64,
}

/// Codes for which `SET`, `PFV` and `WU` are defined: 0x10, 0x12, 0x13, 0x14 to 0x17. The prose says "not on a
/// translation table walk", the condition of the fields does include the walks; the condition counts.
const HAS_SET: u64 = 1 << 0x10 | 0b11_1111 << 0x12;
/// External aborts and parity or ECC errors: the codes of a memory error.
const EXTERNAL: u64 = HAS_SET | 1 << 0x18 | 0b1_1111 << 0x1b;
/// Codes of an error on a translation table walk: external 0x12 to 0x17, parity or ECC 0x1b to 0x1f, granule protection
/// 0x22 to 0x27.
const ON_WALK: u64 = 0b11_1111 << 0x12 | 0b1_1111 << 0x1b | 0b11_1111 << 0x22;

impl Abort {
    #[inline]
    pub(crate) const fn new(kind: AbortKind, from_lower_el: bool, esr: u64) -> Self {
        Self {
            kind,
            from_lower_el,
            esr,
        }
    }

    #[inline]
    const fn code(self) -> u8 {
        small(self.esr, 0, 0x3f)
    }

    #[inline]
    const fn has_set(self) -> bool {
        bit(HAS_SET, self.code() as u32)
    }

    #[inline]
    pub(super) const fn is_data(self) -> bool {
        matches!(self.kind, AbortKind::Data)
    }

    /// A data abort with a valid instruction syndrome.
    #[inline]
    const fn has_instruction_syndrome(self) -> bool {
        self.is_data() && bit(self.esr, 24)
    }

    /// `DFSC` or `IFSC`, bits 5:0.
    #[must_use]
    pub const fn fsc(self) -> FaultStatus {
        FaultStatus::from_bits(self.code())
    }

    /// Whether this is a memory error: an external abort (0x10, 0x12 to 0x17) or a parity or ECC error (0x18, 0x1b
    /// to 0x1f). All else is a fault that the kernel's own tables explain.
    #[inline]
    #[must_use]
    pub const fn is_external(self) -> bool {
        bit(EXTERNAL, self.code() as u32)
    }

    /// The level of the table whose reading (or update) failed; `None` when it was the access itself that did. From
    /// −2 (`FEAT_D128`) to 3.
    #[inline]
    #[must_use]
    pub const fn walk_level(self) -> Option<i8> {
        // In each of the three runs the low three bits are the level and four more.
        if bit(ON_WALK, self.code() as u32) {
            Some(above(self.code() & 0b111, 4))
        } else {
            None
        }
    }

    /// `SET`, bits 12:11. `None` unless the code is 0x10 or 0x12 to 0x17: a parity code carries no error type, and on
    /// other faults the bits are reserved or `LST`.
    #[inline]
    #[must_use]
    pub const fn set(self) -> Option<SynchronousErrorType> {
        if !self.has_set() {
            return None;
        }
        Some(match small(self.esr, 11, 0b11) {
            0b00 => SynchronousErrorType::Recoverable,
            0b01 => SynchronousErrorType::Reserved,
            0b10 => SynchronousErrorType::Uncontainable,
            _ => SynchronousErrorType::Restartable,
        })
    }

    /// `FnV`, bit 10: the FAR is not valid. `None` unless the code is 0x10; for all others the FAR is valid.
    #[inline]
    #[must_use]
    pub const fn fnv(self) -> Option<bool> {
        if self.code() == 0x10 {
            Some(bit(self.esr, 10))
        } else {
            None
        }
    }

    /// Whether `FAR_ELx` holds an address at all. It is the claim of the syndrome alone: KVM re-injects an abort with
    /// `FnV` clear over a FAR that may be stale.
    #[inline]
    #[must_use]
    pub const fn far_valid(self) -> bool {
        !matches!(self.fnv(), Some(true))
    }

    /// `EA`, bit 9: an IMPLEMENTATION DEFINED class of external abort. `None` on other faults, where it is 0.
    #[must_use]
    pub const fn ea(self) -> Option<bool> {
        if self.is_external() {
            Some(bit(self.esr, 9))
        } else {
            None
        }
    }

    /// `CM`, bit 8: a cache maintenance or address translation instruction. `None` on instruction aborts.
    #[must_use]
    pub const fn cm(self) -> Option<bool> {
        if self.is_data() {
            Some(bit(self.esr, 8))
        } else {
            None
        }
    }

    /// `S1PTW`, bit 7: a stage 2 fault on an access made for a stage 1 walk. 0 on every abort that is not a stage 2
    /// fault, so on all that an EL1 sees; always `Some`, because the ESR alone does not tell whose it is.
    #[must_use]
    pub const fn s1ptw(self) -> Option<bool> {
        Some(bit(self.esr, 7))
    }

    /// `WnR`, bit 6: a write. Set for cache maintenance and address translation too. `None` on instruction aborts,
    /// and for codes 0x31 and 0x35, where it is UNKNOWN. (It is also UNKNOWN on an external abort of an atomic with
    /// `FEAT_RASv2`; nothing in the ESR tells those.)
    #[must_use]
    pub const fn wnr(self) -> Option<bool> {
        if self.is_data() && !matches!(self.code(), 0x31 | 0x35) {
            Some(bit(self.esr, 6))
        } else {
            None
        }
    }

    /// `WU`, bits 17:16 (`FEAT_RASv2`). `None` on instruction aborts, when `ISV` is 1 (the bits are `SRT`), and on
    /// faults that are not external aborts.
    #[must_use]
    pub const fn wu(self) -> Option<WriteUpdate> {
        if self.is_data() && !self.has_instruction_syndrome() && self.has_set() {
            Some(WriteUpdate::from_bits(small(self.esr, 16, 0b11)))
        } else {
            None
        }
    }

    /// `PFV`, bit 14 (`FEAT_PFAR`): `PFAR_ELx` holds the address. `None` when `ISV` is 1 (the bit is `AR`), and unless
    /// the code is 0x10 or 0x12 to 0x17.
    #[inline]
    #[must_use]
    pub const fn pfv(self) -> Option<bool> {
        if self.has_set() && !self.has_instruction_syndrome() {
            Some(bit(self.esr, 14))
        } else {
            None
        }
    }

    /// `FnP`, bit 15: the FAR is any address in the same naturally aligned granule. `None` on instruction aborts,
    /// when `ISV` is 1 (the bit is `SF`), and when there is no valid FAR.
    #[must_use]
    pub const fn fnp(self) -> Option<bool> {
        if self.is_data() && !self.has_instruction_syndrome() && self.far_valid() {
            Some(bit(self.esr, 15))
        } else {
            None
        }
    }

    /// `ISV`, bit 24: bits 23:14 describe the instruction. `None` on instruction aborts.
    #[must_use]
    pub const fn isv(self) -> Option<bool> {
        if self.is_data() {
            Some(bit(self.esr, 24))
        } else {
            None
        }
    }

    /// `SAS`, bits 23:22: the access is 2^SAS bytes. `None` unless `ISV` is 1.
    #[must_use]
    pub const fn sas(self) -> Option<u8> {
        if self.has_instruction_syndrome() {
            Some(small(self.esr, 22, 0b11))
        } else {
            None
        }
    }

    /// `SSE`, bit 21: the loaded value is sign-extended. `None` unless `ISV` is 1.
    #[must_use]
    pub const fn sse(self) -> Option<bool> {
        if self.has_instruction_syndrome() {
            Some(bit(self.esr, 21))
        } else {
            None
        }
    }

    /// `SRT`, bits 20:16: the number of the register. `None` unless `ISV` is 1.
    #[must_use]
    pub const fn srt(self) -> Option<u8> {
        if self.has_instruction_syndrome() {
            Some(small(self.esr, 16, 0x1f))
        } else {
            None
        }
    }

    /// `SF`, bit 15: the register is 64 bits wide. `None` unless `ISV` is 1.
    #[must_use]
    pub const fn sf(self) -> Option<bool> {
        if self.has_instruction_syndrome() {
            Some(bit(self.esr, 15))
        } else {
            None
        }
    }

    /// `AR`, bit 14: acquire or release semantics. `None` unless `ISV` is 1.
    #[must_use]
    pub const fn ar(self) -> Option<bool> {
        if self.has_instruction_syndrome() {
            Some(bit(self.esr, 14))
        } else {
            None
        }
    }

    /// `VNCR`, bit 13: the access went through `VNCR_EL2` (`FEAT_NV2`). `None` on instruction aborts.
    #[must_use]
    pub const fn vncr(self) -> Option<bool> {
        if self.is_data() {
            Some(bit(self.esr, 13))
        } else {
            None
        }
    }
}
