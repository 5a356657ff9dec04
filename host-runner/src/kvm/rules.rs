//! The rules by which a vCPU's registers are restored, and their names. Plain code, tested on every host.
//!
//! - A register that has the value already is left alone: so what cannot be written need not be.
//! - Every other one is written. One that refuses its value, or does not have it afterwards, ends the restoring, by
//!   name: this host is not what the file needs.
//! - One that this host does not know must never have been written: zero, or what KVM resets registers to whose reset
//!   value is unknown. Then nothing is lost with it. One that the file does not know stays at its reset value: the VM
//!   never had it.
//! - Firmware's pseudo registers go first, as they can be written only before anything else; then the ID registers,
//!   which decide what the others may hold; then all others; then the timers. Their counters come last of the whole
//!   machine, as they were read first: no time passes for the guest while it is in a file.

/// Bits 27:16 of an id say what kind of register it is.
const KIND: u64 = 0x0fff_0000;
const SYSTEM: u64 = 0x0013_0000;
const FIRMWARE: u64 = 0x0014_0000;
const FIRMWARE_FEATURES: u64 = 0x0016_0000;
const SYSTEM_BASE: u64 = 0x6030_0000_0013_0000;

pub(crate) const MIDR: u64 = SYSTEM_BASE | 0xc000;
pub(crate) const REVIDR: u64 = SYSTEM_BASE | 0xc006;
pub(crate) const AIDR: u64 = SYSTEM_BASE | 0xc807;

/// The virtual and the physical counter, by KVM's own ids: the virtual one's was swapped with its compare value's
/// [Linux `arch/arm64/include/uapi/asm/kvm.h`, KVM_REG_ARM_TIMER_CNT].
pub(crate) const COUNTERS: [u64; 2] = [SYSTEM_BASE | 0xdf1a, SYSTEM_BASE | 0xdf01];
/// CTL and CVAL of both timers.
const TIMERS: [u64; 4] = [
    SYSTEM_BASE | 0xdf19,
    SYSTEM_BASE | 0xdf02,
    SYSTEM_BASE | 0xdf11,
    SYSTEM_BASE | 0xdf12,
];

/// [Linux `arch/arm64/kvm/sys_regs.h`, `reset_unknown`]
const RESET_UNKNOWN: u64 = 0x1de7_ec7e_dbad_c0de;

/// When a register is restored.
pub(crate) fn phase(id: u64) -> u8 {
    match id & KIND {
        FIRMWARE | FIRMWARE_FEATURES => 0,
        // CRn = 0: all identification.
        SYSTEM if (id >> 7) & 0xf == 0 => 1,
        SYSTEM if is_counter(id) || TIMERS.contains(&id) => 3,
        _ => 2,
    }
}

pub(crate) fn is_counter(id: u64) -> bool {
    COUNTERS.contains(&id)
}

/// How a register is called in messages.
pub(crate) fn name(id: u64) -> String {
    if id & KIND == SYSTEM {
        let (op0, op1) = ((id >> 14) & 3, (id >> 11) & 7);
        let (crn, crm, op2) = ((id >> 7) & 0xf, (id >> 3) & 0xf, id & 7);
        format!("system register S{op0}_{op1}_C{crn}_C{crm}_{op2} ({id:#x})")
    } else {
        format!("register {id:#x}")
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().rev().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

/// Whether nobody can have written this value: zero, or what KVM fills in where Arm says that a reset leaves anything.
pub(crate) fn is_unwritten(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0) || *bytes == RESET_UNKNOWN.to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn firmware_goes_before_identification_before_all_else_before_timers() {
        // PSCI's version, MPIDR_EL1, ID_AA64PFR0_EL1, CTR_EL0; SCTLR_EL1, PC, V0; CNTV_CTL, CNTV_CVAL, CNTVCT as KVM
        // numbers them [Linux arch/arm64/include/uapi/asm/kvm.h].
        for (phase_of, ids) in [
            (0, &[0x6030_0000_0014_0000_u64, 0x6030_0000_0016_0000][..]),
            (
                1,
                &[
                    0x6030_0000_0013_c005,
                    0x6030_0000_0013_c020,
                    0x6030_0000_0013_d801,
                ],
            ),
            (
                2,
                &[
                    0x6030_0000_0013_c080,
                    0x6030_0000_0010_0040,
                    0x6040_0000_0010_0054,
                ],
            ),
            (
                3,
                &[
                    0x6030_0000_0013_df19,
                    0x6030_0000_0013_df02,
                    0x6030_0000_0013_df1a,
                ],
            ),
        ] {
            for id in ids {
                assert_eq!(phase(*id), phase_of, "{id:#x}");
            }
        }
        assert!(is_counter(0x6030_0000_0013_df1a) && !is_counter(0x6030_0000_0013_df02));
    }

    #[test]
    fn what_nobody_wrote_can_be_left_behind_and_nothing_else() {
        assert!(is_unwritten(&[0; 8]) && is_unwritten(&[0; 4]) && is_unwritten(&[0; 256]));
        assert!(is_unwritten(&0x1de7_ec7e_dbad_c0de_u64.to_le_bytes()));
        assert!(!is_unwritten(&[0, 0, 0, 1]) && !is_unwritten(&0xdbad_c0de_u64.to_le_bytes()));
    }

    #[test]
    fn a_register_is_named_as_assemblers_name_it() {
        // DISR_EL1 is S3_0_C12_C1_1 [Arm ARM].
        assert_eq!(
            name(0x6030_0000_0013_c609),
            "system register S3_0_C12_C1_1 (0x603000000013c609)"
        );
        assert_eq!(name(0x6030_0000_0010_0040), "register 0x6030000000100040");
        assert_eq!(text(&[0x11, 0x0c, 0, 0x80]), "0x80000c11");
    }
}
