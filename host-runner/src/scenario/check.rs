//! What a scenario's values may be. Every problem is collected, so that one run of the command shows them all.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use seawall_replay::entry::Kind;
use seawall_replay::plan::{self, Injection, Poison, When};
use seawall_replay::port::Window;
use toml::Spanned;

use super::diagnose::Problem;
use super::raw::{RawBudget, RawGuest, RawInject, RawScenario, Text};
use super::words::{Route, Word, word};
use super::{APART, BYSTANDER, Far, Guest, Inject, Platform, Scenario, boot};
use crate::backend::VmOptions;
use crate::budget::{Budget, BudgetError};

const MOST_TASKS: usize = 32;
const MIB: u64 = 1 << 20;
const MEMORY: std::ops::RangeInclusive<u64> = (16 * MIB)..=(64 << 30);

/// Collects what is wrong while it turns the file into a scenario. After a problem, values are stand-ins.
#[derive(Default)]
pub(super) struct Checker {
    pub(super) problems: Vec<Problem>,
    /// The names of what is drawn.
    pub(super) drawn: Vec<Text>,
}

impl Checker {
    pub(super) fn scenario(&mut self, name: String, file: &str, text: &str, raw: RawScenario) -> Scenario {
        for (what, value) in [("title", &raw.title), ("teaches", &raw.teaches)] {
            if value.get_ref().trim().is_empty() {
                self.problem(value.span(), format!("`{what}` is empty"), None);
            }
        }
        if raw.title.get_ref().trim().chars().any(char::is_control) {
            self.problem(raw.title.span(), "`title` has a control character".into(), None);
        }
        let guest_span = raw.guest.tasks.span();
        let guest = self.guest(raw.guest);
        let routes: Vec<(Range<usize>, String)> = raw
            .inject
            .iter()
            .map(|inject| &inject.get_ref().route)
            .map(|route| (route.span(), route.get_ref().clone()))
            .collect();
        let mut injections: Vec<Inject> = raw
            .inject
            .into_iter()
            .map(|inject| self.inject(inject, &guest))
            .collect();
        let random = self.random(raw.random, &mut injections);
        let bystanders = guest.slots(BYSTANDER).count();
        if !injections.is_empty() && bystanders < 2 && !guest.tasks.is_empty() {
            let help =
                "two tasks that are not concerned show that the error cost nobody else anything".to_owned();
            let message =
                format!("a scenario that injects needs at least two bystanders; this one has {bystanders}");
            self.problem(guest_span.clone(), message, Some(help));
        }
        if let Err(error) = boot::plan(&guest, &injections) {
            self.problem(guest_span.clone(), error.to_string(), None);
        }
        let platforms = match raw.backends {
            None => vec![Platform::Qemu, Platform::Kvm],
            Some(listed) => {
                if listed.get_ref().is_empty() {
                    self.problem(
                        listed.span(),
                        "`backends` is empty: it would never run".into(),
                        None,
                    );
                }
                listed
                    .into_inner()
                    .iter()
                    .filter_map(|word| self.word(word, "backend"))
                    .collect()
            }
        };
        if platforms.contains(&Platform::Qemu) {
            self.kvm_alone(&guest_span, &guest, &injections);
        }
        if platforms.contains(&Platform::Kvm) && guest.vm.cpu.is_some() {
            let message = "KVM gives a guest the CPU of its host, and no other".into();
            self.problem(guest_span.clone(), message, Some("backends = [\"qemu\"]".into()));
        }
        for (span, route) in routes {
            let needs_host = Route::WORDS
                .iter()
                .any(|(word, known)| *word == route && known.needs_host());
            if needs_host && platforms.contains(&Platform::Qemu) {
                let message =
                    format!("`{route}` needs a host behind the guest, which the backend qemu has not");
                self.problem(span, message, Some("backends = [\"kvm\"]".into()));
            }
        }
        let budget = raw.budget.map(|budget| self.budget(budget, &platforms));
        let mut expect = raw.expect;
        let linux = expect.linux.take();
        let expect_linux = linux.and_then(|linux| self.linux(linux, &injections, &platforms));
        let seconds = self.ranged(raw.timeout_s.as_ref(), "timeout_s", 1..=600, 30);
        Scenario {
            name,
            file: file.to_owned(),
            source: text.to_owned(),
            title: raw.title.into_inner().trim().to_owned(),
            teaches: raw.teaches.into_inner().trim().to_owned(),
            cites: raw.cites.into_iter().map(Spanned::into_inner).collect(),
            linux: raw.linux,
            tags: raw.tags.into_iter().map(Spanned::into_inner).collect(),
            platforms,
            random,
            timeout: Duration::from_secs(u64::from(seconds)),
            budget,
            expect: self.expect(expect, &guest),
            expect_linux,
            guest,
            injections,
        }
    }

