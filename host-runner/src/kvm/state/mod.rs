//! Saving a machine where its vCPU stands, and making one that goes on there.
//!
//! An abort that was given and not yet taken cannot be read back from KVM. Before Linux 6.17 it lies in flags that the
//! next KVM_RUN turns into registers, and so do accesses that a device has answered. So before anything is read, KVM_RUN
//! is called to return at once (`immediate_exit`): it completes the access or enters the vector, and runs no instruction.
//! What is pending after that is an SError alone, which KVM_GET_VCPU_EVENTS tells.

mod gic;
mod raw;
mod registers;

pub(super) use registers::counters;

use kvm_bindings::{kvm_mp_state, kvm_vcpu_events};
use kvm_ioctls::{DeviceFd, VcpuFd};

use super::board::Cause;
use super::events::{self, Circumstance, LeftFor};
use super::give::bound;
use super::host::Abilities;
use super::machine::{INTERRUPTS, Machine};
use super::memory::{self, Memory};
use super::slots::PAGE;
use super::uapi::VcpuEvents;
use crate::backend::RunEnd;
use crate::saved::{self, Layout, Page, Saved, Vcpu};

/// Pages that are read at once.
const CHUNK: usize = 64;

impl Machine {
    /// Saves the machine here, at any exit, and ends the run. `cause` is the step that asks for it, if one does.
    ///
    /// It ends as [`RunEnd::Saved`], or as [`RunEnd::Stuck`] with the reason why this point cannot be saved.
    pub(super) fn save_and_stop(&mut self, cause: Option<Cause>) -> RunEnd {
        match self.save(cause) {
            Ok(file) => RunEnd::Saved(file),
            Err(reason) => {
                self.board.stuck(0, 0);
                RunEnd::Stuck(format!("the VM cannot be saved here: {reason}"))
            }
        }
    }

    /// Has the guest's time go on where it stood, if this machine is a restored one: to be called just before it runs.
    pub(super) fn resume_time(&mut self) -> Result<(), String> {
        let counters = std::mem::take(&mut self.counters);
        if counters.is_empty() {
            return Ok(());
        }
        // What KVM sets up before a vCPU's first run takes longer than a tick.
        self.complete_access()?;
        registers::restore_time(&self.vcpu, &counters)
    }

    fn save(&mut self, cause: Option<Cause>) -> Result<Vec<u8>, String> {
        if self.later.waits() || self.board.waits_beside() {
            return Err("an SError of the plan is still to come, and would be lost".into());
        }
        let time = registers::time(&self.vcpu);
        let scenario = self.scenario.clone().ok_or("no scenario is known for it")?;
        self.complete_access()?;
        let registers = registers::save(&self.vcpu, &time)?;
        self.board.saves(cause);
        let events = self
            .vcpu
            .get_vcpu_events()
            .map_err(|error| format!("KVM_GET_VCPU_EVENTS: {error}"))?;
        let mp_state = self
            .vcpu
            .get_mp_state()
            .map_err(|error| format!("KVM_GET_MP_STATE: {error}"))?
            .mp_state;
        // Before the layout: it may find poison.
        let memory = pages(&mut self.memory)?;
        let (transcript, events_lost) = self.board.transcript();
        let range = self.memory.range();
        let saved = Saved {
            scenario,
            machine: saved::Machine {
                memory_base: range.start,
                memory_bytes: range.end - range.start,
                ipa_bits: self.abilities.ipa_bits,
                interrupts: INTERRUPTS,
                used: used(&self.abilities),
                linux: linux(),
            },
            cpu: registers::cpu(&self.vcpu)?,
            layout: layout(&self.memory),
            memory,
            registers,
            gic: gic::save(&self.gic)?,
            vcpu: vcpu_of(&events, mp_state),
            board: self.board.to_saved(),
            transcript: transcript.to_vec(),
            events_lost,
        };
        saved::encode(&saved).map_err(|error| error.to_string())
    }
}

fn vcpu_of(events: &kvm_vcpu_events, mp_state: u32) -> Vcpu {
    let pending = events.exception.serror_pending != 0;
    Vcpu {
        mp_state,
        serror_pending: pending,
        // KVM sets it wherever the host has FEAT_RAS; it speaks of a pending SError alone.
        serror_has_esr: pending && events.exception.serror_has_esr != 0,
        serror_esr: if pending { events.exception.serror_esr } else { 0 },
    }
}

fn used(abilities: &Abilities) -> u32 {
    [
        (abilities.pmu, saved::Machine::PMU),
        (abilities.syndromes, saved::Machine::SYNDROMES),
        (abilities.read_only, saved::Machine::READ_ONLY),
    ]
    .into_iter()
    .filter(|(has, _)| *has)
    .fold(0, |used, (_, bit)| used | bit)
}

fn linux() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release
        .trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(64)
        .collect()
}

fn layout(memory: &Memory) -> Layout {
    let mut holes = Vec::new();
    let mut read_only = Vec::new();
    let mut at = memory.range().start;
    for slot in memory.layout().slots() {
        holes.extend((at..slot.range.start).step_by(0x1000));
        if slot.read_only {
            read_only.extend(slot.range.clone().step_by(0x1000));
        }
        at = slot.range.end;
    }
    holes.extend((at..memory.range().end).step_by(0x1000));
    Layout {
        holes,
        read_only,
        poisoned: memory.poisoned.iter().map(|(page, by)| (page, *by)).collect(),
    }
}

