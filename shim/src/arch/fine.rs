//! What EL2 takes from EL1 unless it says otherwise: the registers and instructions of newer features. A kernel that finds
//! a feature in the identification registers uses it, so nothing of it may trap [Linux
//! `Documentation/arch/arm64/booting.rst`]. Everything here is written only where the CPU has the register.
#![expect(unsafe_code, reason = "system registers are written by asm")]

use super::registers::{read, write};

/// FGT's bits that mean no trap when they are 1, whose names begin with n [Arm ARM D24.2.50 to D24.2.55]: of the registers
/// that are read and written, of instructions, of debug registers read and written.
const REGISTERS: u64 = (0xfff << 52) | (1 << 50);
const INSTRUCTIONS: u64 = (1 << 62) | (0x1f << 55);
const DEBUG_READ: u64 = 0xf << 59;
const DEBUG_WRITE: u64 = 0x7 << 60;
/// Of FGT2 each bit is one of these, but for HFGITR2's first.
const REGISTERS_2: u64 = 0x7fff;
const DEBUG_2: u64 = 0x01ff_ffff;
const INSTRUCTIONS_2: u64 = 1 << 1;

/// HCRX_EL2: EnAS0, EnALS, EnASR; MSCEn; TCR2En, SCTLR2En, D128En; GCSEn, EnFPM.
const HCRX: u64 = 0x7 | (1 << 11) | (1 << 14) | (1 << 15) | (1 << 17) | (1 << 22) | (1 << 23);

/// The longest vectors there are, for SVE; and for SME with FA64 and ZT0.
const ZCR: u64 = 0xf;
const SMCR: u64 = 0xf | (1 << 31) | (1 << 30);

/// The four-bit field of an identification register at `shift`.
const fn field(register: u64, shift: u32) -> u64 {
    (register >> shift) & 0xf
}

/// Leaves all of it to EL1.
pub(super) fn open() {
    let (pfr0, pfr1) = (read!("id_aa64pfr0_el1"), read!("id_aa64pfr1_el1"));
    let (mmfr0, mmfr1) = (read!("id_aa64mmfr0_el1"), read!("id_aa64mmfr1_el1"));
    if field(pfr0, 32) != 0 {
        // ZCR_EL2.
        write!("S3_4_C1_C2_0", ZCR);
    }
    if field(pfr1, 24) != 0 {
        // SMCR_EL2.
        write!("S3_4_C1_C2_6", SMCR);
    }
    if field(mmfr1, 40) != 0 {
        // HCRX_EL2.
        write!("S3_4_C1_C2_2", HCRX);
    }
    let fine = field(mmfr0, 56);
    if fine >= 1 {
        // HFGRTR_EL2, HFGWTR_EL2, HFGITR_EL2, HDFGRTR_EL2, HDFGWTR_EL2.
        write!("S3_4_C1_C1_4", REGISTERS);
        write!("S3_4_C1_C1_5", REGISTERS);
        write!("S3_4_C1_C1_6", INSTRUCTIONS);
        write!("S3_4_C3_C1_4", DEBUG_READ);
        write!("S3_4_C3_C1_5", DEBUG_WRITE);
    }
    if fine >= 2 {
        // HFGRTR2_EL2, HFGWTR2_EL2, HFGITR2_EL2, HDFGRTR2_EL2, HDFGWTR2_EL2.
        write!("S3_4_C3_C1_2", REGISTERS_2);
        write!("S3_4_C3_C1_3", REGISTERS_2);
        write!("S3_4_C3_C1_7", INSTRUCTIONS_2);
        write!("S3_4_C3_C1_0", DEBUG_2);
        write!("S3_4_C3_C1_1", DEBUG_2);
    }
}
