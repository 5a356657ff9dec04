//! Pages that the guest is told of before it touches them, and those that are out when it begins again.

use seawall_replay::IntermediateAddress;
use seawall_replay::reports::Report;
use seawall_replay::transcript::{Event, What};

use super::{Board, Cause, event};
use crate::saved::Lives;

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

    /// Whether the guest has said that it begins again, and may.
    pub(crate) fn wants_reboot(&self) -> bool {
        self.reboots && self.earlier.len() < Lives::MOST
    }

    /// Where the journal is of the life that ends.
    pub(crate) const fn journal(&self) -> Option<&std::ops::Range<u64>> {
        self.journal.as_ref()
    }

    /// The guest begins again; what the life before left in its journal is kept.
    pub(crate) fn rebooted(&mut self, journal: Vec<u8>) {
        let start = self.journal.take().map_or(0, |range| range.start);
        self.note(Event {
            ipa: start,
            syndrome: journal.len() as u64,
            ..Event::of(What::Rebooted)
        });
        self.earlier.push(journal);
        self.reboots = false;
        self.port.reboot();
    }
}
