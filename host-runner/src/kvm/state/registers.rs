//! All registers of a vCPU, read and written by the rules of `rules`.

use kvm_ioctls::VcpuFd;

use super::raw;
use crate::kvm::rules::{AIDR, COUNTERS, MIDR, REVIDR, is_counter, is_unwritten, name, phase, text};
use crate::saved::{Cpu, Register, register_bytes};

/// Registers that are named when this host refuses them; of more, the count.
const MOST_REFUSED: usize = 8;

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
