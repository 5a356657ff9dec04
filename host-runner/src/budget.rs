//! The budget of a VM: how much bad memory it may meet on one host before it is better off on another.
//!
//! The account counts what the host learns of: distinct pages that aborted an access of the guest's or that the host told
//! of, and aborts within a span of time. What KVM or the hardware gives to the guest without a word to the VMM is not in
//! it. Plain arithmetic, tested on every host; `kvm` keeps the account, and evacuates the VM when it is overdrawn.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::render::counted;

/// What a VM may meet on one host; what is `None` has no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Budget {
    /// Distinct poisoned pages.
    pub pages: Option<u32>,
    /// Aborts over time.
    pub aborts: Option<Rate>,
}

/// So many within any span of this length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// Within how long, in whole seconds.
    pub window: Duration,
}

/// A day: what happened longer ago says nothing about now.
const LONGEST_WINDOW: u64 = 86_400;
/// More than this is no limit. It also bounds what an account remembers.
const MOST: u32 = 1_000_000;

/// Why a text is not a budget.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BudgetError(String);

impl fmt::Display for BudgetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; a budget is such as pages=4,aborts=10/60s", self.0)
    }
}

impl std::error::Error for BudgetError {}

fn number(text: &str) -> Result<u32, BudgetError> {
    text.parse()
        .ok()
        .filter(|number| *number <= MOST)
        .ok_or_else(|| BudgetError(format!("`{text}` is no number from 0 to {MOST}")))
}

impl FromStr for Rate {
    type Err = BudgetError;

    /// `10/60s`: ten within sixty seconds.
    fn from_str(text: &str) -> Result<Self, BudgetError> {
        let parts = text.split_once('/');
        let (count, window) = parts.ok_or_else(|| BudgetError(format!("`{text}` is no rate")))?;
        let seconds: Option<u64> = window.strip_suffix('s').and_then(|digits| digits.parse().ok());
        let seconds = seconds.filter(|seconds| (1..=LONGEST_WINDOW).contains(seconds));
        let seconds = seconds
            .ok_or_else(|| BudgetError(format!("`{window}` is no span of 1s to {LONGEST_WINDOW}s")))?;
        Ok(Self {
            count: number(count)?,
            window: Duration::from_secs(seconds),
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}s", self.count, self.window.as_secs())
    }
}

impl FromStr for Budget {
    type Err = BudgetError;

    fn from_str(text: &str) -> Result<Self, BudgetError> {
        let mut budget = Self::default();
        for part in text.split(',') {
            match part.split_once('=') {
                Some(("pages", pages)) if budget.pages.is_none() => budget.pages = Some(number(pages)?),
                Some(("aborts", rate)) if budget.aborts.is_none() => budget.aborts = Some(rate.parse()?),
                Some((name @ ("pages" | "aborts"), _)) => {
                    return Err(BudgetError(format!("`{name}` is there twice")));
                }
                _ => return Err(BudgetError(format!("`{part}` is neither pages nor aborts"))),
            }
        }
        Ok(budget)
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pages = self.pages.map(|pages| format!("pages={pages}"));
        let aborts = self.aborts.map(|rate| format!("aborts={rate}"));
        let parts: Vec<String> = pages.into_iter().chain(aborts).collect();
        f.write_str(&parts.join(","))
    }
}

/// A limit that was passed, and by what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passed {
    /// More distinct pages than this.
    Pages {
        /// How many there are.
        pages: u32,
        /// How many there may be.
        limit: u32,
    },
    /// More aborts within the span than this.
    Aborts {
        /// The limit.
        limit: Rate,
    },
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pages { pages, limit } => write!(
                f,
                "{}; the budget allows {limit}",
                counted((*pages).into(), "poisoned page")
            ),
            Self::Aborts { limit } => write!(
                f,
                "more than {} within {} s",
                counted(limit.count.into(), "abort"),
                limit.window.as_secs()
            ),
        }
    }
}

/// What one VM has met on this host.
#[derive(Clone, Debug)]
pub struct Account {
    budget: Budget,
    pages: BTreeSet<u64>,
    known: BTreeSet<u64>,
    // No more of them than make the limit passed.
    recent: VecDeque<Duration>,
}

impl Account {
    /// Nothing met yet.
    #[must_use]
    pub const fn new(budget: Budget) -> Self {
        Self {
            budget,
            pages: BTreeSet::new(),
            known: BTreeSet::new(),
            recent: VecDeque::new(),
        }
    }

    /// The same, where these pages are known to be bad, and count no more.
    #[must_use]
    pub fn knowing(self, pages: impl IntoIterator<Item = u64>) -> Self {
        Self {
            known: pages.into_iter().map(|page| page >> 12).collect(),
            ..self
        }
    }

