//! PSCI as the guest sees it: one CPU that can be switched off [Arm DEN0022].

/// Switches the machine off.
pub const SYSTEM_OFF: u32 = 0x8400_0008;
/// Starts the machine again.
pub const SYSTEM_RESET: u32 = 0x8400_0009;

const VERSION: u32 = 0x8400_0000;
const MIGRATE_INFO_TYPE: u32 = 0x8400_0006;
const FEATURES: u32 = 0x8400_000a;

const VERSION_1_1: u64 = 0x1_0001;
const NOT_SUPPORTED: u64 = u64::MAX;
const NO_TRUSTED_OS: u64 = 2;

/// What a call gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "a call that is not answered leaves the guest with its own function number"]
pub enum Reply {
    /// This value in x0.
    Value(u64),
    /// The machine is switched off.
    Off,
    /// The machine is started again.
    Reset,
}

/// The reply to a call of `function` with `argument` in x1. All of it is 32 bits wide but the registers.
pub const fn reply(function: u64, argument: u64) -> Reply {
    match low(function) {
        SYSTEM_OFF => Reply::Off,
        SYSTEM_RESET => Reply::Reset,
        VERSION => Reply::Value(VERSION_1_1),
        MIGRATE_INFO_TYPE => Reply::Value(NO_TRUSTED_OS),
        FEATURES => match low(argument) {
            SYSTEM_OFF | SYSTEM_RESET | VERSION | MIGRATE_INFO_TYPE | FEATURES => Reply::Value(0),
            _ => Reply::Value(NOT_SUPPORTED),
        },
        _ => Reply::Value(NOT_SUPPORTED),
    }
}

const fn low(word: u64) -> u32 {
    (word & 0xffff_ffff) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_gets_its_reply_and_nothing_else_switches_off() {
        for (function, argument, expected) in [
            (0x8400_0000, 0, Reply::Value(0x1_0001)),
            (0x8400_0008, 0, Reply::Off),
            (0x8400_0009, 0, Reply::Reset),
            (0x8400_0006, 0, Reply::Value(2)),
            (0x8400_000a, 0x8400_0008, Reply::Value(0)),
            (0x8400_000a, 0xc400_0003, Reply::Value(u64::MAX)),
            (0xc400_0003, 0, Reply::Value(u64::MAX)),
            (0xc400_0008, 0, Reply::Value(u64::MAX)),
            (0, 0, Reply::Value(u64::MAX)),
            // Bits 63:32 of the register are not part of the number [Arm DEN0028 3.1].
            (0xdead_0000_8400_0008, 0, Reply::Off),
        ] {
            assert_eq!(reply(function, argument), expected, "{function:#x} {argument:#x}");
        }
    }
}
