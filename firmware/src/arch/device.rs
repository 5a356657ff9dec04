#![expect(unsafe_code, reason = "device registers are reached by address")]
//! Device registers.
//!
//! Loads and stores are single instructions with a base register and no writeback, so that a hypervisor gets a syndrome
//! it can decode [Arm ARM D24.2.45, ISV]: a compiler may pick other forms for volatile accesses.

/// A window of registers that was mapped as a device and belongs to the holder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window(u64);

impl Window {
    /// The window at a virtual address that `tables::map_device` gave.
    pub(crate) const fn new(address: u64) -> Self {
        Self(address)
    }

    #[inline]
    pub(crate) fn read32(self, offset: u64) -> u32 {
        let value: u32;
        // SAFETY: the window is mapped, and reads of the devices used here have no effect on memory.
        unsafe {
            core::arch::asm!("ldr {:w}, [{}]", out(reg) value, in(reg) self.0 + offset, options(nostack, preserves_flags))
        };
        value
    }

    #[inline]
    pub(crate) fn write32(self, offset: u64, value: u32) {
        // SAFETY: the window is mapped, and the devices used here write no memory of the guest.
        unsafe {
            core::arch::asm!("str {:w}, [{}]", in(reg) value, in(reg) self.0 + offset, options(nostack, preserves_flags))
        }
    }

    #[inline]
    pub(crate) fn read8(self, offset: u64) -> u8 {
        let value: u32;
        // SAFETY: as for 32 bits.
        unsafe {
            core::arch::asm!("ldrb {:w}, [{}]", out(reg) value, in(reg) self.0 + offset, options(nostack, preserves_flags))
        };
        (value & 0xff) as u8
    }

    #[inline]
    pub(crate) fn write8(self, offset: u64, value: u8) {
        // SAFETY: as for 32 bits.
        unsafe {
            core::arch::asm!("strb {:w}, [{}]", in(reg) u32::from(value), in(reg) self.0 + offset, options(nostack, preserves_flags))
        }
    }

    #[inline]
    pub(crate) fn write64(self, offset: u64, value: u64) {
        // SAFETY: as for 32 bits.
        unsafe {
            core::arch::asm!("str {}, [{}]", in(reg) value, in(reg) self.0 + offset, options(nostack, preserves_flags))
        }
    }

    #[inline]
    pub(crate) fn read64(self, offset: u64) -> u64 {
        let value: u64;
        // SAFETY: as for 32 bits.
        unsafe {
            core::arch::asm!("ldr {}, [{}]", out(reg) value, in(reg) self.0 + offset, options(nostack, preserves_flags))
        };
        value
    }
}