    fn budget(&mut self, raw: Spanned<RawBudget>, platforms: &[Platform]) -> Budget {
        if platforms.contains(&Platform::Qemu) {
            let message = "a budget is kept by the runner's own VMM, which the backend qemu has not".into();
            self.problem(raw.span(), message, Some("backends = [\"kvm\"]".into()));
        }
        let raw = raw.into_inner();
        let aborts = raw.aborts.and_then(|text| {
            let rate = text.get_ref().parse();
            if let Err(error) = &rate {
                let error: &BudgetError = error;
                self.problem(text.span(), error.to_string(), Some("aborts = \"10/60s\"".into()));
            }
            rate.ok()
        });
        let pages = raw.pages;
        Budget {
            pages: pages.map(|pages| self.ranged(Some(&pages), "pages", 0..=1_000_000, 0)),
            aborts,
        }
    }

    fn guest(&mut self, raw: RawGuest) -> Guest {
        let span = raw.tasks.span();
        let tasks = raw.tasks.into_inner();
        if tasks.is_empty() || tasks.len() > MOST_TASKS {
            let message = format!("{} tasks; 1 to {MOST_TASKS} are allowed", tasks.len());
            let help = Some("tasks = [\"load\", \"bystander\", \"bystander\"]".to_owned());
            self.problem(span, message, help);
        }
        let tasks: Vec<String> = tasks.into_iter().map(|task| self.program(task)).collect();
        let mut policies = BTreeMap::new();
        for (program, policy) in raw.policy {
            self.task(&program, tasks.iter().map(String::as_str));
            if let Some(policy) = self.policy(&policy) {
                policies.insert(program.into_inner(), policy);
            }
        }
        let memory_bytes = raw.memory.map_or(64 * MIB, |memory| self.memory(&memory));
        Guest {
            memory_bytes,
            tasks,
            policies,
            vm: VmOptions {
                without_nisv_exits: raw.nisv_exits == Some(false),
                ease: raw.ease == Some(true),
                el2: raw.el2 == Some(true),
                cpu: raw.cpu.as_ref().and_then(|cpu| self.word(cpu, "CPU")),
            },
        }
    }

    fn memory(&mut self, memory: &Text) -> u64 {
        let text = memory.get_ref();
        let parsed = text
            .strip_suffix('M')
            .map(|n| (n, MIB))
            .or_else(|| text.strip_suffix('G').map(|n| (n, 1 << 30)));
        let bytes = parsed.and_then(|(digits, unit)| digits.parse::<u64>().ok()?.checked_mul(unit));
        let help = "a number and M or G, such as \"64M\"; 16M to 64G, in steps of 2M".to_owned();
        match bytes {
            None => self.problem(memory.span(), format!("`{text}` is not a size"), Some(help)),
            Some(bytes) if !MEMORY.contains(&bytes) || bytes % (2 * MIB) != 0 => {
                self.problem(
                    memory.span(),
                    format!("the guest cannot have {text} of memory"),
                    Some(help),
                );
            }
            Some(bytes) => return bytes,
        }
        64 * MIB
    }

