//! The vCPU on a thread of its own: created, running, stopped.
#![expect(
    unsafe_code,
    reason = "the exit's union in kvm_run, and the byte of it that a kick sets"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kvm_bindings::{kvm_vcpu_events, kvm_vcpu_events__bindgen_ty_1};
use kvm_ioctls::VcpuExit;
use seawall_replay::entry;
use seawall_replay::plan::Poison;
use seawall_replay::walk;

use super::board::{Answer, Cause};
use super::events::{self, Checked, Circumstance, LeftFor};
use super::kick;
use super::machine::Machine;
use super::memory;
use super::registers;
use super::sigbus::{self, Met};
use super::uapi::{
    ArmNisv, ArmSea, KVM_EXIT_ARM_LDST64B, KVM_EXIT_ARM_NISV, KVM_EXIT_ARM_SEA, KVM_SYSTEM_EVENT_RESET,
    KVM_SYSTEM_EVENT_SHUTDOWN, Register, VcpuEvents,
};
use crate::backend::RunEnd;

mod host_abort;

/// Between two kicks of a vCPU that has not stopped yet.
const KICK_INTERVAL: Duration = Duration::from_millis(10);
/// After so long the kernel itself is taken to be at fault.
const KICK_LIMIT: Duration = Duration::from_secs(10);

/// A vCPU that has not run yet.
#[derive(Debug)]
pub(super) struct Created(pub(super) Machine);

/// A vCPU on its thread.
#[derive(Debug)]
pub(super) struct Running {
    thread: JoinHandle<Stopped>,
    stop: Arc<AtomicBool>,
    done: Receiver<()>,
    since: Instant,
}

/// A vCPU that will not run again.
#[derive(Debug)]
pub(super) struct Stopped {
    /// Why.
    pub(super) end: RunEnd,
    /// What it ran in.
    pub(super) machine: Machine,
}

impl Created {
    /// Starts it.
    ///
    /// # Errors
    /// When the host gives no thread or no signal handler.
    pub(super) fn start(self) -> std::io::Result<Running> {
        kick::install()?;
        let stop = Arc::new(AtomicBool::new(false));
        let (say, done) = mpsc::channel();
        let told = Arc::clone(&stop);
        let since = Instant::now();
        let thread = thread::Builder::new().name("vcpu0".into()).spawn(move || {
            let stopped = run(self.0, &told);
            // Nobody listens any more after a panic alone, and then nobody needs to know.
            let _ = say.send(());
            stopped
        })?;
        Ok(Running {
            thread,
            stop,
            done,
            since,
        })
    }
}

impl Running {
    /// Waits until it stops, and sees to it that it does once the time is up.
    ///
    /// # Errors
    /// When its thread was lost; the guest's memory stays with it then.
    pub(super) fn stopped_within(self, wall: Duration) -> Result<Stopped, String> {
        let ended = |limit| !matches!(self.done.recv_timeout(limit), Err(RecvTimeoutError::Timeout));
        if !ended(wall.saturating_sub(self.since.elapsed())) {
            self.stop.store(true, Ordering::Release);
            let kicked = Instant::now();
            kick::kick(&self.thread);
            while !ended(KICK_INTERVAL) {
                if kicked.elapsed() > KICK_LIMIT {
                    return Err("the vCPU's thread does not answer to a kick: KVM holds it".into());
                }
                kick::kick(&self.thread);
            }
        }
        self.thread
            .join()
            .map_err(|_| "the vCPU's thread panicked".into())
    }
}

/// One return from the guest, as plain values.
enum Exit {
    /// Already answered.
    Answered,
    Write {
        ipa: u64,
        width: usize,
        value: u64,
    },
    /// Nobody answers at this address.
    Nobody {
        ipa: u64,
    },
    /// An access without a syndrome: no device can take it.
    NoSyndrome(ArmNisv),
    Interrupted,
    /// The guest's access was a synchronous external abort for the host.
    HostAbort(ArmSea),
    /// The guest touched poison: the host sent a SIGBUS.
    Poisoned(Met),
    System(u32),
    /// The guest, or KVM, did what has no answer.
    Unknown(u32),
    Failed(std::io::Error),
}

