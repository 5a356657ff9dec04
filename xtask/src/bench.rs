//! `cargo xtask bench`: the guest's exact numbers, each beside its limit, and along their curves.
//!
//! What is measured in the guest is a row of `host-runner/src/command/bench/rows.rs`; here come the figures of what was
//! built. A curve is a figure beside more and more of something: at each place it must be within its limit, and no higher
//! than at the first place but for so many instructions each time that there is twice as much.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::process::{bounded, shown};
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{artefacts, runner, setup};

/// The guest's Image with all its programs: what a boot loader copies.
const IMAGE_LIMIT: u64 = 192 << 10;

/// One number.
#[derive(Debug, Deserialize, PartialEq, Eq)]
struct Measure {
    name: String,
    /// `None` where it could not be measured.
    value: Option<u64>,
    unit: String,
    limit: Option<u64>,
    /// What Linux takes for the same; `None` where it was not measured, or cannot do it.
    #[serde(default)]
    linux: Option<u64>,
    /// That Linux's version.
    #[serde(default)]
    kernel: Option<String>,
}

impl Measure {
    /// Whether the number is within its limit; nothing is known of one that was not measured.
    fn is_within(&self) -> Option<bool> {
        self.value
            .map(|value| self.limit.is_none_or(|limit| value <= limit))
    }
}

/// A figure beside more and more of something.
#[derive(Debug, Deserialize, PartialEq, Eq)]
struct Curve {
    name: String,
    over: String,
    unit: String,
    places: Vec<Place>,
}

/// A place on a curve: how much there is, the figure there, and what it may be at most.
#[derive(Debug, Deserialize, PartialEq, Eq)]
struct Place {
    at: u64,
    value: Option<u64>,
    most: u64,
}

impl Place {
    fn is_within(&self) -> Option<bool> {
        self.value.map(|value| value <= self.most)
    }
}

/// All that was measured.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
    measures: Vec<Measure>,
    curves: Vec<Curve>,
}

/// `cargo xtask bench`.
pub(crate) fn run(workspace: &Workspace, check: bool) -> Result<ExitCode> {
    let ready = setup::run(workspace, None, setup::Scope::Run)?;
    artefacts::build(workspace, &ready.lab)?;
    let tally = measure(workspace)?;
    Ok(ExitCode::from(u8::from(
        tally.failed > 0 || check && tally.skipped > 0,
    )))
}

/// Measures, prints the table, and counts what is within, over, and not measured.
pub(crate) fn measure(workspace: &Workspace) -> Result<Tally> {
    let mut command = runner::command(workspace);
    command.args(["bench", "--format", "ndjson"]);
    let ended = bounded(&mut command, runner::LIMIT, false)?;
    let mut figures = figures(&ended.text)?;
    ensure!(
        !figures.measures.is_empty() && !figures.curves.is_empty(),
        "`{}` measured nothing",
        shown(&command)
    );
    figures.measures.push(image(workspace)?);
    print!("{}{}", table(&figures.measures), curves(&figures.curves));
    let of_measures = figures.measures.iter().map(Measure::is_within);
    let places = figures.curves.iter().flat_map(|curve| &curve.places);
    let mut tally = Tally::default();
    for is_within in of_measures.chain(places.map(Place::is_within)) {
        tally += is_within.map_or(Tally::SKIPPED, Tally::of);
    }
    let succeeded = ended.status.is_some_and(|status| status.success());
    ensure!(
        succeeded || tally.failed > 0,
        "`{}` did not end well: {:?}",
        shown(&command),
        ended.status
    );
    Ok(tally)
}

fn image(workspace: &Workspace) -> Result<Measure> {
    let path = workspace.artefact("seawall.Image");
    let bytes = fs::metadata(&path)
        .with_context(|| format!("no {}", path.display()))?
        .len();
    Ok(Measure {
        name: "guest Image with all programs".to_owned(),
        value: Some(bytes),
        unit: "bytes".to_owned(),
        limit: Some(IMAGE_LIMIT),
        linux: None,
        kernel: None,
    })
}

/// The `measure` and `curve` events of the runner's stream; one that cannot be read is an error, never left out.
fn figures(stream: &str) -> Result<Figures> {
    let mut found = Figures::default();
    for line in stream.lines().filter(|line| !line.trim().is_empty()) {
        let event: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
        match event["event"].as_str() {
            Some("measure") => found
                .measures
                .push(serde_json::from_value(event).with_context(|| format!("no measure: {line}"))?),
            Some("curve") => found
                .curves
                .push(serde_json::from_value(event).with_context(|| format!("no curve: {line}"))?),
            _ => {}
        }
    }
    Ok(found)
}

