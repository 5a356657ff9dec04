//! `seawall bench`: what the guest's ways cost, in instructions, beside what they may cost.

mod linux;

use std::time::Duration;

use clap::{Args, ValueEnum};
use seawall_replay::plan::{Injection, Plan, Step};
use seawall_replay::port::Window;

use super::{ColourChoice, Exit, complain};
use crate::backend::{Backend as _, Limits, Missing, Request, Run, VmOptions};
use crate::escape;
use crate::events::{Event, Measure};
use crate::judge::evidence::Evidence;
use crate::qemu::Qemu;
use crate::render::{Format, renderer};
use crate::run::place::PlaceArguments;

/// What `seawall bench` can be told.
#[derive(Args, Debug)]
pub(super) struct BenchArguments {
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    format: BenchFormat,
    #[command(flatten)]
    place: PlaceArguments,
    /// When to use colours
    #[arg(long, value_enum, default_value = "auto")]
    color: ColourChoice,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum BenchFormat {
    /// For people
    Text,
    /// One JSON object a line
    Ndjson,
}

/// The program's figures: number, what it is, and what it may be at most.
const FIGURES: [(u64, &str, u64); 3] = [
    (1, "EL0 → SVC → EL0, empty call", 60),
    (2, "SEA in EL0 → first instruction of the next task", 600),
    (0x101, "one frame of a 2 MiB block out of the linear map", 4_000),
];
const BOOT: (&str, u64) = ("first guest instruction → first EL0 instruction, 64 MiB", 300_000);
const MEMORY: u64 = 64 << 20;

pub(super) fn bench(arguments: &BenchArguments) -> Exit {
    let run = match run(&arguments.place) {
        Ok(run) => run,
        Err(missing) => {
            complain::about_missing("qemu", &missing);
            return Exit::Environment;
        }
    };
    let mut measures = measures(&Evidence::gather(&run));
    linux::beside(&mut measures, &arguments.place);
    let unmeasured = measures.iter().any(|measure| measure.value.is_none());
    if unmeasured {
        eprintln!(
            "seawall: the guest did not report every figure; the run ended as {:?}",
            run.end
        );
        escape::lines(&run.console)
            .iter()
            .for_each(|line| eprintln!("guest: {line}"));
    }
    let over = measures
        .iter()
        .any(|measure| measure.value.is_some_and(|value| value > measure.limit));
    let nothing = measures.iter().all(|measure| measure.value.is_none());
    let format = match arguments.format {
        BenchFormat::Text => Format::Text,
        BenchFormat::Ndjson => Format::Ndjson,
    };
    let mut renderer = renderer(format);
    let mut out = anstream::AutoStream::new(std::io::stdout(), arguments.color.anstream());
    let written = measures
        .into_iter()
        .try_for_each(|measure| renderer.event(&Event::Measure(measure), &mut out));
    match complain::about_writing(written) {
        Exit::Pass if over => Exit::Fail,
        Exit::Pass if nothing => Exit::Skipped,
        exit => exit,
    }
}

/// The program `bench` starts a child for each of its rounds, in whatever slot is free; each child announces its page
/// and finds it gone. Nobody else in that guest announces anything.
fn run(place: &PlaceArguments) -> Result<Run, Missing> {
    let step = Step {
        task: None,
        number: 1,
        window: Window::Checkpoint,
        skip: 0,
        times: 0,
        injection: Injection::Hole,
    };
    // One step without a syndrome is always a plan.
    let plan = Plan::new(&[step]).unwrap_or(Plan::EMPTY);
    let image = place.read_image()?;
    let request = Request {
        image: &image,
        memory_bytes: MEMORY,
        boot_arguments: "seawall.tasks=bench,bystander,bystander",
        plan,
        budget: None,
        limits: Limits {
            wall: Duration::from_secs(60),
            ..Limits::default()
        },
        state: crate::backend::State::default(),
        vm: VmOptions::default(),
    };
    Qemu::find(&place.folder())?.run(&request)
}

fn measures(evidence: &Evidence) -> Vec<Measure> {
    let measured = FIGURES.iter().map(|(number, name, limit)| {
        let values = evidence
            .measures
            .iter()
            .filter(|(known, _)| known == number)
            .map(|(_, value)| *value);
        // Of several rounds the dearest counts; zero is what a counter reads that does not count.
        measure(name, values.max(), *limit)
    });
    measured
        .chain([measure(BOOT.0, evidence.booted, BOOT.1)])
        .collect()
}

fn measure(name: &str, value: Option<u64>, limit: u64) -> Measure {
    Measure {
        name: name.into(),
        value: value.filter(|value| *value != 0),
        unit: "instructions".into(),
        limit,
        linux: None,
        kernel: None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Evidence, measures};

    #[test]
    fn the_dearest_round_counts_and_zero_is_not_measured() {
        let evidence = Evidence {
            measures: vec![(1, 40), (1, 58), (2, 0), (0x101, 9)],
            booted: Some(7),
            ..Evidence::default()
        };
        let values: Vec<_> = measures(&evidence)
            .iter()
            .map(|measure| (measure.value, measure.limit))
            .collect();
        assert_eq!(
            values,
            [(Some(58), 60), (None, 600), (Some(9), 4_000), (Some(7), 300_000)]
        );
    }
}
