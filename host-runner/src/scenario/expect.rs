//! What a scenario may expect: the checks of its `[expect]`.

use std::collections::BTreeMap;

use toml::Spanned;

use super::check::Checker;
use super::raw::{Number, RawAbort, RawBefore, RawExpect, RawFar, RawTold};
use super::{
    BYSTANDER, Before, Cause, Decision, Expect, ExpectedAbort, ExpectedMapping, ExpectedPending,
    ExpectedTold, Far, FinalState, Frame, Guest, GuestEnd, Level, PROGRAMS, Severity,
};

impl Checker {
    pub(super) fn expect(&mut self, raw: RawExpect, guest: &Guest) -> Expect {
        let reachable = reachable(guest);
        let end = self.word(&raw.end, "end").unwrap_or(GuestEnd::Done);
        let end_span = raw.end.span();
        let aborts: Vec<ExpectedAbort> = raw
            .abort
            .into_iter()
            .map(|abort| self.abort(abort, &reachable))
            .collect();
        let pending = raw.pending.iter().map(|pending| ExpectedPending {
            serror: pending.serror,
            handled: self
                .ranged(Some(&pending.handled), "handled", 0..=100_000, 0)
                .into(),
        });
        let pending = pending.collect();
        let mapping = raw.mapping.iter().map(|mapping| ExpectedMapping {
            esr: self.syndrome(Some(&mapping.esr)),
            sound: self.ranged(Some(&mapping.sound), "sound", 0..=511, 511).into(),
        });
        let mapping = mapping.collect();
        let told = raw.told.into_iter().map(|told| self.told(told, &reachable));
        let told = told.collect();
        let mut tasks = BTreeMap::new();
        for (program, state) in raw.tasks {
            self.task(&program, reachable.iter().copied());
            if let Some(state) = self.word::<FinalState>(&state, "state of a task") {
                tasks.insert(program.into_inner(), state);
            }
        }
        for (index, program) in guest.tasks.iter().enumerate() {
            let is_known = PROGRAMS.iter().any(|(name, _)| name == program);
            let is_first = guest.tasks.iter().position(|other| other == program) == Some(index);
            let is_judged = end == GuestEnd::Done && program != BYSTANDER && is_known && is_first;
            if is_judged && !tasks.contains_key(program) {
                let help = Some(format!(
                    "[expect.tasks] {program} = \"killed\", or exited, alive, isolated"
                ));
                self.problem(
                    end_span.clone(),
                    format!("nothing is expected of the task `{program}`"),
                    help,
                );
            }
        }
        let mut restarts = BTreeMap::new();
        for (program, count) in raw.restarts {
            self.task(&program, guest.tasks.iter().map(String::as_str));
            let count = self.ranged(Some(&count), "restarts", 0..=1000, 0);
            restarts.insert(program.into_inner(), count);
        }
        let frames = aborts.iter().filter(|abort| abort.frame != Frame::None);
        let retired = frames.map(|abort| abort.times).fold(0, u32::saturating_add);
        let retired = self.ranged(raw.retired.as_ref(), "retired", 0..=1_000_000, retired);
        Expect {
            end,
            console: raw.console,
            retired: u64::from(retired),
            evacuations: self.ranged(raw.evacuations.as_ref(), "evacuations", 0..=16, 0),
            reboots: self.ranged(raw.reboots.as_ref(), "reboots", 0..=4, 0),
            advised: raw
                .advised
                .map(|advised| u64::from(self.ranged(Some(&advised), "advised", 0..=1_000_000, 0))),
            aborts,
            pending,
            mapping,
            told,
            tasks,
            restarts,
        }
    }

    fn told(&mut self, raw: RawTold, reachable: &[&str]) -> ExpectedTold {
        self.task(&raw.task, reachable.iter().copied());
        let touch = raw.touch.and_then(|touch| self.word(&touch, "decision"));
        let address = self.whole(&raw.address, "an address");
        ExpectedTold {
            task: raw.task.into_inner(),
            address,
            touch,
            times: self.ranged(raw.times.as_ref(), "times", 1..=100_000, 1),
        }
    }

