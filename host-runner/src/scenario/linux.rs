//! What Linux does with the same error, as a scenario claims it: `[expect.linux]`, held against a Linux that was run.

use std::ops::Range;

use seawall_replay::port::Window;
use toml::Spanned;

use super::check::Checker;
use super::raw::RawLinux;
use super::words::{Word, word};
use super::{Inject, Platform};

/// What a process of Linux does once it has announced its page, and what the guest's program does in its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Does {
    /// It runs on in EL0, and looks whether its registers and memory are as they were.
    Run,
    /// It loads from the page.
    Load,
    /// It stores to the page.
    Store,
    /// It calls a function in the page.
    Fetch,
    /// It has the kernel read the page: write(2).
    CopyIn,
    /// It has the kernel write the page: read(2).
    CopyOut,
    /// It stores to the page, which it shares with a child until then.
    CopyOnWrite,
    /// It waits on a futex in the page.
    Futex,
    /// It has the kernel announce, by a store to user memory in the midst of a call: what is pended then meets the kernel.
    Call,
}

impl Word for Does {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("run", Self::Run),
        ("load", Self::Load),
        ("store", Self::Store),
        ("fetch", Self::Fetch),
        ("copy-in", Self::CopyIn),
        ("copy-out", Self::CopyOut),
        ("copy-on-write", Self::CopyOnWrite),
        ("futex", Self::Futex),
        ("call", Self::Call),
    ];
}

impl Does {
    /// The word that scenarios use.
    #[must_use]
    pub fn word(self) -> &'static str {
        word(self)
    }

    /// What this word means.
    #[must_use]
    pub fn from_word(text: &str) -> Option<Self> {
        Self::WORDS
            .iter()
            .find(|(known, _)| *known == text)
            .map(|(_, value)| *value)
    }
}

/// How it ends, best first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinuxOutcome {
    /// The process goes on as if nothing had been.
    CarriesOn,
    /// The call fails, and the process goes on.
    Error,
    /// The process gets SIGBUS.
    SigBus,
    /// The process is killed by SIGKILL, which it cannot handle.
    SigKill,
    /// The kernel itself faults and loses the process in the midst of what it did, locks and all; it does not stop there.
    Oops,
    /// The kernel stops, and all its processes with it.
    Panic,
}

impl Word for LinuxOutcome {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("carries-on", Self::CarriesOn),
        ("error", Self::Error),
        ("sigbus", Self::SigBus),
        ("sigkill", Self::SigKill),
        ("oops", Self::Oops),
        ("panic", Self::Panic),
    ];
}

impl LinuxOutcome {
    /// The word that scenarios and reports use.
    #[must_use]
    pub fn word(self) -> &'static str {
        word(self)
    }
}

/// What Linux is to do, and what must come of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExpectedLinux {
    /// What the process does.
    pub does: Does,
    /// How it ends.
    pub outcome: LinuxOutcome,
    /// Whether the kernel is started with `oops=panic`, as those do who want a crash dump of whatever goes wrong.
    pub panic_on_oops: bool,
}

impl Checker {
    /// Linux announces what it does by a store, once, and has a page of plain memory to touch.
    pub(super) fn linux(
        &mut self,
        raw: Spanned<RawLinux>,
        injections: &[Inject],
        platforms: &[Platform],
    ) -> Option<ExpectedLinux> {
        let span = raw.span();
        let raw = raw.into_inner();
        let does = self.word(&raw.does, "thing for Linux to do");
        let outcome = self.word(&raw.outcome, "result in Linux");
        self.fits(&span, does, injections, platforms);
        Some(ExpectedLinux {
            does: does?,
            outcome: outcome?,
            panic_on_oops: raw.panic_on_oops.unwrap_or(false),
        })
    }

    fn fits(
        &mut self,
        span: &Range<usize>,
        does: Option<Does>,
        injections: &[Inject],
        platforms: &[Platform],
    ) {
        if !platforms.contains(&Platform::Qemu) {
            let message = "Linux is compared on the backend qemu alone, and this scenario is not for it";
            let help = Some("remove [expect.linux], or have `qemu` among `backends`".to_owned());
            self.problem(span.clone(), message.into(), help);
        }
        let windows: &[Window] = match does {
            Some(Does::Call) => &[Window::Copy, Window::Kernel],
            _ => &[Window::Checkpoint, Window::User],
        };
        let announced = |inject: &Inject| windows.contains(&inject.at) && inject.skip == 0;
        if !matches!(injections, [only] if announced(only)) {
            let message = "Linux announces one thing, once, and this scenario injects otherwise";
            let words: Vec<_> = windows
                .iter()
                .map(|window| format!("`{}`", word(*window)))
                .collect();
            let words = words.join(" or ");
            let help =
                format!("remove [expect.linux], or have one injection alone, at {words}, without `skip`");
            self.problem(span.clone(), message.into(), Some(help));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::diagnose::Problem;
    use super::super::parse;
    use super::super::tests::GOOD;
    use super::{Does, LinuxOutcome};

    const CLAIM: &str = "\n[expect.linux]\ndoes = \"copy-in\"\noutcome = \"panic\"\npanic_on_oops = true\n";

    #[test]
    fn a_claim_about_linux_is_read() {
        let scenario = parse("s.toml", &format!("{GOOD}{CLAIM}")).unwrap();
        let expected = scenario.expect_linux.unwrap();
        assert_eq!(
            (expected.does, expected.outcome),
            (Does::CopyIn, LinuxOutcome::Panic)
        );
        assert!(expected.panic_on_oops);
        assert!(parse("s.toml", GOOD).unwrap().expect_linux.is_none());
    }

    #[test]
    fn what_linux_cannot_be_had_to_do_is_refused_with_its_place() {
        let text = format!("{GOOD}{CLAIM}");
        for (from, to, told) in [
            ("copy-in", "copyin", "did you mean `copy-in`?"),
            ("\"panic\"", "\"burn\"", "is not a result in Linux"),
            (
                "route = \"hole\"",
                "route = \"hole\"\nskip = 1",
                "Linux announces one thing",
            ),
            (
                "checkpoint = 1",
                "at = \"border\"\ncheckpoint = 1",
                "Linux announces one thing",
            ),
            (
                "[guest]",
                "backends = [\"kvm\"]\n[guest]",
                "on the backend qemu alone",
            ),
            (
                "route = \"hole\"",
                "at = \"copy\"\nroute = \"hole\"",
                "remove [expect.linux], or have one injection alone, at `checkpoint` or `user`",
            ),
            (
                "[guest]",
                "backends = [\"kvm\"]\n[guest]",
                "remove [expect.linux], or have `qemu`",
            ),
        ] {
            let wrong = parse("s.toml", &text.replacen(from, to, 1)).expect_err(to);
            let told_of = |problem: &Problem| {
                problem.message.contains(told)
                    || problem.help.as_ref().is_some_and(|help| help.contains(told))
            };
            assert!(wrong.problems.iter().any(told_of), "{to}: {wrong}");
        }
    }
}
