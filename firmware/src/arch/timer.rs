//! The virtual timer: time, and the end of a turn [Arm ARM D12].

use aarch64_cpu::registers::{CNTFRQ_EL0, CNTV_CTL_EL0, CNTV_TVAL_EL0, CNTVCT_EL0};
use tock_registers::interfaces::{Readable, Writeable};

/// Turns a second.
const TURNS: u64 = 250;

/// Ticks now.
#[inline]
pub(crate) fn ticks() -> u64 {
    CNTVCT_EL0.get()
}

/// Ticks a second; never zero.
pub(crate) fn frequency() -> u64 {
    CNTFRQ_EL0.get().max(1)
}

/// Begins a turn: the interrupt comes at its end.
pub(crate) fn begin_turn() {
    CNTV_TVAL_EL0.set(frequency() / TURNS);
    CNTV_CTL_EL0.write(CNTV_CTL_EL0::ENABLE::SET);
}
