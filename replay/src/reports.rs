//! Reports of memory errors that nobody has consumed: what a patrol scrubber has found, until the guest asks for it.
//!
//! A report is the address of its page, with [`IS_REPORT`] set, and [`IS_FAILING`] where the page can be read still. They
//! are given in the order in which they were made, each once.

use crate::IntermediateAddress;

/// Set in every report, so that zero is none.
pub const IS_REPORT: u64 = 1 << 0;
/// The page can be read still, and its corrected errors say that it will be lost: time to move what is in it.
pub const IS_FAILING: u64 = 1 << 1;
/// More than this that nobody has asked for find no room.
pub const MOST: usize = 64;

const PAGE: u64 = 0x000f_ffff_ffff_f000;

/// What was found about a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// The page.
    pub page: IntermediateAddress,
    /// It can be read still.
    pub failing: bool,
}

impl Report {
    /// As one register read.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        let failing = if self.failing { IS_FAILING } else { 0 };
        self.page.0 & PAGE | failing | IS_REPORT
    }

    /// From one register read; `None` where there is none. Other bits mean nothing yet.
    #[must_use]
    pub const fn from_word(word: u64) -> Option<Self> {
        if word & IS_REPORT == 0 {
            return None;
        }
        Some(Self {
            page: IntermediateAddress(word & PAGE),
            failing: word & IS_FAILING != 0,
        })
    }
}

/// Reports that the guest has not asked for yet.
#[derive(Clone, Debug)]
pub struct Reports {
    words: [u64; MOST],
    count: usize,
}

impl Reports {
    /// None.
    pub const NONE: Self = Self {
        words: [0; MOST],
        count: 0,
    };

    /// Adds one; false when there is no room for it.
    #[must_use]
    pub fn add(&mut self, report: Report) -> bool {
        let Some(place) = self.words.get_mut(self.count) else {
            return false;
        };
        *place = report.to_word();
        self.count = self.count.saturating_add(1);
        true
    }

    /// Takes the oldest, as a register reads it: zero when there is none.
    pub fn take(&mut self) -> u64 {
        let Some(rest) = self.count.checked_sub(1) else {
            return 0;
        };
        self.count = rest;
        self.words.rotate_left(1);
        self.words.last_mut().map_or(0, core::mem::take)
    }

    /// Those that wait, oldest first.
    #[must_use]
    pub fn waiting(&self) -> &[u64] {
        self.words.get(..self.count).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATENT: Report = Report {
        page: IntermediateAddress(0x8000_1000),
        failing: false,
    };

    #[test]
    fn a_report_is_one_word_and_zero_is_none() {
        assert_eq!(LATENT.to_word(), 0x8000_1001);
        let failing = Report {
            failing: true,
            ..LATENT
        };
        assert_eq!(failing.to_word(), 0x8000_1003);
        for report in [LATENT, failing] {
            assert_eq!(Report::from_word(report.to_word()), Some(report));
        }
        assert_eq!([0, 0x8000_1000, 2].map(Report::from_word), [None; 3]);
        assert_eq!(Report::from_word(0xfff0_0000_8000_1ffd), Some(LATENT));
    }

    #[test]
    fn reports_are_given_once_in_order_and_no_more_than_there_is_room_for() {
        let mut reports = Reports::NONE;
        let of = |page: u64| Report {
            page: IntermediateAddress(page << 12),
            failing: false,
        };
        assert_eq!(reports.take(), 0);
        for page in 1..=64 {
            assert!(reports.add(of(page)));
        }
        assert!(!reports.add(of(65)));
        assert_eq!((reports.take(), reports.waiting().len()), (0x1001, 63));
        assert!(reports.add(of(65)));
        for page in 2..=65 {
            assert_eq!(reports.take(), page << 12 | 1);
        }
        assert_eq!((reports.take(), reports.waiting().len()), (0, 0));
    }
}
