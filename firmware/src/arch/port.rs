//! The replay port, from the guest's side.

use seawall_agent::address::IntermediateAddress;
use seawall_replay::port::{Announcement, End, MAGIC, Register, VERSION, Window as State};

use seawall_replay::reports::Report;

use super::device::Window;

/// A replay port that answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Port {
    window: Window,
    base: u64,
}

impl Port {
    /// The port at this mapping, if its magic and version are right.
    pub(crate) fn open(window: Window, base: u64) -> Option<Self> {
        let port = Self { window, base };
        let known = window.read64(Register::Magic.offset()) == MAGIC
            && window.read64(Register::Version.offset()) == VERSION;
        known.then_some(port)
    }

    /// The physical address of the page that programs may write.
    pub(crate) const fn user_page(self) -> u64 {
        self.base + seawall_replay::port::USER_PAGE
    }

    #[inline]
    pub(crate) fn announce(self, state: State, announcement: Announcement) {
        self.window
            .write64(state.register().offset(), announcement.to_word());
    }

    /// How many errors are still to be drawn.
    pub(crate) fn left(self) -> u64 {
        self.window.read64(Register::Left.offset())
    }

    pub(crate) fn name_journal(self, address: IntermediateAddress, bytes: u64) {
        self.window.write64(Register::JournalAddress.offset(), address.0);
        self.window.write64(Register::JournalLength.offset(), bytes);
    }

    /// The oldest report of an error that nobody has consumed; it is gone from the port then.
    pub(crate) fn next_report(self) -> Option<Report> {
        Report::from_word(self.window.read64(Register::Patrol.offset()))
    }

    /// The first page from this address on that is out.
    pub(crate) fn lost_from(self, address: u64) -> Option<IntermediateAddress> {
        self.window.write64(Register::LostFrom.offset(), address);
        Report::from_word(self.window.read64(Register::Lost.offset()))
            .map(|report| IntermediateAddress(report.page.0))
    }

    pub(crate) fn end(self, end: End) {
        self.window.write64(Register::End.offset(), end.to_word());
    }
}