/// The pages that are not all zero and not poisoned. Poison that nobody has met yet is found here, and noted.
fn pages(memory: &mut Memory) -> Result<Vec<Page>, String> {
    let mut pages = Vec::new();
    let mut chunk = vec![0; CHUNK * saved::PAGE];
    let range = memory.range();
    for start in range.clone().step_by(chunk.len()) {
        let length = usize::try_from(range.end - start)
            .unwrap_or(usize::MAX)
            .min(chunk.len());
        let chunk = chunk.get_mut(..length).unwrap_or_default();
        let whole = memory.read_pages(start, chunk)?;
        for (ipa, page) in (start..)
            .step_by(saved::PAGE)
            .zip(chunk.chunks_exact_mut(saved::PAGE))
        {
            if !whole && !memory.read_pages(ipa, page)? {
                memory.lose(ipa, 12);
                continue;
            }
            if page.iter().any(|byte| *byte != 0)
                && let Ok(bytes) = <[u8; saved::PAGE]>::try_from(&*page)
            {
                let bytes = Box::new(bytes);
                pages.push(Page { ipa, bytes });
            }
        }
        let so_far = (pages.len() * saved::PAGE) as u64;
        if so_far > saved::MOST_BYTES {
            return Err(saved::SavedError::TooLarge(so_far).to_string());
        }
    }
    Ok(pages)
}

/// Makes a VM that has not run yet the saved one, all but [`Machine::resume_time`].
///
/// # Errors
/// What this host cannot give it, by name.
pub(super) fn restore(
    vcpu: &VcpuFd,
    gic: &DeviceFd,
    memory: &Memory,
    abilities: &Abilities,
    saved: &Saved,
) -> Result<(), String> {
    let cannot = |reason: String| format!("the saved VM does not fit this host: {reason}");
    fits(vcpu, memory, abilities, saved).map_err(cannot)?;
    for page in &saved.memory {
        memory.write_page(page.ipa, &page.bytes)?;
    }
    registers::restore(vcpu, &saved.registers).map_err(cannot)?;
    gic::restore(gic, &saved.gic).map_err(cannot)?;
    let state = kvm_mp_state {
        mp_state: saved.vcpu.mp_state,
    };
    vcpu.set_mp_state(state)
        .map_err(|error| format!("KVM_SET_MP_STATE {}: {error}", saved.vcpu.mp_state))?;
    pend(vcpu, abilities, &saved.vcpu).map_err(cannot)
}

/// What can be told before anything is written.
fn fits(vcpu: &VcpuFd, memory: &Memory, abilities: &Abilities, saved: &Saved) -> Result<(), String> {
    let here = registers::cpu(vcpu)?;
    for (name, wanted, here) in [
        ("MIDR_EL1", saved.cpu.midr, here.midr),
        ("REVIDR_EL1", saved.cpu.revidr, here.revidr),
        ("AIDR_EL1", saved.cpu.aidr, here.aidr),
    ] {
        if wanted != here {
            return Err(format!(
                "it is of another CPU type: its {name} is {wanted:#x}, here it is {here:#x}"
            ));
        }
    }
    let range = memory.range();
    let machine = &saved.machine;
    if (machine.memory_base, machine.memory_bytes) != (range.start, range.end - range.start) {
        let (base, bytes) = (machine.memory_base, machine.memory_bytes);
        return Err(format!("it has {bytes} bytes of memory at {base:#x}"));
    }
    if machine.interrupts != INTERRUPTS {
        return Err(format!("its GIC has {} interrupts", machine.interrupts));
    }
    if machine.ipa_bits.min(40) > abilities.ipa_bits {
        return Err(format!("it has {} bits of IPA", machine.ipa_bits.min(40)));
    }
    for (bit, has, name) in [
        (saved::Machine::PMU, abilities.pmu, "a PMU (KVM_CAP_ARM_PMU_V3)"),
        (
            saved::Machine::READ_ONLY,
            abilities.read_only || saved.layout.read_only.is_empty(),
            "read-only slots (KVM_CAP_READONLY_MEM)",
        ),
    ] {
        if machine.used & bit != 0 && !has {
            return Err(format!("it needs {name}"));
        }
    }
    Ok(())
}

/// Pends the SError that was pending. It is masked or not as the registers say, and taken once.
fn pend(vcpu: &VcpuFd, abilities: &Abilities, saved: &Vcpu) -> Result<(), String> {
    if !saved.serror_pending {
        return Ok(());
    }
    let wanted = VcpuEvents {
        serror_pending: 1,
        serror_has_esr: saved.serror_has_esr.into(),
        serror_esr: if saved.serror_has_esr { saved.serror_esr } else { 0 },
        ..VcpuEvents::default()
    };
    let now = Circumstance {
        initialised: true,
        syndromes: abilities.syndromes,
        data_aborts: true,
        left_for: LeftFor::Nothing,
    };
    let checked = events::check(wanted, now).map_err(|error| error.to_string())?;
    vcpu.set_vcpu_events(&bound(checked.events()))
        .map_err(|error| format!("KVM_SET_VCPU_EVENTS: {error}"))
}

const _: () = assert!(PAGE == saved::PAGE as u64 && memory::BASE.is_multiple_of(PAGE));