    fn abort(&mut self, raw: Spanned<RawAbort>, reachable: &[&str]) -> ExpectedAbort {
        let span = raw.span();
        let whole = span.clone();
        let raw = raw.into_inner();
        if let Some(task) = &raw.task {
            self.task(task, reachable.iter().copied());
        }
        let cause = self.word(&raw.cause, "cause").unwrap_or(Cause::Synchronous);
        let (wanted, unwanted) = match cause {
            Cause::Deferred => (("disr", &raw.disr), ("esr", &raw.esr)),
            Cause::Patrol => (("", &None), ("esr", &raw.esr)),
            Cause::Synchronous | Cause::SError => (("esr", &raw.esr), ("disr", &raw.disr)),
        };
        if let Some(value) = unwanted.1 {
            let help = Some(format!(
                "an abort that is {} has `{}`",
                raw.cause.get_ref(),
                wanted.0
            ));
            self.problem(
                value.span(),
                format!("`{}` does not fit this cause", unwanted.0),
                help,
            );
        }
        if let Some(value) = raw.disr.as_ref().filter(|_| cause == Cause::Patrol) {
            self.problem(value.span(), "a report has no syndrome".into(), None);
        }
        if wanted.1.is_none() && cause != Cause::Patrol {
            let help = Some(format!("{} = 0x…, as the manuals have it", wanted.0));
            self.problem(span, format!("the abort has no `{}`", wanted.0), help);
        }
        let syndrome = self.syndrome(wanted.1.as_ref());
        if let Some(value) = raw.or_disr.as_ref().filter(|_| cause != Cause::SError) {
            let help = Some("only an SError that is taken may be deferred instead".to_owned());
            self.problem(value.span(), "`or_disr` does not fit this cause".into(), help);
        }
        let times = raw.times.as_ref().map(Number::span);
        let of = self.expected_of(raw.of, times, &whole);
        let usual = if matches!(cause, Cause::Synchronous | Cause::Patrol) {
            Frame::Announced
        } else {
            Frame::None
        };
        ExpectedAbort {
            of,
            task: raw.task.map(Spanned::into_inner),
            cause,
            from: self.word(&raw.from, "level").unwrap_or(Level::El0),
            syndrome,
            or_deferred: raw.or_disr.as_ref().map(|value| self.syndrome(Some(value))),
            before: raw
                .esr_before
                .into_iter()
                .map(|before| self.before(before))
                .collect(),
            far: raw.far.map_or(Far::Invalid, |far| self.far(&far)),
            severity: self
                .word(&raw.severity, "severity")
                .unwrap_or(Severity::Corrected),
            decision: self.word(&raw.decision, "decision").unwrap_or(Decision::CarryOn),
            frame: raw
                .frame
                .map_or(Some(usual), |frame| self.word(&frame, "frame"))
                .unwrap_or(usual),
            times: self.ranged(raw.times.as_ref(), "times", 1..=100_000, 1),
        }
    }

    fn before(&mut self, raw: RawBefore) -> Before {
        let version = raw.linux.get_ref().split_once('.');
        let version = version.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        if version.is_none() {
            let help = Some("major and minor, such as \"6.18\"".to_owned());
            self.problem(
                raw.linux.span(),
                format!("`{}` is not a version", raw.linux.get_ref()),
                help,
            );
        }
        Before {
            linux: version.unwrap_or((0, 0)),
            esr: self.syndrome(Some(&raw.esr)),
            frame: raw.frame.and_then(|frame| self.word(&frame, "frame")),
            because: raw.because,
        }
    }

    pub(super) fn far(&mut self, far: &Spanned<RawFar>) -> Far {
        match far.get_ref() {
            RawFar::Number(number) => {
                let number = number.0;
                if let Ok(address) = i64::try_from(number)
                    && let Ok(address) = u64::try_from(address)
                {
                    return Far::Exactly(address);
                }
                let (message, help) = if number < 0 {
                    ("an address is not negative".to_owned(), None)
                } else {
                    let help = format!("an address above {:#x} in quotes: \"{number:#x}\"", i64::MAX);
                    (
                        format!("{number:#x} is too large for a number of TOML"),
                        Some(help),
                    )
                };
                self.problem(far.span(), message, help);
            }
            RawFar::Text(text) if text == "any" => return Far::Any,
            RawFar::Text(text) => {
                let digits = text.strip_prefix("0x").map(|digits| digits.replace('_', ""));
                if let Some(Ok(address)) = digits.map(|digits| u64::from_str_radix(&digits, 16)) {
                    return Far::Exactly(address);
                }
                let help = Some("0x50000040, \"0xffff800000001000\" or \"any\"".to_owned());
                self.problem(far.span(), format!("`{text}` is not an address"), help);
            }
        }
        Far::Any
    }

    pub(super) fn syndrome(&mut self, value: Option<&Number>) -> u64 {
        value.map_or(0, |value| self.whole(value, "a syndrome"))
    }
}

/// The programs of this guest, and those they start.
fn reachable(guest: &Guest) -> Vec<&str> {
    let started = |task: &str| {
        PROGRAMS
            .iter()
            .find(|(name, _)| *name == task)
            .map_or(&[][..], |(_, starts)| starts)
    };
    let mut names: Vec<&str> = Vec::new();
    for task in &guest.tasks {
        names.push(task);
        names.extend(started(task));
    }
    names
}