fn run(mut machine: Machine, stop: &AtomicBool) -> Stopped {
    let immediate_exit = &raw mut machine.vcpu.get_kvm_run().immediate_exit;
    // SAFETY: the byte lies in the mapping that `machine.vcpu` holds; `machine` moves on only as a value (the mapping
    // stays where it is) and `target` is dropped in this function, while `machine` lives.
    let target = unsafe { kick::Target::new(immediate_exit) };
    let watched = machine
        .memory
        .host_range()
        .and_then(|range| sigbus::Watch::new(range).map_err(|error| format!("SIGBUS: {error}")));
    let _watch = match watched {
        Ok(watch) => watch,
        Err(reason) => {
            drop(target);
            return Stopped {
                end: RunEnd::Stuck(reason),
                machine,
            };
        }
    };
    let mut end = loop {
        if stop.load(Ordering::Acquire) {
            break RunEnd::TimedOut;
        }
        let exit = machine.enter();
        if let Some(end) = machine.handle(exit) {
            break end;
        }
    };
    drop(target);
    // Before the host's kernel takes the memory back, and walks its tables for that.
    if let Some(Err(reason)) = machine.outside.take().map(|mut outside| outside.mend(None)) {
        end = RunEnd::Stuck(reason);
    }
    Stopped { end, machine }
}

