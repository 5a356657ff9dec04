//! The console's hardware: PL011 and 16550, to write to.
//!
//! Writing is bounded: a device that never takes a byte is given up after [`PATIENCE`] looks at it, for ever, so that a
//! dead console cannot hold the guest.

use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use seawall_firmware::board::{Uart, UartKind};

use super::device::Window;
use super::{guarded, tables};

/// Looks at a full device before it is given up.
const PATIENCE: u32 = 100_000;

// PL011 [DDI 0183 3.3]: data 0x00; flags 0x18, TXFE bit 7; its transmit FIFO is 16 deep.
const DATA: u64 = 0x00;
const FLAGS: u64 = 0x18;
const EMPTY: u32 = 1 << 7;
const FIFO: u8 = 16;
// 16550: transmit holding register 0; line status 5, THRE bit 5.
const HOLDING: u64 = 0;
const LINE_STATUS: u64 = 5;
const HOLDING_EMPTY: u8 = 1 << 5;

static BASE: AtomicU64 = AtomicU64::new(0);
static SHIFT: AtomicU8 = AtomicU8::new(0);
static IS_PL011: AtomicBool = AtomicBool::new(false);
/// Bytes that fit before the device must be looked at again.
static ROOM: AtomicU8 = AtomicU8::new(0);

/// Uses this port from now on; false where nothing answers, and then nothing is written.
pub(crate) fn open(uart: Uart, image: u64) -> bool {
    let Some(address) = tables::map_device(uart.base, image) else {
        return false;
    };
    // The register that is read before each write, and how its registers lie. Where there is no device this look aborts
    // and goes on; a later one would not.
    let (status, step) = match uart.kind {
        UartKind::Pl011 => (FLAGS, 4),
        UartKind::Ns16550 { shift } => (LINE_STATUS << shift, 1 << shift),
    };
    if !uart.base.is_multiple_of(step) || guarded::probe((address + status) & !3).is_none() {
        return false;
    }
    if let UartKind::Ns16550 { shift } = uart.kind {
        SHIFT.store(shift, Ordering::Relaxed);
    }
    IS_PL011.store(uart.kind == UartKind::Pl011, Ordering::Relaxed);
    BASE.store(address, Ordering::Relaxed);
    true
}

/// Where virtual machine monitors have put their serial ports, for when there is no device tree to ask: QEMU `virt` and
/// Cloud Hypervisor.
const USUAL_PL011: [u64; 2] = [0x0900_0000, 0x0910_0000];
/// Firecracker and rust-vmm's reference, kvmtool.
const USUAL_NS16550: [u64; 3] = [0x4000_2000, 0x4000_0000, 0x0100_0000];

/// Looks for a port where there usually is one. Each look may abort, and then finds nothing.
pub(crate) fn search(image: u64) {
    let look = |base, offset| tables::map_device(base, image).and_then(|a| guarded::probe(a + offset));
    let pl011 = USUAL_PL011.into_iter().filter(|base| {
        // UARTPeriphID0 is 0x11 and ID1 0x10 [DDI 0183 3.3.15]: part number 0x011.
        let id = |offset| look(*base, offset).map(|word| word & 0xff);
        id(0xfe0) == Some(0x11) && id(0xfe4) == Some(0x10)
    });
    let pl011 = pl011.map(|base| (UartKind::Pl011, base));
    let ns16550 = USUAL_NS16550.into_iter().filter(|base| {
        // Memory reads as anything, and below the Image there is memory.
        let is_memory = image.checked_sub(*base).is_some_and(|below| below < 1 << 30);
        // An idle 16550 has both transmit bits of its line status set, and bit 7 clear.
        !is_memory && look(*base, 4).is_some_and(|word| (word >> 8) & 0xe0 == 0x60)
    });
    let ns16550 = ns16550.map(|base| (UartKind::Ns16550 { shift: 0 }, base));
    // The first that can be opened; where there is none, there is nobody to tell.
    let _ = pl011
        .chain(ns16550)
        .any(|(kind, base)| open(Uart { kind, base }, image));
}

/// Writes bytes, with a carriage return before each line feed. Does nothing where there is no port.
pub(crate) fn write(bytes: &[u8]) {
    for byte in bytes {
        if *byte == b'\n' {
            put(b'\r');
        }
        put(*byte);
    }
}

fn put(byte: u8) {
    let base = BASE.load(Ordering::Relaxed);
    if base == 0 {
        return;
    }
    let window = Window::new(base);
    let pl011 = IS_PL011.load(Ordering::Relaxed);
    let shift = SHIFT.load(Ordering::Relaxed);
    let room = ROOM.load(Ordering::Relaxed);
    if room > 0 {
        ROOM.store(room - 1, Ordering::Relaxed);
    } else {
        let ready = || match pl011 {
            true => window.read32(FLAGS) & EMPTY != 0,
            false => window.read8(LINE_STATUS << shift) & HOLDING_EMPTY != 0,
        };
        if !(0..PATIENCE).any(|_| ready()) {
            BASE.store(0, Ordering::Relaxed);
            return;
        }
        ROOM.store(if pl011 { FIFO - 1 } else { 0 }, Ordering::Relaxed);
    }
    match pl011 {
        true => window.write32(DATA, u32::from(byte)),
        false => window.write8(HOLDING << shift, byte),
    }
}
