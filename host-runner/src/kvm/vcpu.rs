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

use super::board::{Answer, Cause};
use super::events::{self, Checked, Circumstance, LeftFor};
use super::kick;
use super::machine::Machine;
use super::registers;
use super::uapi::{
    ArmNisv, KVM_EXIT_ARM_LDST64B, KVM_EXIT_ARM_NISV, KVM_SYSTEM_EVENT_RESET, KVM_SYSTEM_EVENT_SHUTDOWN,
    Register, VcpuEvents,
};
use crate::backend::RunEnd;

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
    let end = loop {
        if stop.load(Ordering::Acquire) {
            break RunEnd::TimedOut;
        }
        let exit = machine.enter();
        if let Some(end) = machine.handle(exit) {
            break end;
        }
    };
    drop(target);
    Stopped { end, machine }
}

impl Machine {
    /// Runs the guest until it leaves.
    fn enter(&mut self) -> Exit {
        let number = match self.vcpu.run() {
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

    /// Answers an exit; gives the end, if it is one.
    fn handle(&mut self, exit: Exit) -> Option<RunEnd> {
        if !self.take_gathered() {
            return Some(RunEnd::Flooded);
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
                Answer::Nobody => self.abort(ipa),
                Answer::Flooded => return Some(RunEnd::Flooded),
                Answer::Open(cause) => self.open(cause),
                Answer::Pend(cause, syndrome) => self.pend(cause, syndrome),
            },
            Exit::Nobody { ipa } => self.abort(ipa),
            Exit::NoSyndrome(ArmNisv { esr_iss, fault_ipa }) => {
                self.board.refused(fault_ipa, esr_iss);
                self.abort(fault_ipa)
            }
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
    fn abort(&mut self, ipa: u64) -> Result<(), String> {
        let pstate = self.read(Register::Pstate)?;
        self.give(events::data_abort(), LeftFor::UnansweredAccess)?;
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
