//! What the runner tells the init of a Linux that it compares with: one word of the kernel's command line, which the
//! kernel hands to init as an environment variable.

use seawall_replay::IntermediateAddress;
use seawall_replay::port::{Announcement, Window};

use crate::scenario::{Does, Inject};

/// The variable's name. The kernel gives init what it does not know itself, if the name has no dot.
pub(super) const NAME: &str = "SEAWALL_LINUX";
/// In place of orders: count what an abort costs.
pub(super) const BENCH: &str = "bench";

/// What a process of that Linux is to do, and how it announces it: as the guest's program would.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Orders {
    pub(super) does: Does,
    pub(super) window: Window,
    task: u16,
    number: u16,
}

impl Orders {
    /// Announces what `inject` waits for, in the name of the task in `slot`.
    pub(super) const fn of(does: Does, inject: &Inject, slot: u16) -> Self {
        Self {
            does,
            window: inject.at,
            task: slot,
            number: inject.checkpoint,
        }
    }

    /// The announcement of this page.
    pub(super) const fn announcement(self, page: u64) -> Announcement {
        Announcement {
            task: self.task,
            number: self.number,
            page: IntermediateAddress(page),
        }
    }

    /// As the variable's value.
    pub(super) fn encode(self) -> String {
        let window = self.window as u8;
        format!("{},{window},{},{}", self.does.word(), self.task, self.number)
    }

    /// From the variable's value.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        let orders = Self {
            does: Does::from_word(parts.next()?)?,
            window: Window::from_number(parts.next()?.parse().ok()?)?,
            task: parts.next()?.parse().ok()?,
            number: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(orders)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_come_back_as_they_went_and_nothing_else_is_taken() {
        let orders = Orders {
            does: Does::CopyIn,
            window: Window::User,
            task: 1,
            number: 7,
        };
        assert_eq!(orders.encode(), "copy-in,3,1,7");
        assert_eq!(Orders::decode("copy-in,3,1,7"), Some(orders));
        assert_eq!(orders.announcement(0x5123_4000).to_word(), 0x0010_0000_5123_4007);
        for wrong in [
            "",
            "bench",
            "copy-in,3,1",
            "copy-in,3,1,7,",
            "copy-in,9,1,7",
            "fly,3,1,7",
            "load,3,x,7",
        ] {
            assert_eq!(Orders::decode(wrong), None, "{wrong}");
        }
    }
}
