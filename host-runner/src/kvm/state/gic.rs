//! The state of the GIC, as a list of writes that makes another one the same
//! [Linux `Documentation/virt/kvm/devices/arm-vgic-v3.rst`].
//!
//! Registers that only set bits are written after those that clear them. There is no ITS, so no table lies in memory.

use kvm_bindings::{
    KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO,
    KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, kvm_device_attr,
};
use kvm_ioctls::DeviceFd;

use super::raw;
use crate::kvm::machine::INTERRUPTS;
use crate::saved::Attribute;

const DISTRIBUTOR: u32 = KVM_DEV_ARM_VGIC_GRP_DIST_REGS;
const REDISTRIBUTOR: u32 = KVM_DEV_ARM_VGIC_GRP_REDIST_REGS;
const INTERFACE: u32 = KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS;
const LEVELS: u32 = KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO;

/// What one list item is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// Read, and written as it is.
    Same,
    /// All ones are written: the register clears what the next one sets.
    Clear,
    /// As `Same`, and not there on every CPU.
    Perhaps,
}

/// Words of four bytes from one offset to another, the last not included.
fn words(start: u64, end: u64) -> impl Iterator<Item = u64> {
    (start..end).step_by(4)
}

/// What is written, in order. The shared interrupts begin at 32, the private ones are the redistributor's.
fn script() -> Vec<(u32, u64, How)> {
    use How::{Clear, Perhaps, Same};
    let all = u64::from(INTERRUPTS);
    let mut list = Vec::new();
    let mut add = |group, how, offsets: &mut dyn Iterator<Item = u64>| {
        list.extend(offsets.map(|offset| (group, offset, how)));
    };
    let one = std::iter::once;
    // GICD_IIDR first: by it KVM knows which of its own revisions to be.
    add(DISTRIBUTOR, Same, &mut one(0x8));
    add(DISTRIBUTOR, Same, &mut one(0x10)); // GICD_STATUSR
    let bits = |base: u64| words(base + 4, base + all / 8);
    add(DISTRIBUTOR, Same, &mut bits(0x80)); // GICD_IGROUPR
    add(DISTRIBUTOR, Clear, &mut bits(0x180)); // GICD_ICENABLER
    add(DISTRIBUTOR, Same, &mut bits(0x100)); // GICD_ISENABLER
    add(DISTRIBUTOR, Same, &mut words(0xc08, 0xc00 + all / 4)); // GICD_ICFGR
    add(DISTRIBUTOR, Same, &mut words(0x6100, 0x6000 + all * 8)); // GICD_IROUTER, by halves
    add(DISTRIBUTOR, Same, &mut words(0x420, 0x400 + all)); // GICD_IPRIORITYR
    add(DISTRIBUTOR, Same, &mut bits(0x200)); // GICD_ISPENDR: KVM takes zeros too
    add(DISTRIBUTOR, Clear, &mut bits(0x380)); // GICD_ICACTIVER
    add(DISTRIBUTOR, Same, &mut bits(0x300)); // GICD_ISACTIVER
    add(REDISTRIBUTOR, Same, &mut one(0x10)); // GICR_STATUSR
    add(REDISTRIBUTOR, Same, &mut one(0x14)); // GICR_WAKER
    add(REDISTRIBUTOR, Same, &mut words(0x70, 0x80)); // GICR_PROPBASER, GICR_PENDBASER, by halves
    add(REDISTRIBUTOR, Same, &mut one(0x0)); // GICR_CTLR
    add(REDISTRIBUTOR, Same, &mut one(0x1_0080)); // GICR_IGROUPR0
    add(REDISTRIBUTOR, Clear, &mut one(0x1_0180)); // GICR_ICENABLER0
    add(REDISTRIBUTOR, Same, &mut one(0x1_0100)); // GICR_ISENABLER0
    add(REDISTRIBUTOR, Same, &mut words(0x1_0c00, 0x1_0c08)); // GICR_ICFGR0 and 1
    add(REDISTRIBUTOR, Same, &mut words(0x1_0400, 0x1_0420)); // GICR_IPRIORITYR
    add(REDISTRIBUTOR, Same, &mut one(0x1_0200)); // GICR_ISPENDR0
    add(REDISTRIBUTOR, Clear, &mut one(0x1_0380)); // GICR_ICACTIVER0
    add(REDISTRIBUTOR, Same, &mut one(0x1_0300)); // GICR_ISACTIVER0
    for intid in (0..all).step_by(32) {
        // The level of the lines (0), of 32 interrupts each.
        add(LEVELS, Same, &mut one(intid));
    }
    // GICD_CTLR once all else is there.
    add(DISTRIBUTOR, Same, &mut one(0x0));
    add(INTERFACE, Same, &mut one(interface(12, 12, 5))); // ICC_SRE_EL1
    add(INTERFACE, Same, &mut one(interface(12, 12, 4))); // ICC_CTLR_EL1
    add(INTERFACE, Same, &mut one(interface(4, 6, 0))); // ICC_PMR_EL1
    add(INTERFACE, Same, &mut one(interface(12, 8, 3))); // ICC_BPR0_EL1
    add(INTERFACE, Same, &mut one(interface(12, 12, 3))); // ICC_BPR1_EL1
    for n in 0..4 {
        // Those after the first only with more than five bits of preemption.
        let how = if n == 0 { Same } else { Perhaps };
        add(INTERFACE, how, &mut one(interface(12, 8, 4 + n))); // ICC_AP0R<n>_EL1
        add(INTERFACE, how, &mut one(interface(12, 9, n))); // ICC_AP1R<n>_EL1
    }
    add(INTERFACE, Same, &mut one(interface(12, 12, 6))); // ICC_IGRPEN0_EL1
    add(INTERFACE, Same, &mut one(interface(12, 12, 7))); // ICC_IGRPEN1_EL1
    list
}

