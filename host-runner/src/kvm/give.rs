//! What a vCPU is given by `KVM_SET_VCPU_EVENTS`: checked before, and read back after.

use kvm_bindings::{kvm_vcpu_events, kvm_vcpu_events__bindgen_ty_1};
use seawall_replay::entry;

use super::board::{Answer, Cause};
use super::events::{self, Circumstance, LeftFor};
use super::machine::Machine;
use super::read_back::{self, Stood};
use super::uapi::{Register, VcpuEvents};

impl Machine {
    /// Does what the plan has for the moment before the guest's first instruction.
    pub(super) fn begin(&mut self) -> Result<(), String> {
        match self.board.start() {
            Answer::Pend(cause, syndrome) => {
                self.give(events::serror(syndrome), LeftFor::Nothing)?;
                self.board.pended(cause, syndrome);
                Ok(())
            }
            Answer::Done => Ok(()),
            other => Err(format!(
                "before the first instruction there is nothing to do as {other:?}"
            )),
        }
    }

    /// Pends an SError; the guest stands at the announcement.
    ///
    /// The announcement's store is completed first. Since Linux 6.17 an SError that is not masked is taken inside the call,
    /// and the access forgotten: the guest would return to the store and announce again.
    pub(super) fn pend(&mut self, cause: Cause, syndrome: Option<u32>) -> Result<(), String> {
        self.complete_access()?;
        self.give(events::serror(syndrome), LeftFor::Nothing)?;
        self.board.pended(cause, syndrome);
        Ok(())
    }

    /// Answers the access that the vCPU left for with a synchronous external abort.
    pub(super) fn abort(&mut self, ipa: u64, left_for: LeftFor) -> Result<(), String> {
        let pstate = self.read(Register::Pstate)?;
        let beside = self.board.beside(ipa);
        let wanted = match beside {
            Some((_, syndrome)) => events::both(syndrome),
            None => events::data_abort(),
        };
        self.give(wanted, left_for)?;
        // KVM has written the syndrome by now, whether or not it has moved the PC too; the one that it should give is for a
        // host that hides it.
        let expected = entry::sea_syndrome(entry::Access::Data, entry::is_el0(pstate), None);
        let syndrome = self.read(Register::EsrEl1).unwrap_or(expected);
        let address = self.read(Register::FarEl1)?;
        self.board.delivered(ipa, syndrome, address);
        if let Some((cause, syndrome)) = beside {
            self.board.pended(cause, Some(syndrome));
        }
        Ok(())
    }

    /// Gives KVM events, and looks whether it has them.
    pub(super) fn give(&self, wanted: VcpuEvents, left_for: LeftFor) -> Result<(), String> {
        let now = Circumstance {
            initialised: true,
            syndromes: self.abilities.syndromes,
            data_aborts: true,
            left_for,
        };
        let checked = events::check(wanted, now).map_err(|error| error.to_string())?;
        let before = Stood {
            events: self.events()?,
            pstate: self.read(Register::Pstate)?,
        };
        self.vcpu
            .set_vcpu_events(&bound(checked.events()))
            .map_err(|error| format!("KVM_SET_VCPU_EVENTS: {error}"))?;
        let esr = self.read(Register::EsrEl1)?;
        read_back::check(
            checked.events(),
            before,
            &self.events()?,
            esr,
            self.abilities.syndromes,
        )
        .map_err(|reason| format!("KVM_GET_VCPU_EVENTS: {reason}"))
    }

    fn events(&self) -> Result<VcpuEvents, String> {
        let read = self
            .vcpu
            .get_vcpu_events()
            .map_err(|error| format!("KVM_GET_VCPU_EVENTS: {error}"))?;
        Ok(VcpuEvents {
            serror_pending: read.exception.serror_pending,
            serror_has_esr: read.exception.serror_has_esr,
            ext_dabt_pending: read.exception.ext_dabt_pending,
            pad: read.exception.pad,
            serror_esr: read.exception.serror_esr,
            reserved: read.reserved,
        })
    }
}

/// The same events as kvm-bindings has them.
pub(super) fn bound(events: &VcpuEvents) -> kvm_vcpu_events {
    let VcpuEvents {
        serror_pending,
        serror_has_esr,
        ext_dabt_pending,
        pad,
        serror_esr,
        reserved,
    } = *events;
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
