//! The guest runs, leaves, and is answered, until the end.
#![expect(unsafe_code, reason = "the exit's union in kvm_run")]

use std::sync::atomic::{AtomicBool, Ordering};

use kvm_ioctls::VcpuExit;
use seawall_replay::entry::{self, Kind};
use seawall_replay::plan::Poison;
use seawall_replay::walk;

use super::board::{Answer, Cause};
use super::events::LeftFor;
use super::machine::Machine;
use super::memory;
use super::registers;
use super::sandbox;
use super::sigbus::{self, Met};
use super::thread::End;
use super::uapi::{
    ArmNisv, ArmSea, KVM_EXIT_ARM_LDST64B, KVM_EXIT_ARM_NISV, KVM_EXIT_ARM_SEA, KVM_SYSTEM_EVENT_RESET,
    KVM_SYSTEM_EVENT_SHUTDOWN, Register,
};
use crate::backend::RunEnd;

mod host_abort;

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

impl Machine {
    /// Readies this thread for the guest: whatever the sandbox forbids comes before it.
    pub(super) fn prepare(&mut self) -> Result<sigbus::Watch, String> {
        let watch =
            sigbus::Watch::new(self.memory.host_range()?).map_err(|error| format!("SIGBUS: {error}"))?;
        self.resume_time()
            .map_err(|error| format!("the guest's time cannot go on: {error}"))?;
        sandbox::enter()?;
        Ok(watch)
    }

    /// Runs the guest, and answers it, until the end.
    pub(super) fn run_until(&mut self, stop: &AtomicBool) -> End {
        loop {
            if stop.load(Ordering::Acquire) {
                return End::Over(RunEnd::TimedOut);
            }
            let exit = self.enter();
            if let Some(end) = self.handle(exit) {
                return end;
            }
        }
    }

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
    fn handle(&mut self, exit: Exit) -> Option<End> {
        if !self.take_gathered() {
            return Some(End::Over(RunEnd::Flooded));
        }
        while let Some(advice) = sigbus::advice() {
            self.board.advised(memory::BASE + advice.offset, advice.shift);
            self.memory.lose(memory::BASE + advice.offset, advice.shift);
        }
        let done = match exit {
            Exit::Answered => Ok(()),
            Exit::Interrupted => {
                // A kick that came for another reason than the end must not make the next entry return too.
                self.vcpu.set_kvm_immediate_exit(0);
                self.pend_if_due()
            }
            Exit::Write { ipa, width, value } => match self.board.write(ipa, width, value) {
                Answer::Done => Ok(()),
                Answer::Nobody => self.answer_nobody(ipa),
                Answer::Flooded => return Some(End::Over(RunEnd::Flooded)),
                Answer::Open(cause) => self.open(cause),
                Answer::Pend(cause, syndrome) => self.pend(cause, syndrome),
                Answer::Poison(cause, by) => self.poison(cause, by),
                Answer::Protect(cause) => self.protect(cause),
                Answer::Mend(cause) => self.mend(cause),
                Answer::Report(cause, failing) => self.report(cause, failing),
                Answer::Break(cause) => self.put_out_of_reach(cause),
                Answer::Enter(cause, kind, esr, far) => self.enter_abort(cause, kind, esr, far),
                Answer::PendLater(cause, syndrome, milliseconds) => {
                    self.pend_later(cause, syndrome, milliseconds)
                }
            },
            Exit::Nobody { ipa } => self.answer_nobody(ipa),
            Exit::NoSyndrome(ArmNisv { esr_iss, fault_ipa }) => {
                self.board.refused(fault_ipa, esr_iss);
                self.answer_nobody(fault_ipa)
            }
            Exit::Poisoned(met) => self.abort_by_poison(met).and_then(|()| self.keep_out(met)),
            Exit::HostAbort(taken) => self.replay(taken),
            Exit::System(KVM_SYSTEM_EVENT_SHUTDOWN) => return Some(End::Over(RunEnd::PoweredOff)),
            Exit::System(KVM_SYSTEM_EVENT_RESET) if self.board.wants_reboot() => return Some(End::Reboot),
            Exit::System(KVM_SYSTEM_EVENT_RESET) => return Some(End::Over(RunEnd::Reset)),
            Exit::System(kind) => Err(format!("system event {kind}")),
            Exit::Unknown(reason) => Err(format!("exit reason {reason}")),
            Exit::Failed(error) if !self.nisv_exits && error.raw_os_error() == Some(libc::ENOSYS) => {
                return Some(End::Over(RunEnd::Enosys));
            }
            Exit::Failed(error) => Err(format!("KVM_RUN: {error}")),
        };
        let Err(reason) = done else {
            return self.board.take_save().map(End::Save).or_else(|| self.evacuate());
        };
        let pc = registers::get(&self.vcpu, Register::Pc).unwrap_or(0);
        self.board.stuck(0, pc);
        Some(End::Over(RunEnd::Stuck(format!("{reason} (PC {pc:#x})"))))
    }