    fn inject(&mut self, raw: Spanned<RawInject>, guest: &Guest) -> Inject {
        let span = raw.span();
        let raw = raw.into_inner();
        let at = raw
            .at
            .as_ref()
            .map_or(Some(Window::Checkpoint), |at| self.word(at, "window"));
        let at = at.unwrap_or(Window::Checkpoint);
        let is_start = at == Window::Start;
        match (&raw.task, raw.any) {
            (Some(task), false) => self.task(task, guest.tasks.iter().map(String::as_str)),
            (None, true) => {}
            (None, false) if is_start => {}
            (Some(task), true) => self.problem(
                task.span(),
                "`task` and `any = true` exclude each other".into(),
                Some("leave one of them away".into()),
            ),
            (None, false) => {
                let help = "task = \"load\", or any = true".to_owned();
                self.problem(
                    span.clone(),
                    "the injection does not say whose checkpoint brings it".into(),
                    Some(help),
                );
            }
        }
        let checkpoint = self.checkpoint(&span, at, &raw);
        let route = self.word(&raw.route, "route").unwrap_or(Route::Hole);
        if route.needs_page() && !has_page(at) {
            let span = raw.at.as_ref().map_or(raw.route.span(), Spanned::span);
            let help = Some(format!(
                "`{}` needs `checkpoint`, `kernel`, `copy` or `handler`",
                raw.route.get_ref()
            ));
            self.problem(
                span,
                "this window announces no page, so there is none to do anything to".into(),
                help,
            );
        }
        self.keys_of_other_routes(route, &raw);
        if route == Route::SeaExit {
            self.lies_apart(&raw);
        }
        let injection = self.injection(route, at, &raw);
        Inject {
            skip: self.weight(&raw, injection),
            task: raw.task.map(Spanned::into_inner),
            checkpoint: u16::try_from(checkpoint).unwrap_or(0),
            at,
            injection,
            route: word(route),
            by_itself: route == Route::Itself,
            times: self.ranged(raw.times.as_ref(), "times", 1..=100_000, 1),
            name: raw.name.map(Spanned::into_inner),
        }
    }

    /// Whose page does not lie apart shares its 2 MiB with what the guest cannot do without.
    fn lies_apart(&mut self, raw: &RawInject) {
        let is_apart = raw
            .task
            .as_ref()
            .is_some_and(|task| APART.contains(&task.get_ref().as_str()));
        if !is_apart || raw.at.as_ref().is_some_and(|at| at.get_ref() != "checkpoint") {
            self.problem(
                raw.route.span(),
                "this route takes 2 MiB out of reach, which nothing else may be in".into(),
                Some(format!("at checkpoint 1 of one of {}", APART.join(", "))),
            );
        }
    }

    fn injection(&mut self, route: Route, at: Window, raw: &RawInject) -> Injection {
        if let Some(far) = raw.far.as_ref().filter(|_| route != Route::Registers) {
            let help =
                Some("only `registers` takes one; elsewhere the address is the access's own".to_owned());
            self.problem(far.span(), "this route has no FAR to choose".into(), help);
        }
        if let Some(syndrome) = raw.syndrome.as_ref().filter(|_| route.needs_page()) {
            let help = "only `serror` and `registers` take one; here it is the hardware's".to_owned();
            let message = format!("`{}` has no syndrome to choose", raw.route.get_ref());
            self.problem(syndrome.span(), message, Some(help));
        }
        if let Some(syndrome) = raw.syndrome.as_ref().filter(|_| route == Route::Save) {
            let help = Some("the step that injects at the same announcement has it".to_owned());
            self.problem(syndrome.span(), "to save has no syndrome".into(), help);
        }
        if let Some(after) = raw.after.as_ref().filter(|_| route != Route::Save) {
            let help = Some("only `save` takes it".to_owned());
            self.problem(after.span(), "this route has no `after`".into(), help);
        }
        if raw.failing.is_some() && route != Route::Patrol {
            let help = Some("only `patrol` takes it".to_owned());
            self.problem(raw.route.span(), "this route has no `failing`".into(), help);
        }
        match route {
            Route::Hole => self.hole(raw),
            Route::Itself => self.by_itself(raw),
            Route::Uffd => Injection::Poison(Poison::Userfault),
            Route::HwPoison => Injection::Poison(Poison::MemoryFailure),
            Route::BusObjErr => Injection::Poison(Poison::ObjectError { addressed: true }),
            Route::BusObjErrBare => Injection::Poison(Poison::ObjectError { addressed: false }),
            Route::HwPoisonEarly => Injection::Poison(Poison::AnnouncedMemoryFailure),
            Route::ReadOnly => Injection::ReadOnly,
            Route::Mend => Injection::Mend,
            Route::Patrol => Injection::Patrol {
                failing: raw.failing == Some(true),
            },
            Route::SeaExit => Injection::HostAbort,
            Route::SError => self.serror(at, raw),
            Route::Registers => self.abort_by_registers(at, raw),
            Route::Save => self.save(at, raw),
            Route::Nothing => Injection::Nothing,
        }
    }

