//! QEMU's own PSCI, which answers SMC where EL2 is the guest's highest level.
#![expect(unsafe_code, reason = "SMC is asm")]

use core::arch::asm;

use seawall_shim::psci;

/// Switches the machine off.
pub(crate) fn off() -> ! {
    call(psci::SYSTEM_OFF)
}

/// Starts the machine again; with `-no-reboot` QEMU ends.
pub(crate) fn reset() -> ! {
    call(psci::SYSTEM_RESET)
}

// INPUTS: w0 = SYSTEM_OFF or SYSTEM_RESET. CLOBBERS: whatever firmware likes. ENDING: the machine ends; were the call to
// come back, the CPU sleeps, and the runner's clock ends the run.
fn call(function: u32) -> ! {
    // SAFETY: both functions end the machine, so nothing they leave in registers or memory is ever seen.
    unsafe { asm!("smc #0", "2: wfi", "b 2b", in("w0") function, options(noreturn)) }
}
