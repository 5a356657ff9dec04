//! All registers of a vCPU, and the rules by which they are restored.
//!
//! - A register that has the value already is left alone: so what cannot be written need not be.
//! - Every other one is written. One that refuses its value, or does not have it afterwards, ends the restoring, by
//!   name: this host is not what the file needs.
//! - One that this host does not know must never have been written: zero, or what KVM resets registers to whose reset
//!   value is unknown. Then nothing is lost with it. One that the file does not know stays at its reset value: the VM
//!   never had it.
//! - Firmware's pseudo registers go first, as they can be written only before anything else; then the ID registers,
//!   which decide what the others may hold; then all others; then the timers. Their counters come last of the whole
//!   machine, as they were read first: no time passes for the guest while it is in a file.

use kvm_ioctls::VcpuFd;

use super::raw;
use crate::saved::{Cpu, Register, register_bytes};

/// Bits 27:16 of an id say what kind of register it is.
const KIND: u64 = 0x0fff_0000;
const SYSTEM: u64 = 0x0013_0000;
const FIRMWARE: u64 = 0x0014_0000;
const FIRMWARE_FEATURES: u64 = 0x0016_0000;
const SYSTEM_BASE: u64 = 0x6030_0000_0013_0000;

const MIDR: u64 = SYSTEM_BASE | 0xc000;
const REVIDR: u64 = SYSTEM_BASE | 0xc006;
const AIDR: u64 = SYSTEM_BASE | 0xc807;

/// The virtual and the physical counter, by KVM's own ids: the virtual one's was swapped with its compare value's
/// [Linux `arch/arm64/include/uapi/asm/kvm.h`, KVM_REG_ARM_TIMER_CNT].
const COUNTERS: [u64; 2] = [SYSTEM_BASE | 0xdf1a, SYSTEM_BASE | 0xdf01];
/// CTL and CVAL of both timers.
const TIMERS: [u64; 4] = [
    SYSTEM_BASE | 0xdf19,
    SYSTEM_BASE | 0xdf02,
    SYSTEM_BASE | 0xdf11,
    SYSTEM_BASE | 0xdf12,
];

/// [Linux `arch/arm64/kvm/sys_regs.h`, `reset_unknown`]
const RESET_UNKNOWN: u64 = 0x1de7_ec7e_dbad_c0de;
/// Registers that are named when this host refuses them; of more, the count.
const MOST_REFUSED: usize = 8;

/// When a register is restored.
fn phase(id: u64) -> u8 {
    match id & KIND {
        FIRMWARE | FIRMWARE_FEATURES => 0,
        // CRn = 0: all identification.
        SYSTEM if (id >> 7) & 0xf == 0 => 1,
        SYSTEM if is_counter(id) || TIMERS.contains(&id) => 3,
        _ => 2,
    }
}

fn is_counter(id: u64) -> bool {
    COUNTERS.contains(&id)
}

/// How a register is called in messages.
fn name(id: u64) -> String {
    if id & KIND == SYSTEM {
        let (op0, op1) = ((id >> 14) & 3, (id >> 11) & 7);
        let (crn, crm, op2) = ((id >> 7) & 0xf, (id >> 3) & 0xf, id & 7);
        format!("system register S{op0}_{op1}_C{crn}_C{crm}_{op2} ({id:#x})")
    } else {
        format!("register {id:#x}")
    }
}

