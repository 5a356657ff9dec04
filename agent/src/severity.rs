//! One ordered scale over the error types of synchronous and asynchronous errors.

use crate::syndrome::{Abort, AsynchronousErrorType, Disr, SError, SynchronousErrorType};

/// How bad an error is, mildest first \[Arm ARM D24.2.45: `SET`, `AET`\]. The first three are precise: the
/// interrupted state is exact. The number is part of the journal's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Severity {
    /// CE. The hardware has repaired it; nothing is lost.
    Corrected = 0,
    /// UEO. Nothing is lost, and the interrupted software may go on as it is.
    Restartable = 1,
    /// UER. Contained and precise: once repaired, the interrupted software may go on; else it alone is lost.
    Recoverable = 2,
    /// UEU. Contained, but imprecise: the interrupted software cannot go on.
    Unrecoverable = 3,
    /// UC. Wrong data may have gone anywhere.
    Uncontainable = 4,
}

impl Severity {
    /// The severity of a data or instruction abort; `None` when it is not a memory error at all.
    ///
    /// Parity and ECC codes have no `SET` and count as recoverable. `ras` says whether the PE has `FEAT_RAS`
    /// (`ID_AA64PFR0_EL1.RAS`, bits 31:28, not 0). Without it `SET` is RES0, and RES0 is what "recoverable" looks
    /// like; bits that are set all the same are believed when they say worse, and not when they say milder.
    #[inline]
    #[must_use]
    pub const fn of_abort(abort: Abort, ras: bool) -> Option<Self> {
        if !abort.is_external() {
            return None;
        }
        Some(match abort.set() {
            None | Some(SynchronousErrorType::Recoverable) => Self::Recoverable,
            Some(SynchronousErrorType::Restartable) => {
                if ras {
                    Self::Restartable
                } else {
                    Self::Recoverable
                }
            }
            // A reserved value: nothing is promised, so nothing is assumed.
            Some(SynchronousErrorType::Reserved | SynchronousErrorType::Uncontainable) => Self::Uncontainable,
        })
    }

    /// The severity of an SError taken. Without `FEAT_RAS`, with `IDS` = 1 or with a `DFSC` other than 0x11 there is no
    /// error type, and nothing is promised: uncontainable.
    #[inline]
    #[must_use]
    pub const fn of_serror(serror: SError, ras: bool) -> Self {
        Self::of_error_type(serror.aet(), ras)
    }

    /// The severity of a deferred SError, by the same rule; `None` when nothing was deferred.
    #[inline]
    #[must_use]
    pub const fn of_disr(disr: Disr, ras: bool) -> Option<Self> {
        if disr.pending() {
            Some(Self::of_error_type(disr.aet(), ras))
        } else {
            None
        }
    }

    #[inline]
    const fn of_error_type(aet: Option<AsynchronousErrorType>, ras: bool) -> Self {
        if !ras {
            return Self::Uncontainable;
        }
        match aet {
            Some(AsynchronousErrorType::Unrecoverable) => Self::Unrecoverable,
            Some(AsynchronousErrorType::Restartable) => Self::Restartable,
            Some(AsynchronousErrorType::Recoverable) => Self::Recoverable,
            Some(AsynchronousErrorType::Corrected) => Self::Corrected,
            None | Some(AsynchronousErrorType::Uncontainable | AsynchronousErrorType::Reserved(_)) => {
                Self::Uncontainable
            }
        }
    }

    /// The severity with this number in a journal.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Corrected,
            1 => Self::Restartable,
            2 => Self::Recoverable,
            3 => Self::Unrecoverable,
            4 => Self::Uncontainable,
            _ => return None,
        })
    }

    /// Its name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Corrected => "corrected",
            Self::Restartable => "restartable",
            Self::Recoverable => "recoverable",
            Self::Unrecoverable => "unrecoverable",
            Self::Uncontainable => "uncontainable",
        }
    }
}
