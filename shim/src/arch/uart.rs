//! QEMU `virt`'s PL011, which is the guest's: the shim writes to it only when the run is over.
#![expect(unsafe_code, reason = "device registers")]

use super::memory::pointer;

/// Its address: the same as the guest's device tree names.
pub(crate) const BASE: u64 = 0x0900_0000;
/// Its size.
pub(crate) const BYTES: u64 = 0x1000;
/// UARTDR [Arm DDI0183 3.3].
pub(crate) const DATA: u64 = 0x000;
/// UARTFR.
pub(crate) const FLAGS: u64 = 0x018;
/// UARTFR.TXFF.
pub(crate) const FULL_BIT: u32 = 5;

const CONTROL: u64 = 0x030;
// UARTEN and TXE: the guest may have switched it off.
const CONTROL_TRANSMIT: u32 = 0x101;
// More than a FIFO takes to drain; a UART that never drains must not hold up the end.
const PATIENCE: u32 = 1 << 20;

fn read(offset: u64) -> u32 {
    // SAFETY: `BASE` is the PL011's first register on `virt`, `offset` one of the constants above; reading UARTFR has
    // no effect, and nothing else in the shim reads the device.
    unsafe { pointer::<u32>(BASE + offset).read_volatile() }
}

fn write(offset: u64, value: u32) {
    // SAFETY: as for `read`, for UARTDR and UARTCR; a write moves no memory of ours, and the guest, whose device this
    // is, does not run again once the shim speaks.
    unsafe { pointer::<u32>(BASE + offset).write_volatile(value) }
}

/// Lets the device send, however the guest left it.
pub(crate) fn prepare() {
    write(CONTROL, CONTROL_TRANSMIT);
}

/// Sends one byte.
pub(crate) fn send(byte: u8) {
    for _ in 0..PATIENCE {
        if read(FLAGS) & (1 << FULL_BIT) == 0 {
            break;
        }
    }
    write(DATA, u32::from(byte));
}
