//! Why a step never fired: what its task announced instead.

use std::collections::BTreeSet;

use seawall_replay::plan::Step;
use seawall_replay::port::Window;
use seawall_replay::transcript::{Event, What};

use super::{Case, Findings};
use crate::scenario::window_word;

/// More numbers than this are not listed.
const MOST_LISTED: usize = 8;

/// Adds why no announcement made step `index` fire, where none did: whether that is so.
pub(super) fn check(case: &Case<'_>, steps: &[Step], index: usize, findings: &mut Findings) -> bool {
    let Some(step) = steps.get(index) else {
        return false;
    };
    let mut events = case.evidence.injections.iter();
    if step.times == 0 || events.any(|event| event.step.map(usize::from) == Some(index)) {
        return false;
    }
    findings.add(
        "injected",
        format_args!("step {index} never fired, and what is below may follow from that"),
        wanted(case, step),
        found(case, steps, step),
    );
    true
}

fn wanted(case: &Case<'_>, step: &Step) -> String {
    if step.window == Window::Start {
        return "an injection before the guest's first instruction".to_owned();
    }
    let (whose, number) = (whose(case, step), step.number);
    let window = window_word(step.window);
    format!("{whose} announces checkpoint {number} (window {window})")
}

fn whose(case: &Case<'_>, step: &Step) -> String {
    let Some(slot) = step.task else {
        return "a task".to_owned();
    };
    let program = case.scenario.guest.program(slot).unwrap_or("?");
    format!("{program} (slot {slot})")
}

fn found(case: &Case<'_>, steps: &[Step], step: &Step) -> String {
    if step.window == Window::Start {
        return "none".to_owned();
    }
    let announced = announcements(case, step);
    let whose = whose(case, step);
    let numbers: BTreeSet<u16> = announced.iter().map(|event| event.number).collect();
    let mut same = announced.iter().filter(|event| event.number == step.number);
    let times = same.clone().count();
    let other = same.find_map(|event| Some((event.step?, steps.get(usize::from(event.step?))?)));
    let window = window_word(step.window);
    let lost = if case.run.events_lost > 0 {
        ", as far as the transcript goes"
    } else {
        ""
    };
    match other {
        _ if numbers.is_empty() => format!("{whose} announced nothing{lost}"),
        _ if times == 0 => format!("{whose} announced checkpoint {} only{lost}", list(&numbers)),
        Some((taken, other)) if other.window == step.window => format!("step {taken} took it"),
        _ if step.skip > 0 => format!(
            "{whose} announced it {times} times{lost}; {} are skipped",
            step.skip
        ),
        _ => format!(
            "{whose} announced checkpoint {} in another window than {window}{lost}",
            step.number
        ),
    }
}

/// What the step's task announced, or any task: what came to nothing, and what brought something. The transcript keeps
/// the numbers, and not in which window each came.
fn announcements<'a>(case: &'a Case<'_>, step: &Step) -> Vec<&'a Event> {
    let to_nothing = case
        .run
        .events
        .iter()
        .filter(|event| event.what == What::Announced);
    to_nothing
        .chain(&case.evidence.injections)
        .filter(|event| event.task != 0 && step.task.is_none_or(|task| task == event.task))
        .collect()
}

fn list(numbers: &BTreeSet<u16>) -> String {
    let words: Vec<String> = numbers.iter().take(MOST_LISTED).map(u16::to_string).collect();
    let more = if numbers.len() > MOST_LISTED { ", …" } else { "" };
    format!("{}{more}", words.join(", "))
}