fn text(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().rev().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

fn get(vcpu: &VcpuFd, id: u64) -> Result<Vec<u8>, String> {
    let length = register_bytes(id).ok_or_else(|| format!("{} has no known length", name(id)))?;
    let mut bytes = vec![0; length];
    vcpu.get_one_reg(id, &mut bytes)
        .map_err(|error| format!("{} cannot be read: {error}", name(id)))?;
    Ok(bytes)
}

fn long(vcpu: &VcpuFd, id: u64) -> Result<u64, String> {
    let bytes = get(vcpu, id)?;
    Ok(bytes.as_slice().try_into().map_or(0, u64::from_le_bytes))
}

/// What the CPU is.
///
/// # Errors
/// Which register cannot be read.
pub(super) fn cpu(vcpu: &VcpuFd) -> Result<Cpu, String> {
    Ok(Cpu {
        midr: long(vcpu, MIDR)?,
        revidr: long(vcpu, REVIDR)?,
        aidr: long(vcpu, AIDR)?,
    })
}

fn ids(vcpu: &VcpuFd) -> Result<Vec<u64>, String> {
    let mut ids = raw::register_list(vcpu).map_err(|error| format!("KVM_GET_REG_LIST: {error}"))?;
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// Where the time of a vCPU stands: to be asked for before all else, as it goes on while one looks at the rest.
pub(super) fn time(vcpu: &VcpuFd) -> Vec<Register> {
    let read = |id| get(vcpu, id).map(|bytes| Register { id, bytes });
    // Where there is none, the list does not have it either.
    COUNTERS.into_iter().filter_map(|id| read(id).ok()).collect()
}

/// All registers, ascending, with this time.
///
/// # Errors
/// Which one cannot be read.
pub(super) fn save(vcpu: &VcpuFd, time: &[Register]) -> Result<Vec<Register>, String> {
    let read = |id| match time.iter().find(|counter| counter.id == id) {
        Some(counter) => Ok(counter.clone()),
        None => get(vcpu, id).map(|bytes| Register { id, bytes }),
    };
    ids(vcpu)?.into_iter().map(read).collect()
}

/// Gives a vCPU that has not run yet these registers, all but the counters of its timers.
///
/// # Errors
/// The first one that this host cannot have.
pub(super) fn restore(vcpu: &VcpuFd, saved: &[Register]) -> Result<(), String> {
    let mut order: Vec<&Register> = saved.iter().filter(|register| !is_counter(register.id)).collect();
    order.sort_by_key(|register| phase(register.id));
    write(vcpu, &order)
}

/// The counters among these registers.
pub(in crate::kvm) fn counters(saved: &[Register]) -> Vec<Register> {
    let counters = saved.iter().filter(|register| is_counter(register.id));
    counters.cloned().collect()
}

/// Sets the counters of the timers.
///
/// # Errors
/// Which one this host cannot have.
pub(super) fn restore_time(vcpu: &VcpuFd, counters: &[Register]) -> Result<(), String> {
    write(vcpu, &counters.iter().collect::<Vec<_>>())
}

/// Writes all that can be; what cannot is told together, so that one try shows how far a host is from the other.
fn write(vcpu: &VcpuFd, registers: &[&Register]) -> Result<(), String> {
    let known = ids(vcpu)?;
    let mut refused: Vec<String> = registers
        .iter()
        .filter_map(|register| write_one(vcpu, &known, register).err())
        .collect();
    let more = refused.len().saturating_sub(MOST_REFUSED);
    if more > 0 {
        refused.truncate(MOST_REFUSED);
        refused.push(format!("and {more} more"));
    }
    if refused.is_empty() {
        Ok(())
    } else {
        Err(refused.join("; "))
    }
}

fn write_one(vcpu: &VcpuFd, known: &[u64], Register { id, bytes }: &Register) -> Result<(), String> {
    let name = || name(*id);
    if known.binary_search(id).is_err() {
        if is_unwritten(bytes) {
            return Ok(());
        }
        return Err(format!(
            "{} is {}, and this host does not know it",
            name(),
            text(bytes)
        ));
    }
    let now = get(vcpu, *id)?;
    if now == *bytes {
        return Ok(());
    }
    vcpu.set_one_reg(*id, bytes).map_err(|error| {
        let (wanted, now) = (text(bytes), text(&now));
        format!("{} is {now} here and is not set to {wanted}: {error}", name())
    })?;
    // A counter has gone on meanwhile.
    let after = get(vcpu, *id)?;
    if after != *bytes && phase(*id) < 3 {
        let (wanted, after) = (text(bytes), text(&after));
        return Err(format!("{} is {after} here after it was set to {wanted}", name()));
    }
    Ok(())
}

/// Whether nobody can have written this value: zero, or what KVM fills in where Arm says that a reset leaves anything.
fn is_unwritten(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0) || *bytes == RESET_UNKNOWN.to_le_bytes()
}