    /// The page at this IPA is bad.
    pub fn page(&mut self, ipa: u64) {
        if self.known.contains(&(ipa >> 12)) {
            return;
        }
        let room = self.budget.pages.unwrap_or(MOST);
        if self.pages.len() <= usize::try_from(room).unwrap_or(usize::MAX) {
            self.pages.insert(ipa >> 12);
        }
    }

    /// The guest was given an abort, at this time since any fixed moment.
    pub fn abort(&mut self, now: Duration) {
        let Some(rate) = self.budget.aborts else { return };
        self.recent.push_back(now);
        while self
            .recent
            .front()
            .is_some_and(|then| now.saturating_sub(*then) >= rate.window)
        {
            self.recent.pop_front();
        }
        while self.recent.len()
            > usize::try_from(rate.count)
                .unwrap_or(usize::MAX)
                .saturating_add(1)
        {
            self.recent.pop_front();
        }
    }

    /// The limit that is passed, if one is.
    #[must_use]
    pub fn passed(&self) -> Option<Passed> {
        let pages = u32::try_from(self.pages.len()).unwrap_or(u32::MAX);
        if let Some(limit) = self.budget.pages.filter(|limit| pages > *limit) {
            return Some(Passed::Pages { pages, limit });
        }
        let recent = u32::try_from(self.recent.len()).unwrap_or(u32::MAX);
        let limit = self.budget.aborts.filter(|rate| recent > rate.count)?;
        Some(Passed::Aborts { limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Rate = Rate {
        count: 2,
        window: Duration::from_secs(60),
    };

    #[test]
    fn a_budget_is_read_as_it_is_written() {
        let whole = Budget {
            pages: Some(4),
            aborts: Some(MINUTE),
        };
        assert_eq!("pages=4,aborts=2/60s".parse(), Ok(whole));
        assert_eq!("aborts=2/60s,pages=4".parse(), Ok(whole));
        assert_eq!(whole.to_string(), "pages=4,aborts=2/60s");
        let pages = Budget {
            pages: Some(0),
            aborts: None,
        };
        assert_eq!("pages=0".parse(), Ok(pages));
        assert_eq!(pages.to_string(), "pages=0");
    }

    #[test]
    fn what_is_no_budget_is_told_with_one_that_is() {
        for (wrong, why) in [
            ("", "`` is neither pages nor aborts"),
            ("4", "`4` is neither pages nor aborts"),
            ("pages", "`pages` is neither pages nor aborts"),
            ("pages=", "`` is no number from 0 to 1000000"),
            ("pages=-1", "`-1` is no number from 0 to 1000000"),
            ("pages=1000001", "`1000001` is no number from 0 to 1000000"),
            ("pages=1,pages=2", "`pages` is there twice"),
            ("aborts=3", "`3` is no rate"),
            ("aborts=3/60", "`60` is no span of 1s to 86400s"),
            ("aborts=3/0s", "`0s` is no span of 1s to 86400s"),
            ("aborts=3/86401s", "`86401s` is no span of 1s to 86400s"),
            ("pages=1,", "`` is neither pages nor aborts"),
        ] {
            let error = wrong.parse::<Budget>().unwrap_err().to_string();
            assert_eq!(error, format!("{why}; a budget is such as pages=4,aborts=10/60s"));
        }
    }

    #[test]
    fn a_page_counts_once_and_the_limit_itself_is_allowed() {
        let mut account = Account::new("pages=2".parse().unwrap());
        for ipa in [0x8000_1000, 0x8000_1040, 0x8000_2000, 0x8000_1fff] {
            account.page(ipa);
        }
        assert_eq!(account.passed(), None);
        account.page(0x8000_3000);
        assert_eq!(account.passed(), Some(Passed::Pages { pages: 3, limit: 2 }));
    }

    #[test]
    fn a_page_that_was_bad_before_counts_no_more() {
        let mut account = Account::new("pages=0".parse().unwrap()).knowing([0x8000_1000]);
        account.page(0x8000_1040);
        assert_eq!(account.passed(), None);
        account.page(0x8000_2000);
        assert_eq!(account.passed(), Some(Passed::Pages { pages: 1, limit: 0 }));
    }

    #[test]
    fn aborts_count_within_their_span_alone() {
        let seconds = Duration::from_secs;
        let mut account = Account::new("aborts=2/60s".parse().unwrap());
        for now in [0, 30, 60, 91, 121] {
            account.abort(seconds(now));
            assert_eq!(account.passed(), None, "{now}");
        }
        account.abort(seconds(122));
        account.page(0x8000_0000);
        assert_eq!(account.passed(), Some(Passed::Aborts { limit: MINUTE }));
    }

    #[test]
    fn what_an_account_remembers_is_bounded_by_its_limits() {
        let mut account = Account::new("pages=3,aborts=5/60s".parse().unwrap());
        for number in 0..10_000_u64 {
            account.page(number << 12);
            account.abort(Duration::ZERO);
        }
        assert_eq!((account.pages.len(), account.recent.len()), (4, 6));
    }
}
