//! Register access: two macros for the shim's own, two for the guest's.
//!
//! Where HCR_EL2.E2H is 1, as it always is on CPUs without FEAT_E2H0, the EL1 names at EL2 mean EL2's registers and the
//! guest's have names of their own, with op1 = 5 [Arm ARM D13.2.4]. All are written by their encoding, as the
//! assembler knows neither those nor the newer ones for a plain Armv8.0 target.

/// Reads a register by name.
macro_rules! read {
    ($name:expr) => {{
        let value: u64;
        // SAFETY: the caller names a register that EL2 may read on this CPU; reading it has no side effect.
        unsafe {
            core::arch::asm!(concat!("mrs {}, ", $name), out(reg) value, options(nomem, nostack, preserves_flags));
        }
        value
    }};
}

/// Writes a register by name; takes effect at the next context synchronisation.
macro_rules! write {
    ($name:expr, $value:expr) => {{
        let value: u64 = $value;
        // SAFETY: the caller says why this value is right; none of the registers written moves the shim's own memory
        // or stack. Without `nomem`, so that no access crosses it.
        unsafe { core::arch::asm!(concat!("msr ", $name, ", {}"), in(reg) value, options(nostack, preserves_flags)) }
    }};
}

/// Reads a register of the guest's EL1, by `CRn_CRm_op2`.
macro_rules! read_guest {
    ($e2h:expr, $register:literal) => {
        if $e2h {
            $crate::arch::registers::read!(concat!("S3_5_", $register))
        } else {
            $crate::arch::registers::read!(concat!("S3_0_", $register))
        }
    };
}

/// Writes a register of the guest's EL1, by `CRn_CRm_op2`.
macro_rules! write_guest {
    ($e2h:expr, $register:literal, $value:expr) => {
        if $e2h {
            $crate::arch::registers::write!(concat!("S3_5_", $register), $value)
        } else {
            $crate::arch::registers::write!(concat!("S3_0_", $register), $value)
        }
    };
}

pub(crate) use {read, read_guest, write, write_guest};
