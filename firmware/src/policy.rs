//! What becomes of a task that a memory error is charged to: the words for it, and the count of its restarts.
//!
//! A policy is `kill`, `isolate`, `restart:N` or `restart:N/WINDOW`, where a window is `10s` or `500ms`. Without a window
//! the N restarts are all there ever are; with one they are N within it, and it begins with the first of them: a restart
//! after its end begins another, as systemd's `StartLimitIntervalSec` has it. One restart more is a kill.
//!
//! A task that has registered a handler is asked first. `signal+` before a policy says so aloud, `nosignal+` says that
//! its handler is not asked.
//!
//! A program brings a policy of its own in an ELF note ([`NOTE_POLICY`](crate::calls::NOTE_POLICY)); one that is named
//! in the boot arguments stands instead of it, as a whole. Where neither says anything it is `kill`.

/// What becomes of the task itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Remedy {
    /// It is killed.
    #[default]
    Kill,
    /// It is stopped and kept.
    Isolate,
    /// It is killed and started again from its image, so many times at most.
    Restart(u32),
}

/// A longer window is refused: a day.
const LONGEST_WINDOW_MS: u32 = 86_400_000;

/// What its owner asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// What becomes of it.
    pub remedy: Remedy,
    /// In how many milliseconds the restarts count; 0 when they count for ever.
    pub window_ms: u32,
    /// Whether a handler that it has registered is asked first.
    pub asks_handler: bool,
}

impl Policy {
    /// Where nobody says anything.
    pub const DEFAULT: Self = Self {
        remedy: Remedy::Kill,
        window_ms: 0,
        asks_handler: true,
    };

    /// Reads a policy; nothing when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        let (asks_handler, text) = match text.strip_prefix(b"nosignal+") {
            Some(rest) => (false, rest),
            None => (true, text.strip_prefix(b"signal+").unwrap_or(text)),
        };
        let policy = |remedy, window_ms| Self {
            remedy,
            window_ms,
            asks_handler,
        };
        match text {
            b"kill" => return Some(policy(Remedy::Kill, 0)),
            b"isolate" => return Some(policy(Remedy::Isolate, 0)),
            _ => {}
        }
        let (limit, rest) = number(text.strip_prefix(b"restart:")?)?;
        let window_ms = match rest {
            [] => 0,
            [b'/', window @ ..] => window_of(window)?,
            _ => return None,
        };
        Some(policy(Remedy::Restart(limit), window_ms))
    }

    /// The window in ticks of a counter; 0 when there is none.
    #[must_use]
    pub const fn window(&self, ticks_a_second: u64) -> u64 {
        (self.window_ms as u64).saturating_mul(ticks_a_second) / 1000
    }
}

fn window_of(text: &[u8]) -> Option<u32> {
    let milliseconds = match number(text)? {
        (number, b"ms") => number,
        (number, b"s") => number.checked_mul(1000)?,
        _ => return None,
    };
    (1..=LONGEST_WINDOW_MS)
        .contains(&milliseconds)
        .then_some(milliseconds)
}

/// The digits at the beginning, at least one, and what follows.
#[inline(never)]
fn number(text: &[u8]) -> Option<(u32, &[u8])> {
    let (mut value, mut rest) = (None, text);
    while let [digit @ b'0'..=b'9', tail @ ..] = rest {
        let higher = value.unwrap_or(0_u32).checked_mul(10)?;
        value = Some(higher.checked_add(u32::from(digit - b'0'))?);
        rest = tail;
    }
    Some((value?, rest))
}

/// How often a task was started again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Restarts {
    /// In all its life.
    pub total: u32,
    /// In the window that runs.
    within: u32,
    /// When that began, in ticks.
    since: u64,
}

impl Restarts {
    /// None so far.
    pub const NONE: Self = Self {
        total: 0,
        within: 0,
        since: 0,
    };

