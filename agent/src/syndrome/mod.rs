//! Syndromes: what the hardware says about an exception, decoded without loss.
//!
//! Every decoder here is total over all 64-bit values: what the manual reserves stays representable, and a field that
//! means nothing in its context is `None`, with the architectural reason in its doc and in [`Field::absent`]. The
//! manual is the Arm Architecture Reference Manual, DDI 0487 M.a.a.

mod abort;
mod class;
mod draw;
mod fault_status;
mod field;
mod serror;

pub use abort::{Abort, AbortKind, SynchronousErrorType, WriteUpdate};
pub use class::Class;
pub use fault_status::FaultStatus;
pub use field::{Field, Fields};
pub use serror::{AsynchronousErrorType, Disr, SError, SErrorStatus};

use field::{bit, bits_of, either, small};

/// `ESR_ELx`, the exception syndrome register \[Arm ARM D24.2.45\].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Esr(
    /// The register.
    pub u64,
);

impl Esr {
    /// `EC`, bits 31:26.
    #[must_use]
    pub const fn class(self) -> Class {
        Class::from_bits(small(self.0, 26, 0x3f))
    }

    /// `IL`, bit 25: the instruction was 32 bits long. Set for all aborts without an instruction syndrome.
    #[must_use]
    pub const fn il(self) -> bool {
        bit(self.0, 25)
    }

    /// `ISS`, bits 24:0.
    #[must_use]
    pub const fn iss(self) -> u64 {
        bits_of(self.0, 24, 0)
    }

    /// `ISS2`, bits 55:32.
    #[must_use]
    pub const fn iss2(self) -> u64 {
        bits_of(self.0, 55, 32)
    }

    /// The data or instruction abort that this is; `None` for every other class.
    #[inline]
    #[must_use]
    pub const fn abort(self) -> Option<Abort> {
        match small(self.0, 26, 0x3f) {
            0x20 => Some(Abort::new(AbortKind::Instruction, true, self.0)),
            0x21 => Some(Abort::new(AbortKind::Instruction, false, self.0)),
            0x24 => Some(Abort::new(AbortKind::Data, true, self.0)),
            0x25 => Some(Abort::new(AbortKind::Data, false, self.0)),
            _ => None,
        }
    }

    /// The abort from a lower Exception level that the access itself met (code 0x10), in recoverable state (`SET` is UER,
    /// or there is no FEAT_RAS), with a valid FAR; `None` for all else, and for other aborts. Four fields in one look.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn plain_abort(self) -> Option<Abort> {
        // EC bits 31:26 but for bit 28, which tells 0x24 from 0x20; SET 12:11, FnV 10, FSC 5:0.
        const FIELDS: u64 = 0xec00_1c3f;
        const PLAIN: u64 = 0x8000_0010;
        match (self.0 & FIELDS, small(self.0, 28, 1)) {
            (PLAIN, 0) => Some(Abort::new(AbortKind::Instruction, true, self.0)),
            (PLAIN, _) => Some(Abort::new(AbortKind::Data, true, self.0)),
            _ => None,
        }
    }

    /// The SError in recoverable state (`AET` is UER, `DFSC` 0x11, `IDS` 0) without an address (`VFV` and `PFV` are 0);
    /// `None` for all else, and for other SErrors.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn plain_serror(self) -> Option<SError> {
        // EC bits 31:26, IDS 24, VFV 15, PFV 14, AET 12:10, DFSC 5:0.
        const FIELDS: u64 = 0xfd00_dc3f;
        const PLAIN: u64 = 0xbc00_0c11;
        if self.0 & FIELDS == PLAIN {
            Some(SError::new(self.0))
        } else {
            None
        }
    }

    /// The SError that this is; `None` for every other class.
    #[inline]
    #[must_use]
    pub const fn serror(self) -> Option<SError> {
        if small(self.0, 26, 0x3f) == 0x2f {
            Some(SError::new(self.0))
        } else {
            None
        }
    }

    /// The whole register as fields, highest bit first. Of classes that are neither aborts nor SErrors, bits 24:0 are
    /// one field, `iss`.
    #[must_use]
    pub fn fields(self) -> Fields {
        let mut fields = Fields::new(self.0);
        fields.reserved((63, 56));
        fields.number("iss2", (55, 32));
        fields.means("ec", (31, 26), self.class().name());
        fields.means(
            "il",
            (25, 25),
            either(self.il(), "16-bit instruction", "32-bit instruction"),
        );
        if let Some(abort) = self.abort() {
            abort.draw(&mut fields);
        } else if let Some(serror) = self.serror() {
            serror.draw(&mut fields);
        } else {
            fields.number("iss", (24, 0));
        }
        fields
    }
}