    /// Whether it is time to leave this host, and nothing of the plan is under way that would be lost by it.
    fn evacuate(&self) -> Option<End> {
        let passed = self.board.overdrawn()?;
        (!self.later.waits()).then_some(End::Evacuate(passed))
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
        // MADV_HWPOISON says so at once to the thread that asked. The guest has touched nothing yet: no abort. Advice stays
        // to be taken.
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

    /// Has the guest find the announced page reported; it is out by then, unless it only fails.
    fn report(&mut self, cause: Cause, failing: bool) -> Result<(), String> {
        if !failing {
            self.memory.open(cause.page())?;
        }
        self.board.reported(cause, failing);
        Ok(())
    }

    /// Gives the announced page back; the guest stands at the announcement.
    fn mend(&mut self, cause: Cause) -> Result<(), String> {
        if self.memory.mend(cause.page())? {
            self.board.mended(cause);
        } else {
            self.board.not_mended(cause);
        }
        Ok(())
    }

    /// Enters an abort at the instruction behind the announcement, as the architecture does it.
    fn enter_abort(&mut self, cause: Cause, kind: Kind, esr: u64, far: Option<u64>) -> Result<(), String> {
        self.complete_access()?;
        self.enter_vector(kind, esr, far)?;
        // Read back: what counts is what the guest will see.
        let (syndrome, address) = (self.read(Register::EsrEl1)?, self.read(Register::FarEl1)?);
        self.board.entered(cause, syndrome, address);
        Ok(())
    }

    /// Answers an access that nothing takes.
    fn answer_nobody(&mut self, ipa: u64) -> Result<(), String> {
        let Some(address) = self.memory.told_by_signal(ipa) else {
            return self.abort(ipa, LeftFor::UnansweredAccess);
        };
        // From here on as where the host's kernel had sent it: the handler decides what it is.
        sigbus::expected(|| sigbus::send_object_error(address))
            .map_err(|error| format!("BUS_OBJERR: {error}"))?;
        match sigbus::met() {
            Some(met) => self.abort_by_poison(met),
            None => Err("BUS_OBJERR was sent and not taken".into()),
        }
    }

    /// Answers the guest's access to poisoned memory.
    fn abort_by_poison(&mut self, met: Met) -> Result<(), String> {
        // Without an address, where it lies is not known.
        let Some(page) = met.offset.map(|offset| memory::BASE + offset) else {
            return self.abort(0, LeftFor::PoisonedAccess);
        };
        self.memory.lose(page, 12);
        let (pc, pstate) = (self.read(Register::Pc)?, self.read(Register::Pstate)?);
        if self.page_of(pc)? != Some(page) {
            return self.abort(page, LeftFor::PoisonedAccess);
        }
        // The instruction itself lies there: nothing but its fetch can have met the poison. KVM_SET_VCPU_EVENTS can make
        // data aborts alone.
        let syndrome = entry::sea_syndrome(entry::Access::Instruction, entry::is_el0(pstate), None);
        self.enter_vector(Kind::Synchronous, syndrome, Some(pc))?;
        self.board.delivered(page | (pc & 0xfff), syndrome, pc);
        Ok(())
    }

    /// Keeps the page whose poison the guest has met out of stage 2 for good, as a hole: from now on KVM leaves for it, or
    /// gives the abort by itself, and the host's memory failure handling has nothing more to do with it.
    fn keep_out(&mut self, met: Met) -> Result<(), String> {
        let Some(page) = met.offset.map(|offset| memory::BASE + offset) else {
            return Ok(());
        };
        // Without a slot for it the page stays as it is, and each access a SIGBUS.
        if self.memory.keep_out(page)? {
            self.board.kept_out(page);
        }
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

    /// Enters an exception where the guest stands, as the architecture does it.
    fn enter_vector(&self, kind: Kind, esr: u64, far: Option<u64>) -> Result<(), String> {
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
        let after = entry::enter(before, kind);
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
    pub(super) fn complete_access(&mut self) -> Result<(), String> {
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

    pub(super) fn read(&self, register: Register) -> Result<u64, String> {
        registers::get(&self.vcpu, register).map_err(|error| format!("reading {register:?}: {error}"))
    }
}