    /// How many are left of `limit` in a window of so many ticks, 0 being for ever.
    #[inline]
    #[must_use]
    pub const fn left(&self, limit: u32, window: u64, now: u64) -> u32 {
        if self.is_past(window, now) {
            limit
        } else {
            limit.saturating_sub(self.within)
        }
    }

    /// One more.
    #[inline]
    pub const fn count(&mut self, window: u64, now: u64) {
        if self.within == 0 || self.is_past(window, now) {
            self.within = 0;
            self.since = now;
        }
        self.within = self.within.saturating_add(1);
        self.total = self.total.saturating_add(1);
    }

    const fn is_past(&self, window: u64, now: u64) -> bool {
        window != 0 && now.wrapping_sub(self.since) >= window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_of_a_policy_is_read() {
        let policy = |remedy, window_ms, asks_handler| {
            Some(Policy {
                remedy,
                window_ms,
                asks_handler,
            })
        };
        for (text, read) in [
            ("kill", policy(Remedy::Kill, 0, true)),
            ("isolate", policy(Remedy::Isolate, 0, true)),
            ("restart:3", policy(Remedy::Restart(3), 0, true)),
            ("restart:3/10s", policy(Remedy::Restart(3), 10_000, true)),
            ("restart:1/1ms", policy(Remedy::Restart(1), 1, true)),
            ("signal+kill", policy(Remedy::Kill, 0, true)),
            ("nosignal+isolate", policy(Remedy::Isolate, 0, false)),
            (
                "nosignal+restart:2/86400s",
                policy(Remedy::Restart(2), 86_400_000, false),
            ),
        ] {
            assert_eq!(Policy::parse(text), read, "{text}");
        }
        assert_eq!(Policy::parse("kill"), Some(Policy::DEFAULT));
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for text in [
            "",
            "heal",
            "restart",
            "restart:",
            "restart:x",
            "restart:-1",
            "restart:+1",
            "restart:3s",
            "restart:4294967296",
            "restart:3/",
            "restart:3/0s",
            "restart:3/10",
            "restart:3/10m",
            "restart:3/86401s",
            "restart:3/4294968s",
            "restart:3/10s/10s",
            "kill/10s",
            "isolate/10s",
            "signal",
            "signal+",
            "signals+kill",
            "signal+signal+kill",
            "+kill",
            "kill ",
        ] {
            assert_eq!(Policy::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_window_is_in_ticks_and_does_not_overflow() {
        let policy = |text| Policy::parse(text).unwrap();
        assert_eq!(policy("restart:3/10s").window(62_500_000), 625_000_000);
        assert_eq!(policy("restart:3/500ms").window(62_500_000), 31_250_000);
        assert_eq!(policy("restart:3").window(62_500_000), 0);
        assert_eq!(policy("restart:3/86400s").window(u64::MAX), u64::MAX / 1000);
    }

    #[test]
    fn within_its_window_the_limit_holds_and_after_it_counts_anew() {
        let mut restarts = Restarts::NONE;
        assert_eq!(restarts.left(2, 100, 1_000_000), 2);
        restarts.count(100, 1000);
        assert_eq!(restarts.left(2, 100, 1099), 1);
        restarts.count(100, 1099);
        assert_eq!(restarts.left(2, 100, 1099), 0, "the third within 100 ticks");
        // The window began with the first and not with the last.
        assert_eq!(restarts.left(2, 100, 1100), 2);
        restarts.count(100, 1100);
        assert_eq!(restarts.left(2, 100, 1199), 1);
        assert_eq!(restarts.left(2, 100, 1200), 2);
        assert_eq!(restarts.total, 3);
    }

    #[test]
    fn without_a_window_the_limit_is_for_ever() {
        let mut restarts = Restarts::NONE;
        restarts.count(0, 5);
        assert_eq!(restarts.left(2, 0, u64::MAX), 1);
        restarts.count(0, 9);
        assert_eq!(restarts.left(2, 0, u64::MAX), 0);
        assert_eq!(restarts.left(1, 0, u64::MAX), 0, "fewer than there were");
    }
}
