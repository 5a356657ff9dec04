#![expect(unsafe_code, reason = "the drivers are given register blocks by address")]
//! The interrupt controller: one interrupt, the virtual timer's, on one CPU.

use core::ptr::NonNull;

use arm_gic::gicv2::GicV2;
use arm_gic::gicv3::{GicCpuInterface, GicV3, Group};
use arm_gic::{IntId, InterruptGroup, UniqueMmioPointer};
use seawall_firmware::{board, native};

use super::tables;

/// Bytes of a redistributor: the control frame and the SGI frame.
const REDISTRIBUTOR: u64 = 0x2_0000;

/// A controller that was set up.
pub(crate) enum Gic {
    /// With memory-mapped CPU interface.
    V2(GicV2<'static>, InterruptGroup),
    /// With CPU interface in system registers.
    V3,
}

impl core::fmt::Debug for Gic {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::V2(..) => "GICv2",
            Self::V3 => "GICv3",
        })
    }
}

impl Gic {
    /// Sets the controller up with the timer's interrupt alone. `None` when it cannot be mapped or is none.
    pub(crate) fn open(gic: board::Gic, timer: u32, image: u64) -> Option<Self> {
        let interrupt = IntId::ppi(timer - 16);
        match gic {
            board::Gic::V2 { distributor, cpu } => {
                let distributor = NonNull::new(pointer(tables::map_device(distributor, image)?))?;
                let cpu = NonNull::new(pointer(tables::map_device(cpu, image)?))?;
                // SAFETY: both blocks are mapped as devices, and this is the only driver made for them.
                let mut gic = unsafe { GicV2::new(distributor.as_ptr(), cpu.as_ptr()) };
                gic.setup();
                let group = match gic.typer().has_security_extension() {
                    true => InterruptGroup::Group1,
                    false => InterruptGroup::Group0,
                };
                gic.set_interrupt_priority(interrupt, 0x80);
                gic.enable_interrupt(interrupt, true).ok()?;
                Some(Self::V2(gic, group))
            }
            board::Gic::V3 {
                distributor,
                redistributor,
                redistributor_bytes,
            } => {
                if redistributor_bytes < REDISTRIBUTOR {
                    return None;
                }
                let distributor = NonNull::new(pointer(tables::map_device(distributor, image)?))?;
                let redistributor = NonNull::new(pointer(tables::map_device(redistributor, image)?))?;
                // SAFETY: the distributor is mapped as a device, and this is the only driver made for it.
                let distributor = unsafe { UniqueMmioPointer::new(distributor) };
                // SAFETY: the same holds for the redistributor of the one CPU that is used.
                let mut gic = unsafe { GicV3::new(distributor, redistributor, 1) }.ok()?;
                gic.setup(0);
                gic.set_group(interrupt, Some(0), Group::Group1NS).ok()?;
                gic.set_interrupt_priority(interrupt, Some(0), 0x80).ok()?;
                gic.enable_interrupt(interrupt, Some(0), true).ok()?;
                GicCpuInterface::set_priority_mask(0xff);
                Some(Self::V3)
            }
        }
    }

    /// Takes the pending interrupt, if there is one, and ends it: the timer's line drops once its next turn is set.
    pub(crate) fn take(&mut self) -> Option<u32> {
        let interrupt = match self {
            Self::V2(gic, group) => gic.get_and_acknowledge_interrupt(*group)?,
            Self::V3 => GicCpuInterface::get_and_acknowledge_interrupt(InterruptGroup::Group1)?,
        };
        Some(u32::from(interrupt))
    }

    /// Ends an interrupt that was taken.
    pub(crate) fn end(&mut self, interrupt: u32) {
        let interrupt = if interrupt < 32 {
            IntId::ppi(interrupt.saturating_sub(16))
        } else {
            return;
        };
        match self {
            Self::V2(gic, group) => gic.end_interrupt(interrupt, *group),
            Self::V3 => GicCpuInterface::end_interrupt(interrupt, InterruptGroup::Group1),
        }
    }
}

fn pointer<T>(address: u64) -> *mut T {
    core::ptr::with_exposed_provenance_mut(native(address))
}
