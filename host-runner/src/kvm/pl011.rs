//! A PL011 that only speaks: what the guest sends goes into a bounded buffer, and nothing is ever received.
//!
//! [Arm DDI 0183] Registers are 32 bits wide at most; an access of any width is taken, as the bus has no way to refuse.

/// Bytes that the device takes.
pub(crate) const SIZE: u64 = 0x1000;

// UARTFR: transmit FIFO empty, receive FIFO empty; never busy, never full.
const FLAGS: u64 = (1 << 7) | (1 << 4);
// UARTPeriphID0-3 of a revision 3 PL011 (0x00341011), UARTPCellID0-3 (0xb105f00d): eight words, a byte in each.
const IDENTIFICATION: [u8; 8] = [0x11, 0x10, 0x34, 0x00, 0x0d, 0xf0, 0x05, 0xb1];

/// The guest wrote more than it may.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "a guest that floods its console is stopped"]
pub(crate) struct Flooded;

/// The device.
#[derive(Debug)]
pub(crate) struct Pl011 {
    sent: Vec<u8>,
    limit: usize,
    // Written and read back: IBRD, FBRD, LCR_H, CR, IFLS, IMSC.
    kept: [u16; 6],
}

impl Pl011 {
    /// A device that takes at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        // All of it is written once, so that it is there: what a guest sends does not make the runner grow.
        let mut sent = vec![b'\n'; limit];
        sent.clear();
        // Reset values: CR has TXE and RXE, IFLS half full.
        Self {
            sent,
            limit,
            kept: [0, 0, 0, 0x300, 0x12, 0],
        }
    }

    /// A device that goes on where another left off.
    pub(crate) fn restored(limit: usize, kept: [u16; 6], sent: &[u8]) -> Self {
        let mut uart = Self::new(limit);
        uart.sent.extend_from_slice(sent);
        uart.kept = kept;
        uart
    }

    /// Its registers that are written and read back.
    pub(crate) const fn kept(&self) -> [u16; 6] {
        self.kept
    }

    /// What was sent so far.
    pub(crate) fn sent(&self) -> &[u8] {
        &self.sent
    }

    /// What was sent.
    pub(crate) fn into_sent(self) -> Vec<u8> {
        self.sent
    }

    const fn index(offset: u64) -> Option<usize> {
        Some(match offset {
            0x24 => 0,
            0x28 => 1,
            0x2c => 2,
            0x30 => 3,
            0x34 => 4,
            0x38 => 5,
            _ => return None,
        })
    }

    /// What a read at `offset` gives, whatever its width.
    pub(crate) fn read(&self, offset: u64) -> u64 {
        match offset {
            0x18 => FLAGS,
            // UARTRIS: transmit is always possible.
            0x3c => 1 << 5,
            // UARTMIS: that, where it is not masked.
            0x40 => u64::from(self.kept[5]) & (1 << 5),
            0xfe0..0x1000 if offset.is_multiple_of(4) => {
                usize::try_from((offset - 0xfe0) / 4).map_or(0, |at| u64::from(IDENTIFICATION[at]))
            }
            _ => Self::index(offset).map_or(0, |at| u64::from(self.kept[at])),
        }
    }

    /// Takes a write at `offset`, whatever its width.
    ///
    /// # Errors
    /// [`Flooded`] when the buffer is full; the byte is dropped.
    pub(crate) fn write(&mut self, offset: u64, value: u64) -> Result<(), Flooded> {
        let [low, high, ..] = value.to_le_bytes();
        if offset == 0 {
            if self.sent.len() >= self.limit {
                return Err(Flooded);
            }
            self.sent.push(low);
        } else if let Some(at) = Self::index(offset) {
            self.kept[at] = u16::from_le_bytes([low, high]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_kept_up_to_the_limit() {
        let mut uart = Pl011::new(3);
        for byte in *b"abc" {
            assert_eq!(uart.write(0, u64::from(byte) | 0xffff_ff00), Ok(()));
        }
        assert_eq!(uart.write(0, 0x64), Err(Flooded));
        assert_eq!(uart.into_sent(), b"abc");
    }

    #[test]
    fn a_driver_finds_the_device_it_looks_for() {
        let mut uart = Pl011::new(0);
        let word = |from: u64| (0..4).fold(0, |all, at| all | (uart.read(from + 4 * at) << (8 * at)));
        assert_eq!((word(0xfe0), word(0xff0)), (0x0034_1011, 0xb105_f00d));
        assert_eq!(uart.read(0x18), 0x90);
        assert_eq!(uart.write(0x30, 0x301), Ok(()));
        assert_eq!(uart.read(0x30), 0x301);
    }

    #[test]
    fn no_offset_and_no_value_is_without_an_answer() {
        let mut uart = Pl011::new(1);
        for offset in (0..SIZE).chain([u64::MAX]) {
            assert!(uart.read(offset) <= 0xffff);
            let _ = uart.write(offset, u64::MAX);
        }
        assert_eq!(uart.into_sent(), [0xff]);
    }
}
