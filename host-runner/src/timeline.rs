//! From a judged run to its timeline: trigger, injection, delivery, abort; equal ones in a row become one with a count.

use seawall_agent::syndrome::{Disr, Esr};
use seawall_agent::{Cause, Level, TaskId, explain, explain_disr};
use seawall_replay::entry::Kind;
use seawall_replay::plan::{Injection, Poison};
use seawall_replay::transcript::{Event as Transcribed, What};

use crate::backend::Run;
use crate::escape;
use crate::events::{
    Abort, Advice, Console, Delivery, Event, Finding, Held, Injected, KeptOut, Outcome, Random, Task, Tasks,
    Told, Trigger, Verdict,
};
use crate::judge::evidence::{Evidence, Recorded, name};
use crate::judge::incidents::Incident;
use crate::judge::{self, Judged};
use crate::scenario::{Inject, Scenario, boot};

/// Of a console that says more, the last lines count: a guest that floods must not flood the reports too.
const MOST_CONSOLE_LINES: usize = 400;

/// All events of one run, from its first trigger to its verdict.
#[must_use]
pub fn events(scenario: &Scenario, run: &Run, judged: &Judged) -> Vec<Event> {
    let mut events = Vec::new();
    let mut previous: Option<(Pattern, usize)> = None;
    for incident in in_order(scenario, &judged.incidents) {
        let pattern = Pattern::of(incident);
        let one = incident_events(scenario, &judged.evidence, incident);
        match &previous {
            Some((known, start)) if *known == pattern => {
                for (kept, again) in events.iter_mut().skip(*start).zip(&one) {
                    repeat(kept, again);
                }
            }
            _ => {
                previous = Some((pattern, events.len()));
                events.extend(one);
            }
        }
    }
    // What concerns no injection of the scenario's is the host's own trouble, and told as well.
    let injected = |page| {
        judged
            .evidence
            .injections
            .iter()
            .any(|event| event.ipa >> 12 == page)
    };
    for told in &judged.evidence.advised {
        if !injected(told.ipa >> 12) {
            events.push(Event::Advice(advice(scenario, told)));
        }
    }
    for told in &judged.evidence.told {
        events.push(Event::Told(Told {
            scenario: scenario.name.clone(),
            slot: told.slot,
            program: program(scenario, &judged.evidence, told.slot, told.sequence),
            address: hex(told.address),
            frame: hex(told.frame),
            touch: judge::told::word(told),
            more: told.more,
        }));
    }
    events.extend(random(scenario, run, judged).map(Event::Random));
    if !judged.evidence.reports.is_empty() {
        events.push(Event::Tasks(tasks(scenario, &judged.evidence)));
    }
    if let Some((before, after)) = run.usage {
        events.push(Event::Held(Held {
            scenario: scenario.name.clone(),
            bytes_before: before.bytes,
            bytes_after: after.bytes,
            descriptors_before: before.descriptors,
            descriptors_after: after.descriptors,
        }));
    }
    let lines = escape::lines(&run.console);
    let hidden = lines.len().saturating_sub(MOST_CONSOLE_LINES);
    let note = (hidden > 0).then(|| format!("… {hidden} lines before these"));
    for line in note.into_iter().chain(lines.into_iter().skip(hidden)) {
        events.push(Event::Console(Console {
            scenario: scenario.name.clone(),
            line,
        }));
    }
    events.push(Event::Verdict(verdict(scenario, run, judged)));
    events
}

/// The incidents as they are told: as they came, or, where a seed drew them, those of a kind together.
fn in_order<'a>(scenario: &Scenario, incidents: &'a [Incident]) -> Vec<&'a Incident> {
    let mut all: Vec<&Incident> = incidents.iter().collect();
    if scenario.random.is_some() {
        all.sort_by_key(|incident| {
            let step = incident.injection.and_then(|event| event.step);
            let kind = incident.abort.map(|(_, abort)| {
                let record = abort.record;
                (record.cause as u8, record.esr, record.disr, record.far)
            });
            (step.unwrap_or(u16::MAX), kind)
        });
    }
    all
}

fn random(scenario: &Scenario, run: &Run, judged: &Judged) -> Option<Random> {
    let random = scenario.random.as_ref()?;
    let summary = judge::random::summary(scenario, run, &judged.evidence)?;
    Some(Random {
        scenario: scenario.name.clone(),
        seed: random.seed,
        errors: random.errors,
        announcements: summary.drawn,
        decisions: summary.decisions.to_string(),
        journal: summary.journal.to_string(),
    })
}

/// What makes two incidents equal: everything but task, frame, time and cost.
#[derive(PartialEq)]
struct Pattern {
    injection: Option<(What, Option<u16>, u16, u64)>,
    delivered: Option<(u64, u64)>,
    kept_out: bool,
    abort: Option<(u8, u8, u64, u64, u8, u8, bool)>,
}

