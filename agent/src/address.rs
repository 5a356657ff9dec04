//! The spaces that numbers on an abort's way live in, one type for each, so that none is taken for another.

use core::fmt;

/// A virtual address as the aborted code used it, in bytes. As `FAR_EL1` holds it: a tag byte is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VirtualAddress(
    /// The address.
    pub u64,
);

impl VirtualAddress {
    /// The address with its top byte replaced by copies of bit 55, which is the address that translation used when
    /// top-byte-ignore is on \[Arm ARM D8.9\]. A canonical address is returned as it is.
    #[inline]
    #[must_use]
    pub const fn untagged(self) -> Self {
        Self((self.0.cast_signed() << 8 >> 8).cast_unsigned())
    }
}

impl fmt::LowerHex for VirtualAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, formatter)
    }
}

/// An intermediate physical address, in bytes: what a guest takes for a physical address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntermediateAddress(
    /// The address.
    pub u64,
);

impl fmt::LowerHex for IntermediateAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, formatter)
    }
}

/// A 4 KiB frame of guest memory: its intermediate physical address, shifted right by 12. It is the unit in which
/// memory is retired, whatever the kernel's own page size: a kernel with larger pages retires by the frames in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameNumber(
    /// The intermediate physical address >> 12.
    pub u64,
);

impl FrameNumber {
    /// The frame that holds `address`.
    #[inline]
    #[must_use]
    pub const fn from_address(address: IntermediateAddress) -> Self {
        Self(address.0 >> 12)
    }

    /// The address of the frame's first byte. Bits that a frame of a real address never has are dropped.
    #[inline]
    #[must_use]
    pub const fn address(self) -> IntermediateAddress {
        IntermediateAddress(self.0 << 12)
    }
}

impl fmt::LowerHex for FrameNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, formatter)
    }
}

/// The embedding kernel's name for one task: the unit that is charged, killed, isolated or restarted. The agent
/// gives the number no meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(
    /// The number.
    pub u16,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_holds_every_byte_of_its_four_kibibytes() {
        for (address, frame) in [
            (0, 0),
            (0xfff, 0),
            (0x1000, 1),
            (0x4000_1234, 0x4_0001),
            (0x000f_ffff_ffff_ffff, 0xff_ffff_ffff),
        ] {
            assert_eq!(
                FrameNumber::from_address(IntermediateAddress(address)),
                FrameNumber(frame)
            );
        }
        assert_eq!(FrameNumber(0x4_0001).address(), IntermediateAddress(0x4000_1000));
    }

    #[test]
    fn untagged_address_keeps_its_half_of_the_address_space() {
        for (tagged, plain) in [
            (0x0000_ffff_ffff_f008, 0x0000_ffff_ffff_f008),
            (0x5a00_0000_0040_0000, 0x0000_0000_0040_0000),
            (0xffff_8000_1000_0000, 0xffff_8000_1000_0000),
            (0x12ff_8000_1000_0000, 0xffff_8000_1000_0000),
        ] {
            assert_eq!(
                VirtualAddress(tagged).untagged(),
                VirtualAddress(plain),
                "{tagged:#x}"
            );
        }
    }
}
