//! Switching the machine off [Arm DEN 0022, PSCI 1.3].

use seawall_firmware::board::Conduit;

use super::{guarded, registers};

/// SYSTEM_OFF.
const SYSTEM_OFF: u64 = 0x8400_0008;

/// Switches the machine off, by the conduit the device tree named, else by each; waits for good where none works.
pub(crate) fn power_off(conduit: Option<Conduit>) -> ! {
    match conduit {
        Some(Conduit::Hvc) => guarded::hvc(SYSTEM_OFF),
        Some(Conduit::Smc) => guarded::smc(SYSTEM_OFF),
        // Without a device tree: under a hypervisor HVC is the one, and where there is no EL2 it is undefined and
        // comes back.
        None => {
            guarded::hvc(SYSTEM_OFF);
            guarded::smc(SYSTEM_OFF)
        }
    };
    loop {
        registers::wait();
    }
}
