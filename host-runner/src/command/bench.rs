//! `seawall bench`: what the guest's ways cost, in instructions, beside what they may cost.

mod linux;
mod rows;

use std::time::Duration;

use clap::{Args, ValueEnum};
use seawall_replay::plan::{Injection, Plan, Step};
use seawall_replay::port::Window;

use super::{ColourChoice, Exit, complain};
use crate::backend::{Backend as _, Limits, Missing, Request, Run, VmOptions};
use crate::escape;
use crate::events::{self, Event, Measure, Place};
use crate::judge::evidence::Evidence;
use crate::qemu::Qemu;
use crate::render::{Format, renderer};
use crate::run::place::PlaceArguments;
use rows::{ALONE, BOOT, CURVES, Curve, FOR_EACH_DOUBLING, Guest, ROWS, Row, most_at};

/// What `seawall bench` can be told.
#[derive(Args, Debug)]
pub(super) struct BenchArguments {
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    format: BenchFormat,
    /// Leave the curves out: nothing is measured beside other tasks or retired frames
    #[arg(long)]
    no_curves: bool,
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

/// The place on a curve, in a reported number; the figure's own is below.
const PLACE_SHIFT: u32 = 32;

/// AET = UER, DFSC = 0x11 [Arm ARM D24.2.45].
const RECOVERABLE: u32 = 0xc11;

pub(super) fn bench(arguments: &BenchArguments) -> Exit {
    if let Err(reason) = arguments.place.check() {
        return complain::about_place(&reason);
    }
    let events = match measure(arguments) {
        Ok(events) => events,
        Err(missing) => {
            complain::about_missing("qemu", &missing);
            return Exit::Environment;
        }
    };
    let figures: Vec<(Option<u64>, u64)> = events.iter().flat_map(figures_of).collect();
    let format = match arguments.format {
        BenchFormat::Text => Format::Text,
        BenchFormat::Ndjson => Format::Ndjson,
    };
    let mut renderer = renderer(format);
    let mut out = anstream::AutoStream::new(std::io::stdout(), arguments.color.anstream());
    let written = events
        .iter()
        .try_for_each(|event| renderer.event(event, &mut out));
    match complain::about_writing(written) {
        Exit::Pass => exit(&figures),
        exit => exit,
    }
}

/// Where nothing counts instructions, nothing could be measured; where something does, each figure can be.
fn exit(figures: &[(Option<u64>, u64)]) -> Exit {
    let is_within = |(value, most): &(Option<u64>, u64)| value.is_some_and(|value| value <= *most);
    if figures.iter().all(|(value, _)| value.is_none()) {
        Exit::Skipped
    } else if figures.iter().all(is_within) {
        Exit::Pass
    } else {
        Exit::Fail
    }
}

/// Each value, and what it may be at most.
fn figures_of(event: &Event) -> Vec<(Option<u64>, u64)> {
    match event {
        Event::Measure(measure) => vec![(measure.value, measure.limit)],
        Event::Curve(curve) => curve
            .places
            .iter()
            .map(|place| (place.value, place.most))
            .collect(),
        _ => Vec::new(),
    }
}

fn measure(arguments: &BenchArguments) -> Result<Vec<Event>, Missing> {
    let mut measures = measures(&evidence(&arguments.place, &ALONE)?);
    linux::beside(&mut measures, &arguments.place);
    let mut events: Vec<Event> = measures.into_iter().map(Event::Measure).collect();
    if !arguments.no_curves {
        for curve in &CURVES {
            let evidence = evidence(&arguments.place, &curve.guest)?;
            let rows = ROWS.iter().filter(|row| row.is_curve);
            events.extend(rows.map(|row| Event::Curve(along(curve, row, &evidence))));
        }
    }
    Ok(events)
}

/// What a guest reported; why it may be incomplete is said beside.
fn evidence(place: &PlaceArguments, guest: &Guest) -> Result<Evidence, Missing> {
    let run = run(place, guest)?;
    let evidence = Evidence::gather(&run);
    if evidence.ends != [seawall_replay::port::End::Done] || evidence.measures.is_empty() {
        say!(
            "seawall: the guest did not report every figure; the run ended as {:?}",
            run.end
        );
        escape::lines(&run.console)
            .iter()
            .for_each(|line| say!("guest: {line}"));
    }
    Ok(evidence)
}

/// The programs start a child for each of their rounds, in whatever slot is free; each child announces its page
/// and finds it gone. Nobody else in that guest announces anything.
fn run(place: &PlaceArguments, guest: &Guest) -> Result<Run, Missing> {
    let step = |number, window, injection| Step {
        task: None,
        number,
        window,
        skip: 0,
        times: 0,
        injection,
    };
    let steps = [
        step(1, Window::Checkpoint, Injection::Hole),
        step(
            2,
            Window::User,
            Injection::SError {
                syndrome: Some(RECOVERABLE),
            },
        ),
    ];
    // Steps that are right in themselves are always a plan.
    let plan = Plan::new(&steps).unwrap_or(Plan::EMPTY);
    let image = place.read_image()?;
    let request = Request {
        image: &image,
        memory_bytes: guest.memory,
        boot_arguments: guest.boot_arguments,
        plan,
        budget: None,
        limits: Limits {
            wall: Duration::from_secs(120),
            // Three for each of the frames that a curve retires, and more than that.
            events: 1 << 17,
            ..Limits::default()
        },
        state: crate::backend::State::default(),
        vm: VmOptions::default(),
    };
    Qemu::find(&place.folder())?.run(&request)
}

/// Of several rounds the dearest counts; zero is what a counter reads that does not count.
fn dearest(evidence: &Evidence, number: u64) -> Option<u64> {
    let values = evidence
        .measures
        .iter()
        .filter(|(known, _)| *known == number)
        .map(|(_, value)| *value);
    values.max().filter(|value| *value != 0)
}

fn measures(evidence: &Evidence) -> Vec<Measure> {
    ROWS.iter()
        .map(|row| (row.name, dearest(evidence, row.number), row.limit))
        .chain([(BOOT.0, evidence.booted.filter(|value| *value != 0), BOOT.1)])
        .map(|(name, value, limit)| Measure {
            name: name.into(),
            value,
            unit: "instructions".into(),
            limit,
            linux: None,
            kernel: None,
        })
        .collect()
}

/// One figure along one curve.
fn along(curve: &Curve, row: &Row, evidence: &Evidence) -> events::Curve {
    let value = |place: u64| dearest(evidence, row.number | place << PLACE_SHIFT);
    let [(first, _), ..] = curve.places;
    let first = value(first);
    events::Curve {
        name: row.name.into(),
        over: curve.over.into(),
        unit: "instructions".into(),
        limit: row.limit,
        for_each_doubling: FOR_EACH_DOUBLING,
        places: curve
            .places
            .into_iter()
            .map(|(place, at)| Place {
                at,
                value: value(place),
                most: most_at(row, curve, at, first),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::{CURVES, Evidence, Exit, ROWS, along, exit, measures};

    #[test]
    fn a_figure_that_is_missing_beside_others_is_a_failure() {
        assert_eq!(exit(&[(Some(60), 60), (Some(1), 2)]), Exit::Pass);
        assert_eq!(exit(&[(Some(61), 60), (Some(1), 2)]), Exit::Fail);
        assert_eq!(exit(&[(Some(60), 60), (None, 2)]), Exit::Fail);
        assert_eq!(exit(&[(None, 60), (None, 2)]), Exit::Skipped);
    }

    #[test]
    fn the_dearest_round_counts_and_zero_is_not_measured() {
        let evidence = Evidence {
            measures: vec![(1, 40), (1, 58), (2, 0)],
            booted: Some(7),
            ..Evidence::default()
        };
        let all = measures(&evidence);
        let values: Vec<_> = all.iter().map(|measure| (measure.value, measure.limit)).collect();
        assert_eq!(values[..2], [(Some(58), 60), (None, ROWS[1].limit)]);
        assert_eq!(values.last(), Some(&(Some(7), 300_000)));
    }

    #[test]
    fn a_curve_has_each_place_with_what_it_may_be() {
        let evidence = Evidence {
            measures: vec![
                (2, 900),
                (1 << 32 | 2, 400),
                (2 << 32 | 2, 410),
                (2 << 32 | 2, 449),
                (1 << 32 | 3, 1),
            ],
            ..Evidence::default()
        };
        let curve = along(&CURVES[0], &ROWS[1], &evidence);
        let places: Vec<_> = curve
            .places
            .iter()
            .map(|place| (place.at, place.value, place.most))
            .collect();
        assert_eq!(
            places,
            [(1, Some(400), 400), (64, Some(449), 448), (4096, None, 496)]
        );
        assert!(curve.is_passed());
    }
}
