//! The two calls that kvm-ioctls has no whole form for.
#![expect(
    unsafe_code,
    reason = "KVM writes a list of a length that it chooses, and values to addresses that it is given"
)]

use std::io;
use std::os::fd::AsRawFd;

use kvm_bindings::kvm_device_attr;
use kvm_ioctls::{DeviceFd, VcpuFd};

use crate::kvm::poison::number;
use crate::kvm::uapi::KVM_GET_REG_LIST;

/// No vCPU has as many registers: in the lab 331 (Linux 7.2) and 333 (6.12), without SVE and EL2.
const MOST_REGISTERS: usize = 1 << 16;

/// The ids of all registers of a vCPU, however many: kvm-ioctls' own call takes 500 at most.
pub(super) fn register_list(vcpu: &VcpuFd) -> io::Result<Vec<u64>> {
    let mut room = 0;
    loop {
        let mut list = vec![0_u64; room + 1];
        if let Some(count) = list.first_mut() {
            *count = room as u64;
        }
        // SAFETY: the list is a count and as many words behind it as the count says, and KVM writes no more than that; it
        // lives through the call.
        let done = unsafe { libc::ioctl(vcpu.as_raw_fd(), number(KVM_GET_REG_LIST), list.as_mut_ptr()) };
        let error = io::Error::last_os_error();
        let count = list.first().copied().unwrap_or_default();
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if done == 0 {
            list.truncate(count.saturating_add(1));
            return Ok(list.split_off(1.min(list.len())));
        }
        // Too short: KVM has said how long it must be.
        if error.raw_os_error() != Some(libc::E2BIG) || count <= room || count > MOST_REGISTERS {
            return Err(error);
        }
        room = count;
    }
}

/// Reads an attribute of the GIC; those of 32 bits fill the low half.
pub(super) fn attribute(gic: &DeviceFd, group: u32, attr: u64) -> Result<u64, kvm_ioctls::Error> {
    let mut value = 0_u64;
    let mut attribute = kvm_device_attr {
        flags: 0,
        group,
        attr,
        addr: (&raw mut value).expose_provenance() as u64,
    };
    // SAFETY: KVM writes the attribute's value to the address: 32 or 64 bits for each group that is asked for here, and 64
    // are there, of an integer, and live through the call.
    unsafe { gic.get_device_attr(&mut attribute)? };
    Ok(value)
}
