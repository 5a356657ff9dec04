//! The `kvm` backend: the guest under real KVM on an arm64 host.
//!
//! What a guest can do to the runner is decided in code that knows no KVM and is tested on every host: `board` (devices
//! and transcript), `slots` (memory), `table` (books that do not grow), `events` (what may be injected when), `arguments` (what a kernel says to the same),
//! `sea` (the aborts that the host takes), `needs` (what a host may lack for an injection), `rules` (how registers are restored).
//! The rest asks KVM: `host` (what it can do), `machine` (a VM), `memory` (its slots), `own` (memory read past poison),
//! `thread` (what runs it), `vcpu` (how it is answered), `sandbox` (what that thread may still ask the host for), `errands` (what another thread
//! says for it), `give` (what the vCPU is given), `read_back` (whether KVM has it), `kick` (what gets the vCPU out of the
//! guest), `later` (an SError that waits for that), `unusual` (what few scenarios ask for), `page` (whether it can cut single pages), `poison` (what poisons host
//! memory), `sigbus` (what the host then says), `state` (all of it saved, and made again), `usage` (what this process
//! holds).

// On other hosts these have no user but their tests.
#[cfg(any(test, all(target_arch = "aarch64", target_os = "linux")))]
pub(crate) mod arguments;
#[cfg(any(test, fuzzing, all(target_arch = "aarch64", target_os = "linux")))]
pub(crate) mod board;
#[cfg(any(test, all(target_arch = "aarch64", target_os = "linux")))]
mod events;
#[cfg(all(target_os = "linux", any(test, target_arch = "aarch64")))]
mod own;
#[cfg(any(test, fuzzing, all(target_arch = "aarch64", target_os = "linux")))]
mod pl011;
#[cfg(all(target_os = "linux", any(test, target_arch = "aarch64")))]
mod poison;
#[cfg(any(test, all(target_arch = "aarch64", target_os = "linux")))]
mod read_back;
#[cfg(any(test, all(target_arch = "aarch64", target_os = "linux")))]
#[cfg_attr(
    not(all(target_arch = "aarch64", target_os = "linux")),
    expect(dead_code, reason = "the registers are where KVM is")
)]
mod rules;
#[cfg(any(test, all(target_arch = "aarch64", target_os = "linux")))]
mod sea;
#[cfg(all(target_os = "linux", any(test, target_arch = "aarch64")))]
mod sigbus;
#[cfg(any(test, all(target_arch = "aarch64", target_os = "linux")))]
mod slots;
#[cfg(any(test, fuzzing, all(target_arch = "aarch64", target_os = "linux")))]
mod table;
#[cfg(any(test, target_os = "linux"))]
#[cfg_attr(
    not(all(target_arch = "aarch64", target_os = "linux")),
    expect(dead_code, reason = "KVM's numbers are used where KVM is")
)]
mod uapi;

pub mod needs;
#[cfg(target_os = "linux")]
pub mod sandbox;

#[cfg(any(test, all(target_arch = "aarch64", target_os = "linux")))]
mod usage;

#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
mod errands;
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
mod give;
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
mod host;
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
mod kick;
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
mod later;
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
mod machine;
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
mod memory;
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
mod registers;
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
mod state;
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
mod thread;
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
pub(crate) mod unusual;
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
mod vcpu;

use crate::backend::{Backend, Missing, Request, Run};
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
use needs::Need;

/// An arm64 host's KVM.
#[derive(Debug)]
pub struct Kvm {
    #[cfg(all(target_arch = "aarch64", target_os = "linux"))]
    device: kvm_ioctls::Kvm,
    #[cfg(all(target_arch = "aarch64", target_os = "linux"))]
    abilities: host::Abilities,
    #[cfg(not(all(target_arch = "aarch64", target_os = "linux")))]
    never: std::convert::Infallible,
}

#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
impl Kvm {
    /// Opens `/dev/kvm` and asks for what the runner needs.
    ///
    /// # Errors
    /// [`Missing`] on another architecture, without the device, without permission, or without a capability.
    pub fn open() -> Result<Self, Missing> {
        host::open().map(|(device, abilities)| Self { device, abilities })
    }