impl Pattern {
    fn of(incident: &Incident) -> Self {
        Self {
            injection: incident
                .injection
                .map(|event| (event.what, event.step, event.number, event.syndrome)),
            delivered: incident.delivered.map(|event| (event.syndrome, event.address)),
            kept_out: incident.kept_out.is_some(),
            abort: incident.abort.map(|(_, Recorded { record, .. })| {
                let syndrome = record.esr ^ record.disr.rotate_left(1);
                let (severity, decision) = (record.severity as u8, record.decision as u8);
                let charged = record.charged().is_some();
                (
                    record.cause as u8,
                    record.from as u8,
                    syndrome,
                    record.far,
                    severity,
                    decision,
                    charged,
                )
            }),
        }
    }
}

fn repeat(kept: &mut Event, again: &Event) {
    match (kept, again) {
        (Event::Trigger(kept), _) => kept.times = kept.times.saturating_add(1),
        (Event::Injection(kept), _) => kept.times = kept.times.saturating_add(1),
        (Event::Advice(kept), _) => kept.times = kept.times.saturating_add(1),
        (Event::Delivery(kept), _) => kept.times = kept.times.saturating_add(1),
        (Event::KeptOut(kept), _) => kept.times = kept.times.saturating_add(1),
        (Event::Abort(kept), Event::Abort(again)) => {
            kept.times = kept.times.saturating_add(1);
            kept.cost = kept.cost.max(again.cost);
        }
        _ => {}
    }
}

fn incident_events(scenario: &Scenario, evidence: &Evidence, incident: &Incident) -> Vec<Event> {
    let mut events = Vec::new();
    let name = || scenario.name.clone();
    if let Some(injection) = &incident.injection {
        let sequence = incident.abort.map_or(u64::MAX, |(_, abort)| abort.sequence);
        events.push(Event::Trigger(trigger(scenario, evidence, injection, sequence)));
        let (route, has_syndrome) = match injection.what {
            What::Poisoned => (poison_route(scenario, injection), false),
            What::Protected => ("read-only", false),
            What::Mended => ("mend", false),
            What::Reported => ("patrol", false),
            What::Saved => ("save", false),
            What::Left => ("self", false),
            What::Opened if is_by_itself(scenario, injection) => ("self", false),
            // Bit 63 says that the replayer's default was used.
            What::Pended => ("serror", injection.syndrome >> 63 == 0),
            What::Entered => ("registers", true),
            What::HostAbort => ("sea-exit", true),
            _ => ("hole", false),
        };
        events.push(Event::Injection(Injected {
            scenario: name(),
            route: route.into(),
            syndrome: has_syndrome.then(|| hex(injection.syndrome)),
            times: 1,
        }));
        let told = evidence
            .advised
            .iter()
            .find(|told| told.ipa >> 12 == injection.ipa >> 12);
        if let Some(told) = told.filter(|_| injection.what == What::Poisoned) {
            events.push(Event::Advice(advice(scenario, told)));
        }
    }
    if let Some(given) = &incident.delivered {
        let (esr, far) = (hex(given.syndrome), hex(given.address));
        events.push(Event::Delivery(Delivery {
            scenario: name(),
            esr,
            far,
            times: 1,
        }));
    }
    if let Some(page) = &incident.kept_out {
        events.push(Event::KeptOut(KeptOut {
            scenario: name(),
            page: hex(page.ipa),
            times: 1,
        }));
    }
    if let Some((_, abort)) = &incident.abort {
        let by_serror = abort.record.cause == Cause::Synchronous && comes_by_serror(scenario, incident);
        events.push(Event::Abort(Box::new(record(
            scenario, evidence, abort, by_serror,
        ))));
    }
    events
}

fn advice(scenario: &Scenario, told: &Transcribed) -> Advice {
    Advice {
        scenario: scenario.name.clone(),
        page: hex(told.ipa),
        bytes: u32::try_from(told.syndrome)
            .ok()
            .and_then(|shift| 1_u64.checked_shl(shift)),
        times: 1,
    }
}

/// What the scenario says of this event's step.
fn inject_of<'a>(scenario: &'a Scenario, event: &Transcribed) -> Option<&'a Inject> {
    let (_, origins) = boot::plan(&scenario.guest, &scenario.injections).ok()?;
    scenario.injections.get(*origins.get(usize::from(event.step?))?)
}

/// Whether the step of this event leaves the abort to KVM.
fn is_by_itself(scenario: &Scenario, event: &Transcribed) -> bool {
    inject_of(scenario, event).is_some_and(|inject| inject.by_itself)
}

/// Whether an abort comes by the SError's vector: by what the guest has set, or by the entry itself.
fn comes_by_serror(scenario: &Scenario, incident: &Incident) -> bool {
    let inject = incident.injection.and_then(|event| inject_of(scenario, &event));
    scenario.guest.vm.ease || inject.is_some_and(|inject| inject.injection.vector() == Kind::SError)
}

