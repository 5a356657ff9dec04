//! What a scenario may say of SErrors, of what comes beside or instead of them, and of what KVM does by itself.

use std::ops::Range;

use seawall_replay::plan::{Injection, MOST_MILLISECONDS, SERROR_SYNDROME_MASK};
use seawall_replay::port::Window;

use super::check::Checker;
use super::raw::{Number, RawInject};
use super::words::{ByItself, Route};
use super::{Guest, Inject};
use crate::backend::VmOptions;

impl Checker {
    /// The checkpoint that an injection waits for: none before the guest's first instruction.
    pub(super) fn checkpoint(&mut self, span: &Range<usize>, at: Window, raw: &RawInject) -> u32 {
        let Some(checkpoint) = &raw.checkpoint else {
            if at != Window::Start {
                let message = "the injection does not say which checkpoint brings it".to_owned();
                self.problem(span.clone(), message, Some("checkpoint = 1".into()));
            }
            return 0;
        };
        if at == Window::Start {
            let help = "at = \"start\" is before any checkpoint, and before any task".to_owned();
            self.problem(checkpoint.span(), "there is no checkpoint yet".into(), Some(help));
            return 0;
        }
        self.ranged(Some(checkpoint), "checkpoint", 0..=0xfff, 1)
    }

    /// Keys that only one route has.
    pub(super) fn keys_of_other_routes(&mut self, route: Route, raw: &RawInject) {
        let span = |text: &toml::Spanned<String>| text.span();
        for (key, found, owner, word) in [
            (
                "vector",
                raw.vector.as_ref().map(span),
                Route::Registers,
                "registers",
            ),
            ("what", raw.what.as_ref().map(span), Route::Itself, "self"),
            (
                "with_serror",
                raw.with_serror.as_ref().map(Number::span),
                Route::Hole,
                "hole",
            ),
            (
                "after_ms",
                raw.after_ms.as_ref().map(Number::span),
                Route::SError,
                "serror",
            ),
        ] {
            if let Some(span) = found.filter(|_| route != owner) {
                let help = Some(format!("only `{word}` has `{key}`"));
                self.problem(span, format!("this route has no `{key}`"), help);
            }
        }
    }

    pub(super) fn serror(&mut self, at: Window, raw: &RawInject) -> Injection {
        let syndrome = raw
            .syndrome
            .as_ref()
            .map(|syndrome| self.iss(syndrome, "syndrome"));
        let Some(after) = &raw.after_ms else {
            return Injection::SError { syndrome };
        };
        if !matches!(at, Window::User | Window::Checkpoint) || raw.times.is_some() {
            let help = Some("at = \"user\" or \"checkpoint\", and without `times`".to_owned());
            let message = "an SError comes later once, and for a task that runs".to_owned();
            self.problem(after.span(), message, help);
        }
        let milliseconds = self.ranged(Some(after), "after_ms", 1..=MOST_MILLISECONDS, 1);
        Injection::SErrorLater {
            syndrome,
            milliseconds,
        }
    }

    pub(super) fn hole(&mut self, raw: &RawInject) -> Injection {
        let Some(beside) = &raw.with_serror else {
            return Injection::Hole;
        };
        if raw.times.is_some() {
            let help = Some("leave `times` away".to_owned());
            self.problem(beside.span(), "an SError comes beside one abort".into(), help);
        }
        Injection::HoleBesideSError {
            syndrome: self.iss(beside, "with_serror"),
        }
    }

    pub(super) fn by_itself(&mut self, raw: &RawInject) -> Injection {
        let Some(what) = &raw.what else {
            let help = Some("what = \"fetch\", \"walk\" or \"above-ipa\"".to_owned());
            self.problem(raw.route.span(), "this route needs a `what`".into(), help);
            return Injection::Hole;
        };
        match self.word(what, "thing that KVM aborts by itself") {
            Some(ByItself::AboveIpa) => Injection::Left,
            Some(ByItself::Fetch | ByItself::Walk) | None => Injection::Hole,
        }
    }

    /// What only KVM can do, in a scenario that is for the shim too.
    pub(super) fn kvm_alone(&mut self, span: &Range<usize>, guest: &Guest, injections: &[Inject]) {
        let injection = injections.iter().find_map(|inject| match inject.injection {
            Injection::SErrorLater { .. } => Some("an SError that comes later, by a kick,"),
            Injection::Left => Some("an access above the VM's IPA size"),
            _ => None,
        });
        let of_any_cpu = VmOptions {
            cpu: None,
            ..guest.vm
        };
        let unusual = of_any_cpu != VmOptions::default();
        if let Some(what) = injection.or(unusual.then_some("what [guest] asks of the VM")) {
            let message = format!("{what} is nothing for the backend qemu");
            self.problem(span.clone(), message, Some("backends = [\"kvm\"]".into()));
        }
    }

    fn iss(&mut self, value: &Number, key: &str) -> u32 {
        let most = u32::try_from(SERROR_SYNDROME_MASK).unwrap_or(u32::MAX);
        self.ranged(Some(value), &format!("{key} (ISS, bits 24:0)"), 0..=most, 0)
    }
}
