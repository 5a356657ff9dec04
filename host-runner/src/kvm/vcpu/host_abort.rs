//! Aborts that the host takes: how one is brought about in the lab, and how each is replayed into the guest.

use seawall_replay::entry;

use super::LeftFor;
use crate::kvm::board::Cause;
use crate::kvm::machine::Machine;
use crate::kvm::sea::{self, Replay};
use crate::kvm::uapi::{ArmSea, Register};

impl Machine {
    /// Has the next access to the announced page be an abort that the host takes; the guest stands at the announcement.
    ///
    /// The page leaves stage 2, so that the access has to walk it, and the lab's outside sees to it that the walk fails.
    pub(super) fn put_out_of_reach(&mut self, cause: Cause) -> Result<(), String> {
        let pc = self.read(Register::Pc)?;
        // The instruction that announced was just fetched, so stage 2 leads to its page: that shows which stage 2 it is.
        let known = self
            .page_of(pc)?
            .ok_or_else(|| format!("the guest's own tables do not lead to {pc:#x}"))?;
        let host = self.memory.host_address(known)?;
        self.memory.discard(cause.page())?;
        let outside = self.outside.as_ref().ok_or("nobody is outside to ask")?;
        outside.break_at(cause.page(), known, host.addr())?;
        self.board.out_of_reach(cause);
        Ok(())
    }

    /// Gives the guest the abort that the host took for it.
    pub(super) fn replay(&mut self, taken: ArmSea) -> Result<(), String> {
        let page = match (taken.gpa, taken.gva) {
            (Some(gpa), _) => Some(gpa & !0xfff),
            // What the lab puts out of reach is whole. Elsewhere the table that the hardware could not read is not read here.
            (None, Some(gva)) if self.outside.is_some() || !sea::is_on_walk(taken) => self.page_of(gva)?,
            (None, _) => None,
        };
        // First of all, as the host's own kernel may walk there too.
        if let Some(outside) = &self.outside {
            outside.mend(page)?;
        }
        self.board.host_abort(taken, page);
        let from_el0 = entry::is_el0(self.read(Register::Pstate)?);
        let ipa = page.map_or(0, |page| page | (taken.gva.unwrap_or(0) & 0xfff));
        match sea::replay(taken, from_el0).map_err(|error| error.to_string())? {
            Replay::Events => self.abort(ipa, LeftFor::HostAbort),
            Replay::Registers { esr, far } => {
                self.enter_vector(entry::Kind::Synchronous, esr, far)?;
                // Read back: what counts is what the guest will see.
                let (syndrome, address) = (self.read(Register::EsrEl1)?, self.read(Register::FarEl1)?);
                self.board.delivered(ipa, syndrome, address);
                Ok(())
            }
        }
    }
}
