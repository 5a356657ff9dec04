//! `cargo xtask bench`: the guest's exact numbers, each beside its limit.

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
const IMAGE_LIMIT: u64 = 128 << 10;

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
    let mut measures = measures(&ended.text)?;
    ensure!(!measures.is_empty(), "`{}` measured nothing", shown(&command));
    measures.push(image(workspace)?);
    print!("{}", table(&measures));
    let mut tally = Tally::default();
    for measure in &measures {
        tally += measure.is_within().map_or(Tally::SKIPPED, Tally::of);
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

/// The `measure` events of the runner's stream; a measure that cannot be read is an error, never left out.
fn measures(stream: &str) -> Result<Vec<Measure>> {
    let mut found = Vec::new();
    for line in stream.lines().filter(|line| !line.trim().is_empty()) {
        let event: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
        if event["event"] == "measure" {
            found.push(serde_json::from_value(event).with_context(|| format!("no measure: {line}"))?);
        }
    }
    Ok(found)
}

fn table(measures: &[Measure]) -> String {
    let number = |value: Option<u64>| value.map_or("n/a".to_owned(), |value| value.to_string());
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
        let verdict = match measure.is_within() {
            Some(true) => "ok",
            Some(false) => "OVER",
            None => "NOT MEASURED",
        };
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

#[cfg(test)]
mod tests {
    use super::{measures, table};

    #[test]
    fn measures_are_read_and_laid_beside_their_limits() {
        let stream = "{\"event\":\"started\"}\n\
            {\"event\":\"measure\",\"name\":\"svc\",\"value\":58,\"unit\":\"instructions\",\"limit\":60,\"linux\":321,\"kernel\":\"7.2\"}\n\
            {\"event\":\"measure\",\"name\":\"abort\",\"value\":601,\"unit\":\"instructions\",\"limit\":600}\n\
            {\"event\":\"measure\",\"name\":\"boot\",\"value\":null,\"unit\":\"instructions\",\"limit\":9}\n";
        let found = measures(stream).unwrap();
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
    fn measure_that_cannot_be_read_is_an_error() {
        assert!(measures("{\"event\":\"measure\",\"name\":\"svc\",\"value\":-1}\n").is_err());
        assert!(measures("svc 58\n").is_err());
    }
}
