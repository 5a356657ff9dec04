//! Errors that are drawn: which of its injections a scenario leaves to a seed.
//!
//! ```toml
//! [random]
//! seed = 0x5ea
//! aborts = 2000
//!
//! [[inject]]            # one of those that are drawn from
//! name = "hole"         # what its aborts are expected by: [[expect.abort]] of = "hole"
//! weight = 3            # three times as often as one of weight 1 that the same announcement could bring
//! any = true
//! checkpoint = 1
//! route = "hole"        # or registers, serror, and nothing: a sound access
//! ```
//!
//! Of the injections with a weight that speak of an announcement one is drawn, by the generator of
//! [`seawall_replay::draw`], until `aborts` errors were brought. Those without a weight come first, as ever.

use std::ops::Range;

use seawall_replay::plan::Injection;
use seawall_replay::port::Window;
use toml::Spanned;

use super::check::Checker;
use super::diagnose::BadScenario;
use super::raw::{RawInject, RawRandom, Text};
use super::{Inject, Scenario, parse};

/// Errors that one scenario may draw.
const MOST_ERRORS: u32 = 1_000_000;

/// A scenario that draws.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Random {
    /// What the numbers begin with.
    pub seed: u64,
    /// How many errors are brought in all.
    pub errors: u32,
    /// Where in the file the seed stands.
    at: Range<usize>,
}

impl Scenario {
    /// The same, drawn from another seed: its text says so too, for whoever runs or restores it elsewhere. `None` where
    /// nothing is drawn.
    #[must_use]
    pub fn with_seed(&self, seed: u64) -> Option<Result<Self, BadScenario>> {
        let at = self.random.as_ref()?.at.clone();
        let mut source = self.source.clone();
        source.replace_range(at, &seed.to_string());
        Some(parse(&self.file, &source))
    }
}

impl Checker {
    /// What is drawn, as it stands in the plan: behind everything else, and behind the step that draws.
    pub(super) fn random(
        &mut self,
        raw: Option<Spanned<RawRandom>>,
        injections: &mut Vec<Inject>,
    ) -> Option<Random> {
        let is_drawn = |inject: &Inject| inject.name.is_some();
        let Some(raw) = raw else {
            for span in std::mem::take(&mut self.drawn)
                .into_iter()
                .map(|name| name.span())
            {
                let help = Some("[random] with `seed` and `aborts`".to_owned());
                self.problem(span, "nothing is drawn in this scenario".into(), help);
            }
            return None;
        };
        let span = raw.span();
        let raw = raw.into_inner();
        let seed = self.whole(&raw.seed, "a seed");
        let errors = self.ranged(Some(&raw.aborts), "aborts", 1..=MOST_ERRORS, 1);
        let (fixed, drawn): (Vec<_>, Vec<_>) = injections.drain(..).partition(|inject| !is_drawn(inject));
        if drawn.iter().all(|inject| inject.injection.errors() == 0) {
            let help = Some("[[inject]] with `name` and `weight`".to_owned());
            self.problem(span.clone(), "there is no error to draw".into(), help);
        }
        if fixed
            .iter()
            .any(|inject| matches!(inject.injection, Injection::Save(_)))
        {
            let message = "a scenario that draws is not saved".to_owned();
            let help = Some("leave the step with `route = \"save\"` away, or [random]".to_owned());
            self.problem(span, message, help);
        }
        injections.extend(fixed);
        injections.push(Inject {
            task: None,
            checkpoint: 0,
            at: Window::Checkpoint,
            injection: Injection::Draw { seed },
            route: "random",
            by_itself: false,
            skip: 0,
            times: errors,
            name: None,
        });
        injections.extend(drawn);
        let at = raw.seed.span();
        Some(Random { seed, errors, at })
    }

    /// The weight of an injection that is drawn; for one that is not, how many announcements pass before it.
    pub(super) fn weight(&mut self, raw: &RawInject, injection: Injection) -> u32 {
        let (name, weight) = match (&raw.name, &raw.weight) {
            (None, None) => {
                if injection == Injection::Nothing {
                    let help = Some("`name` and `weight`".to_owned());
                    self.problem(raw.route.span(), "`nothing` is there to be drawn".into(), help);
                }
                return self.ranged(raw.skip.as_ref(), "skip", 0..=1_000_000, 0);
            }
            (Some(name), Some(weight)) => (name, weight),
            (Some(only), None) => {
                let help = Some("weight = 1".to_owned());
                self.problem(
                    only.span(),
                    "what has a name is drawn, and needs a `weight`".into(),
                    help,
                );
                return 1;
            }
            (None, Some(only)) => {
                let help = Some("name = \"hole\"".to_owned());
                self.problem(
                    only.span(),
                    "what has a weight is drawn, and needs a `name`".into(),
                    help,
                );
                return 1;
            }
        };
        if self.drawn.iter().any(|known| known.get_ref() == name.get_ref()) {
            self.problem(name.span(), format!("`{}` is there twice", name.get_ref()), None);
        }
        self.drawn.push(name.clone());
        let given = [&raw.skip, &raw.times];
        for number in given.into_iter().flatten() {
            let help = Some("[random] says how many there are in all".to_owned());
            self.problem(
                number.span(),
                "what is drawn has neither `skip` nor `times`".into(),
                help,
            );
        }
        if !matches!(
            injection,
            Injection::Hole
                | Injection::HoleBesideSError { .. }
                | Injection::SError { .. }
                | Injection::Abort { .. }
                | Injection::Nothing
        ) {
            let help = Some("hole, serror, registers or nothing".to_owned());
            self.problem(raw.route.span(), "this route is not drawn".into(), help);
        }
        self.ranged(Some(weight), "weight", 1..=10_000, 1)
    }

    /// The name of what is drawn that an abort is expected of: each has one where errors are drawn, and none elsewhere.
    pub(super) fn expected_of(
        &mut self,
        of: Option<Text>,
        times: Option<Range<usize>>,
        span: &Range<usize>,
    ) -> Option<String> {
        let names: Vec<String> = self.drawn.iter().map(|name| name.get_ref().clone()).collect();
        match of {
            None if names.is_empty() => None,
            None => {
                let help = Some(format!("of = \"{}\"", names.join("\" or \"")));
                self.problem(
                    span.clone(),
                    "the abort does not say what was drawn for it".into(),
                    help,
                );
                None
            }
            Some(of) => {
                if names.is_empty() {
                    let help = Some("leave `of` away".to_owned());
                    self.problem(of.span(), "nothing is drawn in this scenario".into(), help);
                    return None;
                }
                self.one_of(
                    &of,
                    names.iter().map(String::as_str),
                    "nothing is drawn that is called",
                );
                if let Some(times) = times {
                    let message = "how often an error is drawn is not known before".to_owned();
                    self.problem(times, message, Some("leave `times` away".into()));
                }
                Some(of.into_inner())
            }
        }
    }
}

#[cfg(test)]
mod tests;
