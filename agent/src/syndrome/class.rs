//! Exception classes: `ESR_ELx.EC` \[Arm ARM D24.2.45\].

macro_rules! classes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $name:literal;)*) => {
        /// What kind of exception it was: `ESR_ELx.EC`, bits 31:26 \[Arm ARM D24.2.45\]. Every value that DDI 0487
        /// M.a.a names is here, those that are never taken to EL1 too; the rest stay representable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Class {
            $($(#[$doc])* $variant,)*
            /// A value that the manual does not name.
            Unknown(u8),
        }

        impl Class {
            /// The class with this number. Only bits 5:0 count: the field has six.
            #[must_use]
            pub const fn from_bits(bits: u8) -> Self {
                match bits & 0x3f {
                    $($code => Self::$variant,)*
                    other => Self::Unknown(other),
                }
            }

            /// The field's value.
            #[must_use]
            pub const fn bits(self) -> u8 {
                match self {
                    $(Self::$variant => $code,)*
                    Self::Unknown(other) => other & 0x3f,
                }
            }

            /// The manual's words for it, shortened.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Unknown(_) => "Reserved exception class",
                }
            }
        }
    };
}

classes! {
    /// No other class fits: an UNDEFINED instruction, for one.
    UnknownReason = 0x00, "Unknown reason";
    /// `WFI`, `WFE`, `WFIT` or `WFET`.
    TrappedWait = 0x01, "Trapped WFI or WFE";
    /// AArch32 `MCR` or `MRC`, coproc 0b1111.
    TrappedMcrCp15 = 0x03, "Trapped MCR or MRC (coproc 0b1111)";
    /// AArch32 `MCRR` or `MRRC`, coproc 0b1111.
    TrappedMcrrCp15 = 0x04, "Trapped MCRR or MRRC (coproc 0b1111)";
    /// AArch32 `MCR` or `MRC`, coproc 0b1110.
    TrappedMcrCp14 = 0x05, "Trapped MCR or MRC (coproc 0b1110)";
    /// AArch32 `LDC` or `STC`.
    TrappedLdcStc = 0x06, "Trapped LDC or STC";
    /// SME, SVE, Advanced SIMD or floating point, switched off by an enable bit.
    TrappedFloatingPoint = 0x07, "Trapped SME, SVE, Advanced SIMD or floating-point access";
    /// AArch32 `VMRS` of an ID register. Taken to EL2 only.
    TrappedVmrs = 0x08, "Trapped VMRS";
    /// A pointer authentication instruction or key, trapped to EL2 or EL3.
    TrappedPointerAuthentication = 0x09, "Trapped pointer authentication instruction";
    /// Any instruction that has no class of its own, `LD64B` and `ST64B` among them.
    TrappedOther = 0x0a, "Trapped execution of an instruction without a class of its own";
    /// AArch32 `MRRC`, coproc 0b1110.
    TrappedMrrcCp14 = 0x0c, "Trapped MRRC (coproc 0b1110)";
    /// `FEAT_BTI`.
    BranchTarget = 0x0d, "Branch Target Exception";
    /// `PSTATE.IL` was set.
    IllegalExecutionState = 0x0e, "Illegal Execution state";
    /// `SVC` in AArch32 state.
    Svc32 = 0x11, "SVC in AArch32 state";
    /// `HVC` in AArch32 state.
    Hvc32 = 0x12, "HVC in AArch32 state";
    /// `SMC` in AArch32 state.
    Smc32 = 0x13, "SMC in AArch32 state";
    /// `MSRR`, `MRRS` or a 128-bit System instruction (`FEAT_SYSREG128`, `FEAT_SYSINSTR128`).
    TrappedMsrr = 0x14, "Trapped MSRR, MRRS or 128-bit System instruction";
    /// `SVC` in AArch64 state.
    Svc64 = 0x15, "SVC in AArch64 state";
    /// `HVC` in AArch64 state.
    Hvc64 = 0x16, "HVC in AArch64 state";
    /// `SMC` in AArch64 state.
    Smc64 = 0x17, "SMC in AArch64 state";
    /// `MSR`, `MRS` or a System instruction in AArch64 state.
    TrappedMsr = 0x18, "Trapped MSR, MRS or System instruction in AArch64 state";
    /// SVE, switched off by an enable bit.
    TrappedSve = 0x19, "Trapped SVE access";
    /// `ERET`, `ERETAA` or `ERETAB`. Taken to EL2 only.
    TrappedEret = 0x1a, "Trapped ERET";
    /// `TSTART` of `FEAT_TME`, an extension since withdrawn.
    TrappedTstart = 0x1b, "Trapped TSTART";
    /// `FEAT_FPAC`.
    PointerAuthenticationFailure = 0x1c, "Pointer authentication failure";
    /// SME, switched off by an enable bit or in the wrong mode.
    TrappedSme = 0x1d, "Trapped SME access";
    /// `FEAT_RME`. Taken to EL3 only.
    GranuleProtectionCheck = 0x1e, "Granule Protection Check exception";
    /// Taken to EL3 only.
    ImplementationDefined = 0x1f, "IMPLEMENTATION DEFINED exception to EL3";
    /// Instruction abort from a lower Exception level.
    InstructionAbortLower = 0x20, "Instruction Abort from a lower Exception level";
    /// Instruction abort from the level it was taken to.
    InstructionAbortCurrent = 0x21, "Instruction Abort without a change in Exception level";
    /// Misaligned PC.
    PcAlignment = 0x22, "PC alignment fault";
    /// Data abort from a lower Exception level.
    DataAbortLower = 0x24, "Data Abort from a lower Exception level";
    /// Data abort from the level it was taken to.
    DataAbortCurrent = 0x25, "Data Abort without a change in Exception level";
    /// Misaligned SP.
    SpAlignment = 0x26, "SP alignment fault";
    /// `FEAT_MOPS`: a memory copy or set in the wrong stage.
    MemoryOperation = 0x27, "Memory Operation Exception";
    /// Floating-point exception, AArch32 state.
    FloatingPoint32 = 0x28, "Trapped floating-point exception in AArch32 state";
    /// Floating-point exception, AArch64 state.
    FloatingPoint64 = 0x2c, "Trapped floating-point exception in AArch64 state";
    /// `FEAT_GCS`.
    GuardedControlStack = 0x2d, "Guarded Control Stack exception";
    /// SError, physical or virtual.
    SError = 0x2f, "SError exception";
    /// Breakpoint, from a lower Exception level.
    BreakpointLower = 0x30, "Breakpoint from a lower Exception level";
    /// Breakpoint, from the level it was taken to.
    BreakpointCurrent = 0x31, "Breakpoint without a change in Exception level";
    /// Software step, from a lower Exception level.
    SoftwareStepLower = 0x32, "Software Step from a lower Exception level";
    /// Software step, from the level it was taken to.
    SoftwareStepCurrent = 0x33, "Software Step without a change in Exception level";
    /// Watchpoint, from a lower Exception level.
    WatchpointLower = 0x34, "Watchpoint from a lower Exception level";
    /// Watchpoint, from the level it was taken to.
    WatchpointCurrent = 0x35, "Watchpoint without a change in Exception level";
    /// `BKPT` in AArch32 state.
    Bkpt32 = 0x38, "BKPT in AArch32 state";
    /// Vector catch in AArch32 state. Taken to EL2 only.
    VectorCatch32 = 0x3a, "Vector Catch from AArch32 state";
    /// `BRK` in AArch64 state.
    Brk64 = 0x3c, "BRK in AArch64 state";
    /// `FEAT_EBEP`, and SPE and TRBE likewise.
    Profiling = 0x3d, "Profiling exception";
}
