//! Fault status codes: `DFSC` and `IFSC` of an abort \[Arm ARM D24.2.45\].

/// What went wrong with an access: `ESR_ELx.DFSC` or `IFSC`, bits 5:0 \[Arm ARM D24.2.45\]. A level is that of the
/// table, −2 (`FEAT_D128`) to 3. Codes that the manual lists for data accesses alone keep their name on an
/// instruction abort, because a hypervisor can inject any of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultStatus {
    /// An address out of range, at this level.
    AddressSize(i8),
    /// No valid descriptor, at this level.
    Translation(i8),
    /// The access flag is clear, at this level.
    AccessFlag(i8),
    /// Not permitted, at this level.
    Permission(i8),
    /// 0x10: synchronous external abort, not on a translation table walk.
    ExternalAbort,
    /// 0x11: synchronous tag check fault (`FEAT_MTE2`).
    TagCheck,
    /// 0x12 to 0x17: synchronous external abort on a walk or hardware update of a table, at this level.
    ExternalAbortOnWalk(i8),
    /// 0x18: synchronous parity or ECC error, not on a walk. Only without `FEAT_RAS`.
    Parity,
    /// 0x1b to 0x1f: synchronous parity or ECC error on a walk, at this level. Only without `FEAT_RAS`.
    ParityOnWalk(i8),
    /// 0x21.
    Alignment,
    /// 0x22 to 0x27: granule protection fault on a walk, at this level (`FEAT_RME`).
    GranuleProtectionOnWalk(i8),
    /// 0x28: granule protection fault, not on a walk (`FEAT_RME`).
    GranuleProtection,
    /// 0x30.
    TlbConflict,
    /// 0x31: a hardware update of a table that the memory cannot do atomically (`FEAT_HAFDBS`).
    UnsupportedAtomicUpdate,
    /// 0x34: IMPLEMENTATION DEFINED, lockdown.
    Lockdown,
    /// 0x35: IMPLEMENTATION DEFINED, unsupported Exclusive or Atomic access.
    UnsupportedExclusive,
    /// A value that the manual does not name.
    Unknown(u8),
}

impl FaultStatus {
    /// The status with this number. Only bits 5:0 count: the field has six.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        let bits = bits & 0x3f;
        match bits {
            0x00..=0x03 => Self::AddressSize(above(bits, 0x00)),
            0x04..=0x07 => Self::Translation(above(bits, 0x04)),
            0x08..=0x0b => Self::AccessFlag(above(bits, 0x08)),
            0x0c..=0x0f => Self::Permission(above(bits, 0x0c)),
            0x10 => Self::ExternalAbort,
            0x11 => Self::TagCheck,
            0x12..=0x17 => Self::ExternalAbortOnWalk(above(bits, 0x14)),
            0x18 => Self::Parity,
            0x1b..=0x1f => Self::ParityOnWalk(above(bits, 0x1c)),
            0x21 => Self::Alignment,
            0x22..=0x27 => Self::GranuleProtectionOnWalk(above(bits, 0x24)),
            0x28 => Self::GranuleProtection,
            0x29 => Self::AddressSize(-1),
            0x2a => Self::Translation(-2),
            0x2b => Self::Translation(-1),
            0x2c => Self::AddressSize(-2),
            0x30 => Self::TlbConflict,
            0x31 => Self::UnsupportedAtomicUpdate,
            0x34 => Self::Lockdown,
            0x35 => Self::UnsupportedExclusive,
            other => Self::Unknown(other),
        }
    }

    /// What it says, in a few words, the level included.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::AddressSize(level) => at(level, &ADDRESS_SIZE),
            Self::Translation(level) => at(level, &TRANSLATION),
            Self::AccessFlag(level) => at(level, &ACCESS_FLAG),
            Self::Permission(level) => at(level, &PERMISSION),
            Self::ExternalAbort => "synchronous external abort, not on a translation table walk",
            Self::TagCheck => "synchronous tag check fault",
            Self::ExternalAbortOnWalk(level) => at(level, &EXTERNAL_ABORT_ON_WALK),
            Self::Parity => "synchronous parity or ECC error, not on a translation table walk",
            Self::ParityOnWalk(level) => at(level, &PARITY_ON_WALK),
            Self::Alignment => "alignment fault",
            Self::GranuleProtectionOnWalk(level) => at(level, &GRANULE_PROTECTION_ON_WALK),
            Self::GranuleProtection => "granule protection fault, not on a translation table walk",
            Self::TlbConflict => "TLB conflict abort",
            Self::UnsupportedAtomicUpdate => "unsupported atomic hardware update fault",
            Self::Lockdown => "IMPLEMENTATION DEFINED fault (lockdown)",
            Self::UnsupportedExclusive => {
                "IMPLEMENTATION DEFINED fault (unsupported Exclusive or Atomic access)"
            }
            Self::Unknown(_) => "reserved fault status code",
        }
    }
}

/// The level that `bits` stands for, when `zero` is the code of level 0.
#[inline]
pub(crate) const fn above(bits: u8, zero: u8) -> i8 {
    bits.wrapping_sub(zero).cast_signed()
}

/// One text for each level from −2 to 3.
type Levels = [&'static str; 6];

fn at(level: i8, texts: &Levels) -> &'static str {
    let index = usize::from(level.wrapping_add(2).cast_unsigned());
    texts
        .get(index)
        .copied()
        .unwrap_or("fault at a level that does not exist")
}

macro_rules! levels {
    ($text:literal) => {
        [
            concat!($text, ", level -2"),
            concat!($text, ", level -1"),
            concat!($text, ", level 0"),
            concat!($text, ", level 1"),
            concat!($text, ", level 2"),
            concat!($text, ", level 3"),
        ]
    };
}

const ADDRESS_SIZE: Levels = levels!("address size fault");
const TRANSLATION: Levels = levels!("translation fault");
const ACCESS_FLAG: Levels = levels!("access flag fault");
const PERMISSION: Levels = levels!("permission fault");
const EXTERNAL_ABORT_ON_WALK: Levels = levels!("synchronous external abort on a translation table walk");
const PARITY_ON_WALK: Levels = levels!("synchronous parity or ECC error on a translation table walk");
const GRANULE_PROTECTION_ON_WALK: Levels = levels!("granule protection fault on a translation table walk");
