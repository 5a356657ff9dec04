#![expect(unsafe_code, reason = "the drivers are given register blocks by address")]
//! The interrupt controller: one interrupt, the virtual timer's, on one CPU.

use core::ptr::NonNull;

use arm_gic::gicv2::GicV2;
use arm_gic::gicv3::{GicCpuInterface, GicV3, Group};
use arm_gic::{IntId, InterruptGroup, UniqueMmioPointer};
use seawall_firmware::{board, native};

use super::{guarded, tables};

const PAGE: u64 = 0x1000;
/// Bytes of a GICv3 distributor.
const FRAME: u64 = 0x1_0000;
/// Bytes of a redistributor: the control frame and the SGI frame.
const REDISTRIBUTOR: u64 = 2 * FRAME;

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
                let distributor = NonNull::new(pointer(window(distributor, PAGE, image)?))?;
                let cpu = NonNull::new(pointer(window(cpu, 2 * PAGE, image)?))?;
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
                let distributor = window(distributor, FRAME, image).filter(|at| is_v3(*at))?;
                let redistributor = window(redistributor, REDISTRIBUTOR, image).filter(|at| is_v3(*at))?;
                let distributor = NonNull::new(pointer(distributor))?;
                let redistributor = NonNull::new(pointer(redistributor))?;
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

/// Maps a block of registers that answers. `None` when nothing does, or when it lies where no such block can.
fn window(base: u64, bytes: u64, image: u64) -> Option<u64> {
    let is_aligned = base.is_multiple_of(if bytes < FRAME { PAGE } else { FRAME })
        && base % tables::BLOCK + bytes <= tables::BLOCK;
    let address = tables::map_device(base, image).filter(|_| is_aligned)?;
    guarded::probe(address).map(|_| address)
}

/// Whether a GICv3 or later is there: ArchRev, bits 7:4 of GICD_PIDR2 and GICR_PIDR2 [Arm IHI 0069, 12.9.19 and
/// 12.11.23]. Anything else might never say that the redistributor is awake, which the driver waits for.
fn is_v3(address: u64) -> bool {
    guarded::probe(address + 0xffe8).is_some_and(|id| matches!((id >> 4) & 0xf, 3 | 4))
}

fn pointer<T>(address: u64) -> *mut T {
    core::ptr::with_exposed_provenance_mut(native(address))
}
