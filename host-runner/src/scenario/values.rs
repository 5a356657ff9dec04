//! Values of one key each: numbers in their range, words, and names of what the guest runs; with the hint for those that
//! are wrong.

use std::ops::Range;

use super::PROGRAMS;
use super::check::Checker;
use super::diagnose::Problem;
use super::raw::{Number, Text};
use super::words::{Word, listed, nearest};

impl Checker {
    pub(super) fn ranged(
        &mut self,
        value: Option<&Number>,
        what: &str,
        range: std::ops::RangeInclusive<u32>,
        usual: u32,
    ) -> u32 {
        let Some(value) = value else { return usual };
        match u32::try_from(value.get_ref().0) {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let (least, most) = range.into_inner();
                let hex = most > 100_000 && most & 1 == 1;
                let range = if hex {
                    format!("{least:#x} to {most:#x}")
                } else {
                    format!("{least} to {most}")
                };
                self.problem(
                    value.span(),
                    format!("{} is out of range", value.get_ref().0),
                    Some(format!("{what} is {range}")),
                );
                usual
            }
        }
    }

    /// A number of up to 63 bits, which is what TOML has.
    pub(super) fn whole(&mut self, value: &Number, what: &str) -> u64 {
        let number = value.get_ref().0;
        if let Ok(number) = i64::try_from(number)
            && let Ok(number) = u64::try_from(number)
        {
            return number;
        }
        let (message, help) = if number < 0 {
            (format!("{what} is not negative"), None)
        } else {
            let range = format!("{what} is 0x0 to {:#x}", i64::MAX);
            (format!("{number:#x} is out of range"), Some(range))
        };
        self.problem(value.span(), message, help);
        0
    }

    pub(super) fn word<T: Word>(&mut self, text: &Text, what: &str) -> Option<T> {
        let found = T::WORDS.iter().find(|(word, _)| word == text.get_ref());
        if found.is_none() {
            let words = || T::WORDS.iter().map(|(word, _)| *word);
            let help = nearest(text.get_ref(), words()).map_or_else(
                || format!("one of {}", listed::<T>()),
                |meant| format!("did you mean `{meant}`?"),
            );
            self.problem(
                text.span(),
                format!("`{}` is not a {what}", text.get_ref()),
                Some(help),
            );
        }
        found.map(|(_, value)| *value)
    }

    /// A program of the guest. For a name that none has, the program that was probably meant stands in: what else the
    /// scenario says of it is not wrong too.
    pub(super) fn program(&mut self, text: Text) -> String {
        let programs = || PROGRAMS.iter().map(|(name, _)| *name);
        self.one_of(&text, programs(), "no program of the guest is called");
        let name = text.into_inner();
        match nearest(&name, programs()) {
            Some(meant) if !programs().any(|known| known == name) => meant.to_owned(),
            _ => name,
        }
    }

    /// A program that runs in this scenario, of those in `running`. Of a scenario without tasks that has been said.
    pub(super) fn task<'a>(&mut self, text: &Text, running: impl Iterator<Item = &'a str> + Clone) {
        let name = text.get_ref();
        let complaint = "no task of this scenario runs";
        let exists = |name: &str| PROGRAMS.iter().any(|(known, _)| *known == name);
        if running.clone().next().is_none() || running.clone().any(|known| known == name) {
            return;
        }
        let running = running.filter(|known| exists(known));
        if exists(name) {
            let list = some_of(running).map_or_else(String::new, |list| format!("{list}, or "));
            let help = Some(format!("{list}`{name}` among `tasks` in [guest]"));
            return self.problem(text.span(), format!("{complaint} `{name}`"), help);
        }
        self.one_of(text, running, complaint);
    }

    pub(super) fn one_of<'a>(
        &mut self,
        text: &Text,
        known: impl Iterator<Item = &'a str> + Clone,
        complaint: &str,
    ) {
        let wrong = text.get_ref();
        if known.clone().any(|name| name == wrong) {
            return;
        }
        let help = nearest(wrong, known.clone()).map(|meant| format!("did you mean `{meant}`?"));
        let help = help.or_else(|| some_of(known));
        self.problem(text.span(), format!("{complaint} `{wrong}`"), help);
    }

    pub(super) fn problem(&mut self, span: Range<usize>, message: String, help: Option<String>) {
        self.problems.push(Problem { span, message, help });
    }
}

/// "one of" these, if there are any.
fn some_of<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut names: Vec<&str> = names.collect();
    names.dedup();
    (!names.is_empty()).then(|| format!("one of {}", names.join(", ")))
}
