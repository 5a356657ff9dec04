//! What is fuzzed: a function for each target of `fuzz/`, from any bytes to nothing, which panics where a promise is
//! broken. Built for fuzzing and for tests alone; a test has each survive its corpus.

use std::sync::LazyLock;
use std::time::Duration;

use seawall_replay::interpreter::Interpreter;
use seawall_replay::plan::{Injection, MAX_BYTES, Plan, Poison, Step};
use seawall_replay::port::Window;
use seawall_replay::transcript::{EVENT_BYTES, Event, Transcript};

use crate::backend::{Limits, Run, RunEnd};
use crate::kvm::board::{Answer, Board, JOURNAL_LIMIT, PORT, UART};
use crate::render::{Format, renderer};
use crate::saved;
use crate::scenario::{Scenario, boot, library, parse};
use crate::{judge, timeline};

const MEMORY: std::ops::Range<u64> = 0x8000_0000..0x8400_0000;
const LIMITS: Limits = Limits {
    wall: Duration::from_secs(1),
    console_bytes: 64,
    events: 32,
};
/// Bytes that make one access: what and how wide, where in the device, and the value.
const ACCESS_BYTES: usize = 11;

/// A plan in which each kind of injection has its checkpoint.
static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let injections = [
        Injection::Hole,
        Injection::ReadOnly,
        Injection::Mend,
        Injection::Poison(Poison::Userfault),
        Injection::Poison(Poison::MemoryFailure),
        Injection::SError { syndrome: Some(1) },
        Injection::SError { syndrome: None },
        Injection::Abort {
            esr: 0x9600_0410,
            far: None,
        },
    ];
    let steps: Vec<Step> = (1..)
        .zip(injections)
        .map(|(number, injection)| Step {
            task: None,
            number,
            window: Window::Checkpoint,
            skip: 0,
            times: 3,
            injection,
        })
        .collect();
    Plan::new(&steps).unwrap_or(Plan::EMPTY)
});

static SCENARIO: LazyLock<Scenario> = LazyLock::new(|| {
    let load = library::EMBEDDED.iter().find(|(name, _)| *name == "load");
    let (name, text) = load.copied().unwrap_or_default();
    #[expect(
        clippy::expect_used,
        reason = "a scenario of this command's own, which a test reads"
    )]
    parse(name, text).expect("a built-in scenario is a good one")
});

/// A guest's accesses to its devices.
pub fn port(data: &[u8]) {
    let mut board = Board::new(MEMORY, *PLAN, &LIMITS);
    for access in data.chunks_exact(ACCESS_BYTES) {
        let Some((&[kind, low, high], value)) = access.split_first_chunk() else {
            return;
        };
        let value = value.try_into().map_or(0, u64::from_le_bytes);
        let offset = u64::from(u16::from_le_bytes([low, high]));
        let ipa = match kind >> 6 {
            0 => UART + offset,
            1 | 2 => PORT + offset,
            _ => value.wrapping_mul(offset),
        };
        let width = usize::from(kind & 0x1f);
        if kind & 0x20 != 0 {
            // What does not fit its width would be cut by the bus; nothing but that it is answered is promised.
            let _ = board.read(ipa, width);
            continue;
        }
        answer(&mut board, ipa, width, value);
    }
    board.stuck(0, 0);
    let remains = board.into_remains();
    assert!(remains.console.len() <= LIMITS.console_bytes);
    assert!(remains.events.len() <= 32 && (remains.events_lost == 0 || remains.events.len() == 32));
    if let Some(journal) = remains.journal {
        assert!(journal.start >= MEMORY.start && journal.end <= MEMORY.end);
        assert!(journal.start <= journal.end && journal.end - journal.start <= JOURNAL_LIMIT);
    }
}

/// Does what a runner does about a write.
fn answer(board: &mut Board, ipa: u64, width: usize, value: u64) {
    let in_memory = |page: u64| assert!(MEMORY.contains(&page) && page.is_multiple_of(4096));
    match board.write(ipa, width, value) {
        Answer::Done | Answer::Flooded => {}
        Answer::Nobody => {
            board.refused(ipa, value);
            board.delivered(ipa, value, ipa);
        }
        Answer::Open(cause) => {
            in_memory(cause.page());
            board.opened(cause);
            board.delivered(cause.page(), value, ipa);
        }
        Answer::Poison(cause, _) => {
            in_memory(cause.page());
            board.poisoned(cause);
            board.advised(cause.page(), 12);
            board.kept_out(cause.page());
        }
        Answer::Protect(cause) => {
            in_memory(cause.page());
            board.protected(cause);
        }
        Answer::Mend(cause) => {
            in_memory(cause.page());
            if value & 1 == 0 {
                board.mended(cause);
            } else {
                board.not_mended(cause);
            }
        }
        Answer::Pend(cause, syndrome) | Answer::PendLater(cause, syndrome, _) => {
            board.pended(cause, syndrome);
        }
        Answer::Break(cause) => {
            in_memory(cause.page());
            board.out_of_reach(cause);
        }
        Answer::Report(cause, failing) => board.reported(cause, failing),
        Answer::Enter(cause, _, esr, far) => board.entered(cause, esr, far.unwrap_or(0)),
    }
}