    /// What this host lacks of a need. What only a vCPU says is asked of the one that is to run.
    pub(crate) fn missing(&self, need: Need) -> Option<Missing> {
        let of = self.abilities;
        match need {
            Need::SmallPages => host::large_pages(),
            Need::Syndromes => (!of.syndromes).then(host::no_syndromes),
            Need::ReadOnlySlots => (!of.read_only).then(host::no_read_only_slots),
            Need::Range => unusual::missing_range(of),
            Need::MemoryFailure => poison::missing_memory_failure(),
            Need::HardOffline => poison::Offline::missing(),
            Need::Userfault => poison::Userfault::missing(),
            Need::SeaExit => (!of.sea_to_user).then(host::no_sea_exit),
            Need::Ras => (!of.syndromes).then(host::no_ras),
            Need::Outside => crate::lab::outside::Outside::missing(),
            Need::Nesting => unusual::missing_nesting(&self.device),
            Need::DoubleFault2 => None,
        }
    }
}

#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
impl Backend for Kvm {
    fn name(&self) -> &'static str {
        "kvm"
    }

    fn kvm_version(&self) -> Option<(u32, u32)> {
        host::linux_version()
    }

    fn run(&self, request: &Request<'_>) -> Result<Run, Missing> {
        use crate::backend::RunEnd;

        if let Some(missing) = sandbox::missing() {
            return Err(missing);
        }
        let begin = std::time::Instant::now();
        let nothing = |reason| Run {
            end: RunEnd::Stuck(reason),
            console: Vec::new(),
            journal: None,
            earlier: Vec::new(),
            events: Vec::new(),
            events_lost: 0,
            wall: begin.elapsed(),
            usage: None,
        };
        let of_plan = request.plan.steps().flat_map(|step| Need::of(step.injection));
        for need in of_plan.chain(Need::of_vm(request.vm)) {
            if let Some(missing) = self.missing(*need) {
                return Err(missing);
            }
        }
        let machine = match machine::Machine::new(&self.device, self.abilities, request) {
            Ok(machine) => machine,
            Err(machine::MachineError::Missing(missing)) => return Err(missing),
            Err(machine::MachineError::Guest(reason)) => return Ok(nothing(reason)),
        };
        // Before the guest's first instruction; what the guest has of its memory by then does not count.
        let guest = machine.memory.host_range().unwrap_or(0..0);
        let before = usage::measure(&guest);
        let run = |machine| {
            let running = thread::Created(machine).start();
            let left = request.limits.wall.saturating_sub(begin.elapsed());
            running.map_err(|error| error.to_string())?.stopped_within(left)
        };
        let mut stopped = run(machine);
        while let Ok(thread::Stopped {
            end: thread::End::Reboot,
            mut machine,
        }) = stopped
        {
            stopped = match machine.reboot(request) {
                Ok(()) => run(machine),
                Err(reason) => Err(reason),
            };
        }
        let stopped = match stopped {
            Ok(stopped) => stopped,
            Err(reason) => return Ok(nothing(reason)),
        };
        let after = usage::measure(&guest);
        let (end, machine) = stopped.finish();
        let machine::Machine { board, memory, .. } = machine;
        let remains = board.into_remains();
        Ok(Run {
            end,
            console: remains.console,
            journal: remains.journal.and_then(|range| memory.copy(&range)),
            earlier: remains.earlier,
            events: remains.events,
            events_lost: remains.events_lost,
            wall: begin.elapsed(),
            usage: before.zip(after),
        })
    }
}

#[cfg(not(all(target_arch = "aarch64", target_os = "linux")))]
impl Kvm {
    /// Opens `/dev/kvm` and asks for what the runner needs.
    ///
    /// # Errors
    /// [`Missing`] on another architecture, without the device, without permission, or without a capability.
    pub fn open() -> Result<Self, Missing> {
        Err(Missing {
            what: format!(
                "KVM for arm64 guests: this host is {} {}",
                std::env::consts::ARCH,
                std::env::consts::OS
            ),
            fix: format!("this host is {}: use --backend lab", std::env::consts::ARCH),
        })
    }
}

#[cfg(not(all(target_arch = "aarch64", target_os = "linux")))]
impl Backend for Kvm {
    fn name(&self) -> &'static str {
        "kvm"
    }

    fn run(&self, _request: &Request<'_>) -> Result<Run, Missing> {
        match self.never {}
    }
}