    fn save(&mut self, at: Window, raw: &RawInject) -> Injection {
        if let Some(times) = raw.times.as_ref().filter(|times| times.get_ref().0 != 1) {
            let help = Some("to save again later, write another step".to_owned());
            self.problem(times.span(), "a step saves once".into(), help);
        }
        let after = raw.after.as_ref();
        let when = after.map_or(Some(When::Announced), |after| self.word(after, "point"));
        if let Some(after) = after.filter(|_| when == Some(When::AbortGiven) && !has_page(at)) {
            let help = Some("`after = \"abort\"` needs `checkpoint` or `kernel`".to_owned());
            let message = "this window announces no page, so no abort is known to come of it".to_owned();
            self.problem(after.span(), message, help);
        }
        Injection::Save(when.unwrap_or(When::Announced))
    }

    fn abort_by_registers(&mut self, at: Window, raw: &RawInject) -> Injection {
        // Stands in for what is wrong, and fits the window, so that nothing is complained about twice.
        let (level, usual, other) = match at {
            Window::User => ("EL0", 0x9200_0410, "0x20 or 0x24"),
            _ => ("EL1", 0x9600_0410, "0x21 or 0x25"),
        };
        let Some(syndrome) = &raw.syndrome else {
            let help = Some(format!(
                "a whole ESR_EL1, such as syndrome = {:#x}",
                usual & !0x400
            ));
            self.problem(raw.route.span(), "this route needs a `syndrome`".into(), help);
            return Injection::Abort {
                esr: usual,
                far: None,
            };
        };
        let mut esr = self.syndrome(Some(syndrome));
        if !plan::is_abort_in(at, esr) {
            let help = Some(format!(
                "a whole ESR_EL1 of class {other} (bits 31:26), with bits 63:56 zero, such as {:#x}",
                usual & !0x400
            ));
            self.problem(
                syndrome.span(),
                format!("{esr:#x} is no abort that can be taken from {level}, where this window stops"),
                help,
            );
            esr = usual;
        }
        let far = match raw.far.as_ref() {
            Some(far) => match self.far(far) {
                Far::Exactly(address) => Some(address),
                Far::Invalid | Far::Any => {
                    let help = Some("0x50000040 or \"0xffff800000001000\"".to_owned());
                    self.problem(far.span(), "an injection's address is one address".into(), help);
                    Some(0)
                }
            },
            None if plan::is_far_invalid(esr) => None,
            None => {
                let help = match esr & 0x3f {
                    0x10 => "far = 0x50000040, or set FnV, bit 10 of the syndrome",
                    _ => "far = 0x50000040; only fault status 0x10 has an FnV",
                };
                self.problem(
                    syndrome.span(),
                    "the syndrome says that FAR is valid".into(),
                    Some(help.to_owned()),
                );
                Some(0)
            }
        };
        if raw
            .vector
            .as_ref()
            .is_some_and(|vector| self.word(vector, "vector") == Some(Kind::SError))
        {
            return Injection::AbortBySErrorVector { esr, far };
        }
        Injection::Abort { esr, far }
    }
}

/// Whether announcements of this window name a page.
const fn has_page(at: Window) -> bool {
    matches!(
        at,
        Window::Checkpoint | Window::Kernel | Window::Copy | Window::Handler
    )
}