/// A transcript's events, their number before them, and a journal behind them: judged and reported.
pub fn journal(data: &[u8]) {
    let Some((count, rest)) = data.split_first() else {
        return;
    };
    let length = rest.len().min(usize::from(count & 0xf) * EVENT_BYTES);
    let (events, journal) = rest.split_at(length);
    let run = Run {
        end: RunEnd::PoweredOff,
        console: journal.iter().copied().take(64).collect(),
        journal: Some(journal.to_vec()),
        earlier: Vec::new(),
        events: events
            .chunks_exact(EVENT_BYTES)
            .filter_map(Event::decode)
            .collect(),
        events_lost: 0,
        wall: Duration::ZERO,
        usage: None,
    };
    let judged = judge::judge(&SCENARIO, &run, None);
    let mut report = Vec::new();
    for format in [Format::Ktap, Format::Ndjson, Format::Junit] {
        let mut renderer = renderer(format);
        for event in timeline::events(&SCENARIO, &run, &judged) {
            assert!(renderer.event(&event, &mut report).is_ok());
        }
    }
    let report = String::from_utf8_lossy(&report);
    let control = report.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(control, None, "{report}");
}

/// A scenario's text.
pub fn scenario(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match parse("fuzzed.toml", text) {
        Ok(scenario) => {
            let plan = boot::plan(&scenario.guest, &scenario.injections);
            assert!(plan.is_ok(), "{plan:?}");
            assert!(boot::arguments(&scenario.guest).starts_with("seawall.tasks="));
        }
        Err(bad) => assert!(!bad.to_string().is_empty()),
    }
}

/// A plan, which goes out as it came in and is then followed; and a transcript.
pub fn plan(data: &[u8]) {
    if let Ok(plan) = Plan::decode(data) {
        let mut bytes = [0; MAX_BYTES];
        let used = plan.encode(&mut bytes);
        let again = used.and_then(|used| Plan::decode(bytes.get(..used)?).ok());
        assert!(again.is_some_and(|again| again.steps().eq(plan.steps())));
        let mut interpreter = Interpreter::new(plan);
        for word in data.chunks_exact(8) {
            let word = word.try_into().map_or(0, u64::from_le_bytes);
            for offset in [0x20, 0x28, 0x30, 0x1000] {
                let _ = interpreter.write(offset, 8, word);
            }
        }
        // Of what is drawn from, the step that draws has the limit.
        let draw = plan
            .steps()
            .position(|step| matches!(step.injection, Injection::Draw { .. }));
        let limited = draw.map_or(usize::MAX, |draw| draw.saturating_add(1));
        let mut fired = interpreter.fired().zip(plan.steps()).take(limited);
        assert!(fired.all(|(fired, step)| step.times == 0 || fired <= step.times));
    }
    if let Ok(transcript) = Transcript::decode(data) {
        for event in transcript.events() {
            assert_eq!(Event::decode(&event.encode()), Some(event));
        }
        let _ = transcript.lost();
    }
}

/// A saved VM's file: as it is, and with the length and the digest that it would need.
pub fn saved(data: &[u8]) {
    let _ = saved::decode(data);
    let mut file = data.to_vec();
    saved::seal(&mut file);
    if let Ok(saved) = saved::decode(&file) {
        let again = saved::encode(&saved).and_then(|bytes| saved::decode(&bytes));
        assert_eq!(again.ok().as_ref(), Some(&saved));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every input of a target's corpus.
    fn corpus(target: &str) -> Vec<Vec<u8>> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        let files = std::fs::read_dir(folder.join(target)).unwrap();
        files
            .map(|file| std::fs::read(file.unwrap().path()).unwrap())
            .collect()
    }

    #[test]
    fn every_input_of_the_corpus_is_survived() {
        for (target, run) in [
            ("port", port as fn(&[u8])),
            ("journal", journal),
            ("scenario", scenario),
            ("plan", plan),
            ("saved", saved),
        ] {
            let inputs = corpus(target);
            assert!(inputs.len() > 3, "{target}");
            for input in inputs {
                run(&input);
                for cut in [input.len() / 2, input.len().saturating_sub(1)] {
                    run(input.get(..cut).unwrap_or_default());
                }
            }
        }
    }

    /// Seeds that are as they should be, so that what is fuzzed is more than the first word.
    #[test]
    fn the_corpus_reaches_behind_the_headers() {
        let is_journal = |input: &Vec<u8>| {
            let events = usize::from(input.first().copied().unwrap_or(0) & 0xf) * EVENT_BYTES;
            let journal = input.get(1 + events..).unwrap_or_default();
            seawall_agent::journal::read(journal).is_ok()
        };
        assert!(corpus("journal").iter().any(is_journal));
        let plans = corpus("plan");
        assert!(plans.iter().any(|input| Plan::decode(input).is_ok()));
        assert!(plans.iter().any(|input| Transcript::decode(input).is_ok()));
        assert!(corpus("saved").iter().any(|input| saved::decode(input).is_ok()));
        let is_scenario =
            |input: &Vec<u8>| std::str::from_utf8(input).is_ok_and(|text| parse("x.toml", text).is_ok());
        assert!(corpus("scenario").iter().any(is_scenario));
    }
}
