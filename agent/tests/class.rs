//! Exception classes, by the row, and the parts that every ESR has.

use seawall_agent::Esr;
use seawall_agent::syndrome::Class;

/// Every value that DDI 0487 M.a.a names, with a word that the manual's name has in it.
#[rustfmt::skip]
const NAMED: [(u8, Class, &str); 50] = [
    (0x00, Class::UnknownReason, "Unknown reason"),
    (0x01, Class::TrappedWait, "WFI"),
    (0x03, Class::TrappedMcrCp15, "MCR or MRC (coproc 0b1111)"),
    (0x04, Class::TrappedMcrrCp15, "MCRR or MRRC (coproc 0b1111)"),
    (0x05, Class::TrappedMcrCp14, "MCR or MRC (coproc 0b1110)"),
    (0x06, Class::TrappedLdcStc, "LDC or STC"),
    (0x07, Class::TrappedFloatingPoint, "Advanced SIMD"),
    (0x08, Class::TrappedVmrs, "VMRS"),
    (0x09, Class::TrappedPointerAuthentication, "pointer authentication"),
    (0x0a, Class::TrappedOther, "without a class of its own"),
    (0x0c, Class::TrappedMrrcCp14, "MRRC (coproc 0b1110)"),
    (0x0d, Class::BranchTarget, "Branch Target"),
    (0x0e, Class::IllegalExecutionState, "Illegal Execution"),
    (0x11, Class::Svc32, "SVC in AArch32"),
    (0x12, Class::Hvc32, "HVC in AArch32"),
    (0x13, Class::Smc32, "SMC in AArch32"),
    (0x14, Class::TrappedMsrr, "MSRR"),
    (0x15, Class::Svc64, "SVC in AArch64"),
    (0x16, Class::Hvc64, "HVC in AArch64"),
    (0x17, Class::Smc64, "SMC in AArch64"),
    (0x18, Class::TrappedMsr, "MSR, MRS"),
    (0x19, Class::TrappedSve, "SVE"),
    (0x1a, Class::TrappedEret, "ERET"),
    (0x1b, Class::TrappedTstart, "TSTART"),
    (0x1c, Class::PointerAuthenticationFailure, "authentication failure"),
    (0x1d, Class::TrappedSme, "SME"),
    (0x1e, Class::GranuleProtectionCheck, "Granule Protection Check"),
    (0x1f, Class::ImplementationDefined, "IMPLEMENTATION DEFINED"),
    (0x20, Class::InstructionAbortLower, "Instruction Abort from a lower"),
    (0x21, Class::InstructionAbortCurrent, "Instruction Abort without a change"),
    (0x22, Class::PcAlignment, "PC alignment"),
    (0x24, Class::DataAbortLower, "Data Abort from a lower"),
    (0x25, Class::DataAbortCurrent, "Data Abort without a change"),
    (0x26, Class::SpAlignment, "SP alignment"),
    (0x27, Class::MemoryOperation, "Memory Operation"),
    (0x28, Class::FloatingPoint32, "AArch32"),
    (0x2c, Class::FloatingPoint64, "AArch64"),
    (0x2d, Class::GuardedControlStack, "Guarded Control Stack"),
    (0x2f, Class::SError, "SError"),
    (0x30, Class::BreakpointLower, "Breakpoint from a lower"),
    (0x31, Class::BreakpointCurrent, "Breakpoint without a change"),
    (0x32, Class::SoftwareStepLower, "Software Step from a lower"),
    (0x33, Class::SoftwareStepCurrent, "Software Step without a change"),
    (0x34, Class::WatchpointLower, "Watchpoint from a lower"),
    (0x35, Class::WatchpointCurrent, "Watchpoint without a change"),
    (0x38, Class::Bkpt32, "BKPT"),
    (0x3a, Class::VectorCatch32, "Vector Catch"),
    (0x3c, Class::Brk64, "BRK"),
    (0x3d, Class::Profiling, "Profiling"),
    // One that nothing names, so that the count below is of all 64.
    (0x3f, Class::Unknown(0x3f), "Reserved"),
];

#[test]
fn every_class_has_the_manuals_name() {
    for (code, class, word) in NAMED {
        let esr = Esr(u64::from(code) << 26);
        assert_eq!(esr.class(), class, "{code:#x}");
        assert_eq!(class.bits(), code);
        assert!(
            class.name().contains(word),
            "{code:#x} is called {:?}",
            class.name()
        );
    }
}

#[test]
fn classes_that_the_manual_does_not_name_stay_representable() {
    for code in 0..64_u8 {
        let named = NAMED.iter().any(|&(named, ..)| named == code) && code != 0x3f;
        let class = Esr(u64::from(code) << 26).class();
        assert_eq!(matches!(class, Class::Unknown(_)), !named, "{code:#x}");
        assert_eq!(class.bits(), code);
    }
}

#[test]
fn parts_of_an_esr_do_not_show_in_each_other() {
    for (esr, class, il, iss, iss2) in [
        (0x0000_0000_0000_0000, 0x00, false, 0x000_0000, 0x00_0000),
        (0xffff_ffff_ffff_ffff, 0x3f, true, 0x1ff_ffff, 0xff_ffff),
        (0x0000_0000_0200_0000, 0x00, true, 0x000_0000, 0x00_0000),
        (0x0000_0000_01ff_ffff, 0x00, false, 0x1ff_ffff, 0x00_0000),
        (0x0000_0000_fc00_0000, 0x3f, false, 0x000_0000, 0x00_0000),
        (0x00ff_ffff_0000_0000, 0x00, false, 0x000_0000, 0xff_ffff),
        (0xff00_0000_0000_0000, 0x00, false, 0x000_0000, 0x00_0000),
        (0x0000_0005_9200_0610, 0x24, true, 0x000_0610, 0x00_0005),
    ] {
        let esr = Esr(esr);
        assert_eq!(
            (esr.class().bits(), esr.il(), esr.iss(), esr.iss2()),
            (class, il, iss, iss2),
            "{esr:?}"
        );
    }
}