/// Which of the routes that poison this event's step is.
fn poison_route(scenario: &Scenario, event: &Transcribed) -> &'static str {
    let step = event.step.map(usize::from);
    let plan = boot::plan(&scenario.guest, &scenario.injections).ok();
    let injection = plan.and_then(|(plan, _)| plan.steps().nth(step?));
    match injection.map(|step| step.injection) {
        Some(Injection::Poison(Poison::MemoryFailure)) => "hwpoison",
        Some(Injection::Poison(Poison::AnnouncedMemoryFailure)) => "hwpoison-early",
        Some(Injection::Poison(Poison::ObjectError { addressed: true })) => "bus-objerr",
        Some(Injection::Poison(Poison::ObjectError { addressed: false })) => "bus-objerr-bare",
        _ => "uffd",
    }
}

fn trigger(scenario: &Scenario, evidence: &Evidence, event: &Transcribed, sequence: u64) -> Trigger {
    let inject = inject_of(scenario, event);
    Trigger {
        scenario: scenario.name.clone(),
        step: event.step,
        program: program(scenario, evidence, event.task, sequence),
        slot: event.task,
        checkpoint: event.number,
        window: inject.map(|inject| crate::scenario::window_word(inject.at).to_owned()),
        page: (event.ipa != 0).then(|| hex(event.ipa & !0xfff)),
        times: 1,
    }
}

fn record(scenario: &Scenario, evidence: &Evidence, abort: &Recorded, by_serror: bool) -> Abort {
    let record = &abort.record;
    let slot = record.charged().map(|TaskId(slot)| slot);
    let (register, syndrome, explanation) = match record.cause {
        Cause::Deferred => ("disr", record.disr, explain_disr(Disr(record.disr))),
        Cause::Synchronous | Cause::SError | Cause::Patrol => ("esr", record.esr, explain(Esr(record.esr))),
    };
    Abort {
        scenario: scenario.name.clone(),
        sequence: abort.sequence,
        times: 1,
        vector: vector(record.cause, record.from, by_serror).into(),
        cause: record.cause.name().into(),
        from: record.from.name().into(),
        register: register.into(),
        syndrome: hex(syndrome),
        summary: match record.cause {
            Cause::Patrol => "An error that nobody has consumed: a patrol scrubber has found it".into(),
            _ => explanation.summary.to_string(),
        },
        far: record.valid_far().map(|far| hex(far.0)),
        elr: hex(record.elr),
        frame: record.frame.map(|frame| hex(frame.0)),
        severity: record.severity.name().into(),
        origin: record.origin.name().replace(' ', "-"),
        slot,
        program: slot.and_then(|slot| program(scenario, evidence, slot, abort.sequence)),
        decision: record.decision.name().replace(' ', "-"),
        cost: (record.cost != 0).then_some(record.cost),
    }
}

fn program(scenario: &Scenario, evidence: &Evidence, slot: u16, sequence: u64) -> Option<String> {
    let started = evidence.program_at(slot, sequence);
    started
        .or_else(|| scenario.guest.program(slot))
        .map(str::to_owned)
}

/// The vector that an abort came through. The guest runs on SP_ELx.
const fn vector(cause: Cause, from: Level, by_serror: bool) -> &'static str {
    match (cause, from) {
        (Cause::Synchronous, Level::El0) if by_serror => "EL0 SError +0x580",
        (Cause::Synchronous, Level::El1) if by_serror => "EL1 SError +0x380",
        (Cause::Synchronous, Level::El0) => "EL0 synchronous +0x400",
        (Cause::Synchronous, Level::El1) => "EL1 synchronous +0x200",
        (Cause::SError, Level::El0) => "EL0 SError +0x580",
        (Cause::SError, Level::El1) => "EL1 SError +0x380",
        (Cause::Deferred, Level::El0) => "DISR_EL1, read after the ESB at the border from EL0",
        (Cause::Patrol, _) => "none: read from the port",
        (Cause::Deferred, Level::El1) => "DISR_EL1, read after an ESB in EL1",
    }
}

fn tasks(scenario: &Scenario, evidence: &Evidence) -> Tasks {
    let tasks = evidence.reports.iter().map(|report| Task {
        slot: report.task,
        program: name(&report.program),
        bystander: report.bystander,
        state: judge::state_text(report.state),
        progress: report.progress,
        progress_at_last_abort: report.progress_at_last_abort,
        damage: report.damage,
        restarts: report.restarts,
        charged: report.charged,
    });
    Tasks {
        scenario: scenario.name.clone(),
        tasks: tasks.collect(),
    }
}

fn verdict(scenario: &Scenario, run: &Run, judged: &Judged) -> Verdict {
    let findings = judged.verdict.findings.iter().map(|finding| Finding {
        check: finding.check.into(),
        at: escape::text(&finding.at),
        expected: escape::text(&finding.expected),
        got: escape::text(&finding.got),
    });
    Verdict {
        scenario: scenario.name.clone(),
        verdict: match judged.verdict.outcome {
            judge::Outcome::Pass => Outcome::Pass,
            judge::Outcome::Fail => Outcome::Fail,
            judge::Outcome::Timeout => Outcome::Timeout,
        },
        wall_ms: u64::try_from(run.wall.as_millis()).unwrap_or(u64::MAX),
        aborts: Some(judged.evidence.aborts.len() as u64),
        findings: findings.collect(),
    }
}

fn hex(value: u64) -> String {
    format!("{value:#x}")
}
