//! A vCPU's 64-bit registers over ONE_REG.

use kvm_ioctls::VcpuFd;

use super::uapi::Register;

/// Reads a register.
pub(super) fn get(vcpu: &VcpuFd, register: Register) -> Result<u64, kvm_ioctls::Error> {
    let mut bytes = [0; 8];
    vcpu.get_one_reg(register.id(), &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Writes a register.
pub(super) fn set(vcpu: &VcpuFd, register: Register, value: u64) -> Result<(), kvm_ioctls::Error> {
    vcpu.set_one_reg(register.id(), &value.to_le_bytes()).map(drop)
}
