//! Switching the machine off [Arm DEN 0022, PSCI 1.3].

use seawall_firmware::board::Conduit;

use super::{guarded, registers};

/// SYSTEM_OFF.
const SYSTEM_OFF: u64 = 0x8400_0008;
/// SYSTEM_RESET.
const SYSTEM_RESET: u64 = 0x8400_0009;

/// Switches the machine off, by the conduit the device tree named and then by the other; waits for good where neither
/// works. Without a hypervisor HVC is undefined, and without firmware SMC is: both come back. After an entry at EL2 an
/// HVC is answered there, by the boot's own vectors.
pub(crate) fn power_off(conduit: Option<Conduit>) -> ! {
    leave_by(SYSTEM_OFF, conduit)
}

/// Has the machine begin again, in the same ways.
pub(crate) fn reset(conduit: Option<Conduit>) -> ! {
    leave_by(SYSTEM_RESET, conduit)
}

fn leave_by(function: u64, conduit: Option<Conduit>) -> ! {
    if conduit == Some(Conduit::Smc) {
        guarded::smc(function);
        guarded::hvc(function);
    } else {
        guarded::hvc(function);
        guarded::smc(function);
    }
    loop {
        registers::wait();
    }
}