/// A system register with op0 = 3 and op1 = 0.
const fn interface(crn: u64, crm: u64, op2: u64) -> u64 {
    (3 << 14) | (crn << 7) | (crm << 3) | op2
}

fn name(group: u32, attr: u64) -> String {
    match group {
        DISTRIBUTOR => format!("GICD register {attr:#x}"),
        REDISTRIBUTOR => format!("GICR register {attr:#x}"),
        INTERFACE => format!("GIC CPU interface register {attr:#x}"),
        LEVELS => format!("GIC line levels from {attr}"),
        _ => format!("GIC attribute {attr:#x} of group {group}"),
    }
}

/// Everything that makes another GIC the same.
///
/// # Errors
/// Which register cannot be read.
pub(super) fn save(gic: &DeviceFd) -> Result<Vec<Attribute>, String> {
    let mut saved = Vec::new();
    for (group, attr, how) in script() {
        let value = match (how, raw::attribute(gic, group, attr)) {
            (How::Clear, _) => 0xffff_ffff,
            (_, Ok(value)) => value,
            (How::Perhaps, Err(_)) => continue,
            (How::Same, Err(error)) => {
                return Err(format!("{} cannot be read: {error}", name(group, attr)));
            }
        };
        saved.push(Attribute { group, attr, value });
    }
    Ok(saved)
}

/// Makes this GIC, which nobody has used yet, the same.
///
/// # Errors
/// Which register is not known, is refused, or is not what it was told to be.
pub(super) fn restore(gic: &DeviceFd, saved: &[Attribute]) -> Result<(), String> {
    let known = script();
    for Attribute { group, attr, value } in saved {
        if !known.iter().any(|(g, a, _)| (g, a) == (group, attr)) {
            return Err(format!("{} is none that is restored", name(*group, *attr)));
        }
        // What it is already is left alone: some of them do not take their own reset value.
        if raw::attribute(gic, *group, *attr) == Ok(*value) {
            continue;
        }
        let addr = std::ptr::from_ref(value).expose_provenance() as u64;
        let attribute = kvm_device_attr {
            flags: 0,
            group: *group,
            attr: *attr,
            addr,
        };
        gic.set_device_attr(&attribute)
            .map_err(|error| format!("{} is not set to {value:#x}: {error}", name(*group, *attr)))?;
    }
    for Attribute { group, attr, value } in save(gic)? {
        let wanted = saved
            .iter()
            .find(|known| (known.group, known.attr) == (group, attr))
            .ok_or_else(|| format!("{} is missing in the file", name(group, attr)))?;
        if wanted.value != value {
            let name = name(group, attr);
            return Err(format!(
                "{name} is {value:#x} after it was set to {:#x}",
                wanted.value
            ));
        }
    }
    Ok(())
}