impl Machine {
    /// Runs the guest until it leaves.
    fn enter(&mut self) -> Exit {
        let left = sigbus::expected(|| self.vcpu.run());
        // What the exit's reason says is of old when a SIGBUS came: it ends KVM_RUN without one of its own.
        if let Some(met) = sigbus::met() {
            return Exit::Poisoned(met);
        }
        let number = match left {
            Ok(VcpuExit::MmioRead(ipa, data)) => {
                let Some(value) = self.board.read(ipa, data.len()) else {
                    return Exit::Nobody { ipa };
                };
                for (byte, given) in data.iter_mut().zip(value.to_le_bytes()) {
                    *byte = given;
                }
                return Exit::Answered;
            }
            Ok(VcpuExit::MmioWrite(ipa, data)) => {
                let mut value = [0; 8];
                for (byte, given) in value.iter_mut().zip(data) {
                    *byte = *given;
                }
                return Exit::Write {
                    ipa,
                    width: data.len(),
                    value: u64::from_le_bytes(value),
                };
            }
            Ok(VcpuExit::SystemEvent(kind, _)) => return Exit::System(kind),
            Ok(VcpuExit::Intr) => return Exit::Interrupted,
            Ok(VcpuExit::Unsupported(number @ (KVM_EXIT_ARM_NISV | KVM_EXIT_ARM_LDST64B))) => number,
            Ok(VcpuExit::Unsupported(KVM_EXIT_ARM_SEA)) => return Exit::HostAbort(self.sea()),
            Ok(_) => return Exit::Unknown(self.vcpu.get_kvm_run().exit_reason),
            Err(error) => {
                let error = std::io::Error::from(error);
                let again = matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN));
                return if again {
                    Exit::Interrupted
                } else {
                    Exit::Failed(error)
                };
            }
        };
        debug_assert!(number == KVM_EXIT_ARM_NISV || number == KVM_EXIT_ARM_LDST64B);
        // SAFETY: for these two exits KVM fills `arm_nisv`, two 64-bit integers, for which every bit pattern is a value.
        let nisv = unsafe { self.vcpu.get_kvm_run().__bindgen_anon_1.arm_nisv };
        Exit::NoSyndrome(ArmNisv::from_words([nisv.esr_iss, nisv.fault_ipa]))
    }

    /// What the host says of an abort that it took. kvm-bindings does not know this part of the union.
    fn sea(&mut self) -> ArmSea {
        let union = &raw const self.vcpu.get_kvm_run().__bindgen_anon_1;
        // SAFETY: for this exit KVM fills the union's first four 64-bit words, for which every bit pattern is a value; the
        // union is as large and as aligned as any of its members, `arm_nisv` and the 256 bytes of padding among them.
        ArmSea::from_words(unsafe { union.cast::<[u64; 4]>().read() })
    }

    /// Answers an exit; gives the end, if it is one.
    fn handle(&mut self, exit: Exit) -> Option<RunEnd> {
        if !self.take_gathered() {
            return Some(RunEnd::Flooded);
        }
        while let Some(advice) = sigbus::advice() {
            self.board.advised(memory::BASE + advice.offset, advice.shift);
        }
        let done = match exit {
            Exit::Answered => Ok(()),
            Exit::Interrupted => {
                // A kick that came for another reason than the end must not make the next entry return too.
                self.vcpu.set_kvm_immediate_exit(0);
                Ok(())
            }
            Exit::Write { ipa, width, value } => match self.board.write(ipa, width, value) {
                Answer::Done => Ok(()),
                Answer::Nobody => self.abort(ipa, LeftFor::UnansweredAccess),
                Answer::Flooded => return Some(RunEnd::Flooded),
                Answer::Open(cause) => self.open(cause),
                Answer::Pend(cause, syndrome) => self.pend(cause, syndrome),
                Answer::Poison(cause, by) => self.poison(cause, by),
                Answer::Protect(cause) => self.protect(cause),
                Answer::Break(cause) => self.put_out_of_reach(cause),
                Answer::Enter(cause, esr, far) => self.enter_abort(cause, esr, far),
            },
            Exit::Nobody { ipa } => self.abort(ipa, LeftFor::UnansweredAccess),
            Exit::NoSyndrome(ArmNisv { esr_iss, fault_ipa }) => {
                self.board.refused(fault_ipa, esr_iss);
                self.abort(fault_ipa, LeftFor::UnansweredAccess)
            }
            Exit::Poisoned(met) => self.abort_by_poison(met),
            Exit::HostAbort(taken) => self.replay(taken),
            Exit::System(KVM_SYSTEM_EVENT_SHUTDOWN) => return Some(RunEnd::PoweredOff),
            Exit::System(KVM_SYSTEM_EVENT_RESET) => return Some(RunEnd::Reset),
            Exit::System(kind) => Err(format!("system event {kind}")),
            Exit::Unknown(reason) => Err(format!("exit reason {reason}")),
            Exit::Failed(error) => Err(format!("KVM_RUN: {error}")),
        };
        let reason = done.err()?;
        let pc = registers::get(&self.vcpu, Register::Pc).unwrap_or(0);
        self.board.stuck(0, pc);
        Some(RunEnd::Stuck(format!("{reason} (PC {pc:#x})")))
    }

    /// Takes what KVM gathered since the last exit; false when that is more than the guest may write.
    fn take_gathered(&mut self) -> bool {
        while self.abilities.coalesced
            && let Ok(Some(write)) = self.vcpu.coalesced_mmio_read()
        {
            let width = usize::try_from(write.len).unwrap_or(write.data.len());
            if self
                .board
                .write(write.phys_addr, width, u64::from_le_bytes(write.data))
                == Answer::Flooded
            {
                return false;
            }
        }
        true
    }

    /// Makes a hole of the announced page; the guest stands at the announcement.
    fn open(&mut self, cause: Cause) -> Result<(), String> {
        self.memory.open(cause.page())?;
        self.board.opened(cause);
        Ok(())
    }

    /// Poisons the host memory behind the announced page; the guest stands at the announcement.
    fn poison(&mut self, cause: Cause, by: Poison) -> Result<(), String> {
        let poisoned = sigbus::expected(|| self.memory.poison(cause.page(), by));
        // MADV_HWPOISON says so at once to the thread that asked. The guest has touched nothing yet: no abort.
        let _ = sigbus::met();
        poisoned?;
        self.board.poisoned(cause);
        Ok(())
    }

    /// Makes the announced page read-only; the guest stands at the announcement.
    fn protect(&mut self, cause: Cause) -> Result<(), String> {
        self.memory.protect(cause.page())?;
        self.board.protected(cause);
        Ok(())
    }

    /// Pends an SError; the guest stands at the announcement.
    ///
    /// The announcement's store is completed first. Since Linux 6.17 an SError that is not masked is taken inside the call,
    /// and the access forgotten: the guest would return to the store and announce again.
    fn pend(&mut self, cause: Cause, syndrome: Option<u32>) -> Result<(), String> {
        self.complete_access()?;
        self.give(events::serror(syndrome), LeftFor::Nothing)?;
        self.board.pended(cause, syndrome);
        Ok(())
    }

    /// Enters an abort at the instruction behind the announcement, as the architecture does it.
    fn enter_abort(&mut self, cause: Cause, esr: u64, far: Option<u64>) -> Result<(), String> {
        self.complete_access()?;
        self.enter_vector(esr, far)?;
        // Read back: what counts is what the guest will see.
        let (syndrome, address) = (self.read(Register::EsrEl1)?, self.read(Register::FarEl1)?);
        self.board.entered(cause, syndrome, address);
        Ok(())
    }

    /// Answers the guest's access to poisoned memory.
    fn abort_by_poison(&mut self, met: Met) -> Result<(), String> {
        // Without an address, where it lies is not known.
        let Some(page) = met.offset.map(|offset| memory::BASE + offset) else {
            return self.abort(0, LeftFor::PoisonedAccess);
        };
        let (pc, pstate) = (self.read(Register::Pc)?, self.read(Register::Pstate)?);
        if self.page_of(pc)? != Some(page) {
            return self.abort(page, LeftFor::PoisonedAccess);
        }
        // The instruction itself lies there: nothing but its fetch can have met the poison. KVM_SET_VCPU_EVENTS can make
        // data aborts alone.
        let syndrome = entry::sea_syndrome(entry::Access::Instruction, entry::is_el0(pstate), None);
        self.enter_vector(syndrome, Some(pc))?;
        self.board.delivered(page | (pc & 0xfff), syndrome, pc);
        Ok(())
    }

    /// The page of memory that an address of the guest's leads to.
    fn page_of(&self, address: u64) -> Result<Option<u64>, String> {
        const MMU: u64 = 1;
        if self.read(Register::SctlrEl1)? & MMU == 0 {
            return Ok(Some(address & !0xfff));
        }
        let regime = walk::Regime {
            ttbr0: self.read(Register::Ttbr0El1)?,
            ttbr1: self.read(Register::Ttbr1El1)?,
            tcr: self.read(Register::TcrEl1)?,
        };
        // Tables that are poisoned are not read.
        Ok(walk::page_of(regime, address, |entry| {
            let bytes = self.memory.copy(&(entry..entry.checked_add(8)?))?;
            Some(u64::from_le_bytes(bytes.try_into().ok()?))
        }))
    }

    /// Enters a synchronous exception where the guest stands, as the architecture does it.
    fn enter_vector(&self, esr: u64, far: Option<u64>) -> Result<(), String> {
        let before = entry::Before {
            pc: self.read(Register::Pc)?,
            pstate: self.read(Register::Pstate)?,
            vbar: self.read(Register::VbarEl1)?,
            sctlr: entry::sctlr_of(
                self.read(Register::SctlrEl1)?,
                self.read(Register::IdAa64Pfr1El1)?,
                self.read(Register::IdAa64Mmfr1El1)?,
            ),
            // KVM gives a guest FEAT_MTE only when it is asked to.
            mte: false,
        };
        let after = entry::enter(before, entry::Kind::Synchronous);
        for (register, value) in [
            (Register::ElrEl1, Some(after.elr)),
            (Register::SpsrEl1, Some(after.spsr)),
            (Register::EsrEl1, Some(esr)),
            (Register::FarEl1, far),
            (Register::Pstate, Some(after.pstate)),
            (Register::Pc, Some(after.pc)),
        ] {
            if let Some(value) = value {
                registers::set(&self.vcpu, register, value)
                    .map_err(|error| format!("writing {register:?}: {error}"))?;
            }
        }
        Ok(())
    }

    /// Has KVM complete the access that the vCPU left for, without entering the guest.
    fn complete_access(&mut self) -> Result<(), String> {
        self.vcpu.set_kvm_immediate_exit(1);
        let left = match self.vcpu.run() {
            Ok(exit) => Err(format!("completing an access gave {exit:?}")),
            Err(error) if error.errno() == libc::EINTR => Ok(()),
            Err(error) => Err(format!("completing an access: {error}")),
        };
        // A kick may have come meanwhile; it has set the flag that `run` looks at, so nothing is lost.
        self.vcpu.set_kvm_immediate_exit(0);
        left
    }

    /// Answers the access that the vCPU left for with a synchronous external abort.
    fn abort(&mut self, ipa: u64, left_for: LeftFor) -> Result<(), String> {
        let pstate = self.read(Register::Pstate)?;
        self.give(events::data_abort(), left_for)?;
        // KVM has written the syndrome by now, whether or not it has moved the PC too; the one that it should give is for a
        // host that hides it.
        let expected = entry::sea_syndrome(entry::Access::Data, entry::is_el0(pstate), None);
        let syndrome = self.read(Register::EsrEl1).unwrap_or(expected);
        let address = self.read(Register::FarEl1)?;
        self.board.delivered(ipa, syndrome, address);
        Ok(())
    }

    fn read(&self, register: Register) -> Result<u64, String> {
        registers::get(&self.vcpu, register).map_err(|error| format!("reading {register:?}: {error}"))
    }

    fn give(&self, wanted: VcpuEvents, left_for: LeftFor) -> Result<(), String> {
        let now = Circumstance {
            initialised: true,
            syndromes: self.abilities.syndromes,
            data_aborts: true,
            left_for,
        };
        let checked = events::check(wanted, now).map_err(|error| error.to_string())?;
        self.vcpu
            .set_vcpu_events(&bound(&checked))
            .map_err(|error| format!("KVM_SET_VCPU_EVENTS: {error}"))
    }
}

/// The same events as kvm-bindings has them.
fn bound(checked: &Checked) -> kvm_vcpu_events {
    let VcpuEvents {
        serror_pending,
        serror_has_esr,
        ext_dabt_pending,
        pad,
        serror_esr,
        reserved,
    } = *checked.events();
    kvm_vcpu_events {
        exception: kvm_vcpu_events__bindgen_ty_1 {
            serror_pending,
            serror_has_esr,
            ext_dabt_pending,
            pad,
            serror_esr,
        },
        reserved,
    }
}
