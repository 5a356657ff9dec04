//! What few scenarios ask of a VM, and what a host lacks for it.

use kvm_ioctls::{Kvm, VcpuFd};

use super::host::Abilities;
use super::machine::MachineError;
use super::registers;
use super::uapi::{KVM_CAP_ARM_EL2, KVM_CAP_ARM_VM_IPA_SIZE, Register};
use crate::backend::Missing;

/// Feature of a vCPU: it begins at EL2 [Linux `arch/arm64/include/uapi/asm/kvm.h`].
pub(super) const KVM_ARM_VCPU_HAS_EL2: u32 = 7;
/// The IPA bits of a VM of type 0.
const USUAL_BITS: u32 = 40;

/// What a guest lacks that has to reach above its VM's IPAs and stay below the host's limit.
pub(super) fn missing_range(abilities: Abilities) -> Option<Missing> {
    let bits = abilities.ipa_bits;
    (bits <= USUAL_BITS).then(|| Missing {
        what: format!(
            "KVM_CAP_ARM_VM_IPA_SIZE (capability {KVM_CAP_ARM_VM_IPA_SIZE}) is {bits}: no address lies above a VM of \
             {USUAL_BITS} bits and inside the CPU's range"
        ),
        fix: "use a host whose CPUs have more than 40 bits of physical address, or --backend lab".into(),
    })
}

/// What a guest lacks that begins at EL2.
pub(super) fn missing_nesting(kvm: &Kvm) -> Option<Missing> {
    (kvm.check_extension_raw(KVM_CAP_ARM_EL2.into()) <= 0).then(|| Missing {
        what: format!("KVM_CAP_ARM_EL2 (capability {KVM_CAP_ARM_EL2}): this host's KVM gives guests no EL2"),
        fix: "install QEMU 9 or later and run this scenario alone in the lab, or use an arm64 host with nested \
              virtualisation: FEAT_NV2, Linux 6.16 or later, kvm-arm.mode=nested"
            .into(),
    })
}

/// Whether the vCPU has FEAT_DoubleFault2.
///
/// # Errors
/// [`MachineError::Missing`] when it has not.
pub(super) fn double_fault_2(vcpu: &VcpuFd) -> Result<(), MachineError> {
    let pfr1 = registers::get(vcpu, Register::IdAa64Pfr1El1)
        .map_err(|error| MachineError::Guest(format!("reading ID_AA64PFR1_EL1: {error}")))?;
    missing_double_fault_2(pfr1).map_or(Ok(()), |missing| Err(MachineError::Missing(missing)))
}

/// What a vCPU with this ID_AA64PFR1_EL1 lacks of FEAT_DoubleFault2: DF2, bits 59:56 [Arm ARM D24.2.84].
pub(crate) fn missing_double_fault_2(pfr1: u64) -> Option<Missing> {
    ((pfr1 >> 56) & 0xf == 0).then(|| Missing {
        what: "FEAT_DoubleFault2 (ID_AA64PFR1_EL1.DF2): the guest's CPU has no SCTLR2_EL1.EASE".into(),
        fix: "use a host whose CPUs have FEAT_DoubleFault2, and Linux 6.17 or later".into(),
    })
}