fn number(value: Option<u64>) -> String {
    value.map_or("n/a".to_owned(), |value| value.to_string())
}

const fn word(is_within: Option<bool>) -> &'static str {
    match is_within {
        Some(true) => "ok",
        Some(false) => "OVER",
        None => "NOT MEASURED",
    }
}

fn table(measures: &[Measure]) -> String {
    let width = measures
        .iter()
        .map(|measure| measure.name.len())
        .max()
        .unwrap_or(0);
    let mut text = format!(
        "{:width$}  {:>10}  {:>10}  {:>10}\n",
        "", "measured", "limit", "Linux"
    );
    for measure in measures {
        let verdict = word(measure.is_within());
        let (value, limit) = (number(measure.value), number(measure.limit));
        let linux = number(measure.linux);
        let (name, unit) = (&measure.name, &measure.unit);
        text.push_str(&format!(
            "{name:width$}  {value:>10}  {limit:>10}  {linux:>10}  {unit:12}  {verdict}\n"
        ));
    }
    let kernel = measures.iter().find_map(|measure| measure.kernel.as_deref());
    text.push_str(&match kernel {
        Some(kernel) => format!(
            "Linux: {kernel}, an EL0 load from where nothing is, by the virtual counter under -icount shift=0; its\n\
             cheapest round, beside the guest's dearest\n"
        ),
        None => "Linux: not measured\n".to_owned(),
    });
    text
}

/// One line for each curve: the figure and what it may be, place by place.
fn curves(curves: &[Curve]) -> String {
    let mut text = String::new();
    for curve in curves {
        let (name, over, unit) = (&curve.name, &curve.over, &curve.unit);
        text.push_str(&format!("\n{name}, {unit}, over {over}\n"));
        text.push_str(&format!("  {:>14}  {:>10}  {:>10}\n", over, "measured", "limit"));
        for place in &curve.places {
            let (at, value, most) = (place.at, number(place.value), place.most);
            let verdict = word(place.is_within());
            text.push_str(&format!("  {at:>14}  {value:>10}  {most:>10}  {verdict}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{curves, figures, table};

    #[test]
    fn measures_are_read_and_laid_beside_their_limits() {
        let stream = "{\"event\":\"started\"}\n\
            {\"event\":\"measure\",\"name\":\"svc\",\"value\":58,\"unit\":\"instructions\",\"limit\":60,\"linux\":321,\"kernel\":\"7.2\"}\n\
            {\"event\":\"measure\",\"name\":\"abort\",\"value\":601,\"unit\":\"instructions\",\"limit\":600}\n\
            {\"event\":\"measure\",\"name\":\"boot\",\"value\":null,\"unit\":\"instructions\",\"limit\":9}\n";
        let found = figures(stream).unwrap().measures;
        let verdicts: Vec<_> = found.iter().map(super::Measure::is_within).collect();
        assert_eq!(verdicts, [Some(true), Some(false), None]);
        let table = table(&found);
        assert!(
            table.contains("svc            58          60         321  instructions  ok\n"),
            "{table}"
        );
        assert!(table.contains("OVER") && table.contains("n/a") && table.contains("Linux: 7.2, "));
    }

    #[test]
    fn a_curve_is_within_place_by_place() {
        let stream = "{\"event\":\"curve\",\"name\":\"kill\",\"over\":\"tasks\",\"unit\":\"instructions\",\"limit\":600,\
            \"for_each_doubling\":8,\"places\":[{\"at\":1,\"value\":500,\"most\":500},\
            {\"at\":64,\"value\":549,\"most\":548},{\"at\":4096,\"value\":null,\"most\":596}]}\n";
        let found = figures(stream).unwrap().curves;
        let verdicts: Vec<_> = found[0].places.iter().map(super::Place::is_within).collect();
        assert_eq!(verdicts, [Some(true), Some(false), None]);
        let text = curves(&found);
        assert!(text.contains("kill, instructions, over tasks\n"), "{text}");
        assert!(
            text.contains("              64         549         548  OVER\n"),
            "{text}"
        );
    }

    #[test]
    fn a_figure_that_cannot_be_read_is_an_error() {
        assert!(figures("{\"event\":\"measure\",\"name\":\"svc\",\"value\":-1}\n").is_err());
        assert!(figures("{\"event\":\"curve\",\"name\":\"svc\"}\n").is_err());
        assert!(figures("svc 58\n").is_err());
    }
}
