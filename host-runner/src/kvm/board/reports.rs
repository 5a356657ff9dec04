//! Pages that the guest is told of before it touches them, and those that are out when it begins again.

use seawall_replay::IntermediateAddress;
use seawall_replay::reports::Report;
use seawall_replay::transcript::{Event, What};

use super::{Board, Cause, event};

impl Board {
    /// The page of this cause is out of stage 2 now, or fails and can be read still: the guest finds it reported.
    pub(crate) fn reported(&mut self, cause: Cause, failing: bool) {
        let report = Report {
            page: IntermediateAddress(cause.page()),
            failing,
        };
        self.pages.insert_new(cause.page(), cause);
        let what = match self.port.report(report) {
            true => What::Reported,
            // The guest asks for none, or too seldom.
            false => What::Refused,
        };
        self.note(Event {
            ipa: cause.page(),
            syndrome: report.to_word(),
            ..event(what, cause)
        });
    }

    /// Has the guest read the first page from this address on that something was done to, and not undone.
    pub(super) fn find_lost(&mut self, from: IntermediateAddress) {
        let first = self.pages.range(from.0..u64::MAX).next();
        let page = first.map(|(page, _)| IntermediateAddress(page));
        self.port.lost(page);
    }
}
