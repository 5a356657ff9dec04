//! What the board books of a VM that is under a budget.

use super::Board;
use crate::budget::{Account, Budget, Passed};

impl Board {
    /// The same under a budget; `known` are pages that were bad on a host before this one, and count no more.
    pub(crate) fn under(self, budget: Option<Budget>, known: impl IntoIterator<Item = u64>) -> Self {
        Self {
            account: budget.map(|budget| Account::new(budget).knowing(known)),
            ..self
        }
    }

    /// The limit of the VM's budget that is passed by now, if one is, and nothing is still to come that a save would lose.
    pub(crate) fn overdrawn(&self) -> Option<Passed> {
        let passed = self.account.as_ref()?.passed()?;
        (!self.waits_beside()).then_some(passed)
    }

    /// Books what the host has learnt: that the guest was given an abort, that a page of its memory is bad, or both.
    pub(super) fn book(&mut self, abort: bool, page: Option<u64>) {
        let now = self.since.elapsed();
        let page = page.filter(|page| self.memory.contains(page));
        if let Some(account) = &mut self.account {
            if let Some(page) = page {
                account.page(page);
            }
            if abort {
                account.abort(now);
            }
        }
    }
}
