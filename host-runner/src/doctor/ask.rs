//! Asks an arm64 KVM. What it makes for that, VMs without memory, is gone afterwards.

use kvm_bindings::{
    kvm_create_device, kvm_device_type_KVM_DEV_TYPE_ARM_VGIC_V2, kvm_device_type_KVM_DEV_TYPE_ARM_VGIC_V3,
    kvm_vcpu_init,
};
use kvm_ioctls::{Kvm, VmFd};

use super::host::{Answers, Events, Machine};
use super::judge::{
    KVM_CAP_ARM_INJECT_EXT_DABT, KVM_CAP_ARM_INJECT_SERROR_ESR, KVM_CAP_ARM_NISV_TO_USER,
    KVM_CAP_ARM_SEA_TO_USER, KVM_CAP_SET_GUEST_DEBUG,
};
use crate::backend::Missing;
use crate::kvm::needs::Need;
use crate::kvm::{arguments, unusual};

const _: () = assert!(
    KVM_CAP_ARM_NISV_TO_USER == kvm_bindings::KVM_CAP_ARM_NISV_TO_USER
        && KVM_CAP_ARM_INJECT_EXT_DABT == kvm_bindings::KVM_CAP_ARM_INJECT_EXT_DABT
        && KVM_CAP_ARM_INJECT_SERROR_ESR == kvm_bindings::KVM_CAP_ARM_INJECT_SERROR_ESR
        && KVM_CAP_SET_GUEST_DEBUG == kvm_bindings::KVM_CAP_SET_GUEST_DEBUG
);

/// ID_AA64PFR0_EL1 (3, 0, 0, 4, 0) for ONE_REG [Linux `Documentation/virt/kvm/api.rst` §4.68].
const ID_AA64PFR0_EL1: u64 = 0x6030_0000_0013_c020;
/// ID_AA64PFR1_EL1 (3, 0, 0, 4, 1).
const ID_AA64PFR1_EL1: u64 = 0x6030_0000_0013_c021;

pub(super) fn ask() -> Option<Answers> {
    let kvm = Kvm::new().ok()?;
    let has = |capability: u32| kvm.check_extension_raw(capability.into()) > 0;
    Some(Answers {
        nisv_to_user: has(KVM_CAP_ARM_NISV_TO_USER),
        inject_ext_dabt: has(KVM_CAP_ARM_INJECT_EXT_DABT),
        sea_to_user: has(KVM_CAP_ARM_SEA_TO_USER),
        inject_serror_esr: has(KVM_CAP_ARM_INJECT_SERROR_ESR),
        guest_debug: has(KVM_CAP_SET_GUEST_DEBUG),
        events: arguments::ask(&kvm, || new(&kvm)).map(|held| Events {
            errors: held.errors,
            good: held.good,
            taken: held.taken,
            half_done: held.half_done,
            differences: held.differences,
        }),
        lacks: lacks(&kvm),
        machine: machine(&kvm).map_err(|error| format!("KVM_CREATE_VM: {error}")),
    })
}

/// What the runner would skip scenarios for, in its own words. A KVM that it does not open is no backend at all.
fn lacks(kvm: &Kvm) -> Vec<(Need, Missing)> {
    let Ok(runner) = crate::kvm::Kvm::open() else {
        return Vec::new();
    };
    Need::OF_THE_HOST
        .into_iter()
        .filter_map(|need| Some((need, runner.missing(need)?)))
        .chain(double_fault_2(kvm).map(|missing| (Need::DoubleFault2, missing)))
        .collect()
}

fn double_fault_2(kvm: &Kvm) -> Option<Missing> {
    match new(kvm).and_then(|vm| register(&vm, ID_AA64PFR1_EL1)) {
        Ok(pfr1) => unusual::missing_double_fault_2(pfr1),
        Err(error) => Some(Missing {
            what: format!("ID_AA64PFR1_EL1 of a vCPU cannot be read: {error}"),
            fix: "use --backend lab".into(),
        }),
    }
}

fn machine(kvm: &Kvm) -> Result<Machine, kvm_ioctls::Error> {
    // A VM has one GIC, so each kind is tried in its own.
    let (first, second) = (new(kvm)?, new(kvm)?);
    Ok(Machine {
        gic_v3: has_device(&first, kvm_device_type_KVM_DEV_TYPE_ARM_VGIC_V3),
        gic_v2: has_device(&second, kvm_device_type_KVM_DEV_TYPE_ARM_VGIC_V2),
        ras: ras(&second).map_err(|error| error.to_string()),
    })
}

/// A VM of type 0 has 40 bits of IPA; hosts with fewer refuse it.
fn new(kvm: &Kvm) -> Result<VmFd, kvm_ioctls::Error> {
    let bits = u64::try_from(kvm.get_host_ipa_limit()).unwrap_or(0);
    kvm.create_vm_with_type(if (1..40).contains(&bits) { bits } else { 0 })
}

/// It is made for good and dropped: with `KVM_CREATE_DEVICE_TEST` the kernel leaves the descriptor at zero, which
/// kvm-ioctls would take for the device's and close.
fn has_device(vm: &VmFd, kind: u32) -> bool {
    let mut device = kvm_create_device {
        type_: kind,
        fd: 0,
        flags: 0,
    };
    vm.create_device(&mut device).is_ok()
}

fn ras(vm: &VmFd) -> Result<u8, kvm_ioctls::Error> {
    // RAS is bits 31:28.
    register(vm, ID_AA64PFR0_EL1).map(|pfr0| u8::try_from((pfr0 >> 28) & 0xf).unwrap_or_default())
}

/// A register of a fresh vCPU.
fn register(vm: &VmFd, id: u64) -> Result<u64, kvm_ioctls::Error> {
    let vcpu = vm.create_vcpu(0)?;
    let mut kind = kvm_vcpu_init::default();
    vm.get_preferred_target(&mut kind)?;
    vcpu.vcpu_init(&kind)?;
    let mut value = [0; 8];
    vcpu.get_one_reg(id, &mut value)?;
    Ok(u64::from_ne_bytes(value))
}
