//! A saved VM goes on in another process: this command again, whose events are passed on.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::Output;
use super::keep::{Keep, saves};
use crate::child;
use crate::escape;
use crate::events::{Evacuation, Event, Finding, Outcome, Saved, Skipped, Verdict};
use crate::saved::{self, file};
use crate::scenario::Scenario;

/// To read the file, and to end.
const AROUND: Duration = Duration::from_secs(30);
/// No event is longer.
const LONGEST_LINE: u64 = 16 << 20;

/// How long a scenario may run: its own time in each process that it runs in.
pub(super) fn limit(scenario: &Scenario) -> Duration {
    let again = scenario.timeout.saturating_add(AROUND);
    scenario
        .timeout
        .saturating_add(again.saturating_mul(saves(scenario)))
}

/// Ends a scenario whose VM was saved: in the file that was asked for, or by going on.
pub(super) fn saved(scenario: &Scenario, bytes: &[u8], before: Duration, keep: &Keep, output: &mut Output) {
    end(scenario, Outcome::Saved, bytes, before, keep, output);
}

/// The same for one whose VM leaves this host; whoever is to be told of it is told once the file is there.
pub(super) fn evacuated(
    scenario: &Scenario,
    evacuation: &Evacuation,
    bytes: &[u8],
    before: Duration,
    keep: &Keep,
    output: &mut Output,
) {
    end(scenario, Outcome::Evacuated, bytes, before, keep, output);
    if let (Some(command), Some(file)) = (&keep.on_evacuate, &keep.save)
        && output.counts().evacuated > 0
        && let Err(reason) = tell(command, evacuation, file)
    {
        say!("seawall: --on-evacuate: {reason}");
    }
}

/// Runs a command by the shell, to its end. What it prints goes to standard error: standard output is for the events.
fn tell(command: &str, evacuation: &Evacuation, file: &Path) -> Result<(), String> {
    let errors = std::io::stderr().as_fd().try_clone_to_owned();
    let errors = errors.map_err(|error| format!("standard error: {error}"))?;
    let status = Command::new("sh")
        .args(["-c", command])
        .env("SEAWALL_FILE", file)
        .env("SEAWALL_SCENARIO", &evacuation.scenario)
        .env("SEAWALL_REASON", &evacuation.reason)
        .stdin(Stdio::null())
        .stdout(errors)
        .status()
        .map_err(|error| format!("sh: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("the command ended with {status}"))
    }
}

fn end(
    scenario: &Scenario,
    outcome: Outcome,
    bytes: &[u8],
    before: Duration,
    keep: &Keep,
    output: &mut Output,
) {
    let failed = match &keep.save {
        Some(path) => write(scenario, outcome, bytes, before, path, keep.overwrite, output),
        None => {
            let is_begun = outcome == Outcome::Evacuated;
            go_on(scenario, bytes, before, &keep.image, is_begun, output)
        }
    };
    if let Err(reason) = failed
        && !output.has_reported(&scenario.name)
    {
        output.event(Event::Verdict(Verdict {
            scenario: scenario.name.clone(),
            verdict: Outcome::Fail,
            wall_ms: milliseconds(before),
            aborts: None,
            findings: vec![Finding {
                check: "save".into(),
                at: "the saved VM".into(),
                expected: "to be kept, or to go on".into(),
                got: escape::text(&reason),
            }],
        }));
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Writes the file, and says so.
pub(super) fn write(
    scenario: &Scenario,
    outcome: Outcome,
    bytes: &[u8],
    before: Duration,
    path: &Path,
    overwrite: bool,
    output: &mut Output,
) -> Result<(), String> {
    // What cannot be read back is not kept, and not believed.
    let kept = saved::decode(bytes).map_err(|error| error.to_string())?;
    file::write(path, bytes, overwrite).map_err(|error| error.to_string())?;
    output.event(Event::Saved(Saved {
        scenario: scenario.name.clone(),
        file: path.display().to_string(),
        bytes: bytes.len() as u64,
        pages: kept.memory.len() as u64,
        poisoned: kept.layout.poisoned.len() as u64,
        serror_pending: kept.vcpu.serror_pending,
    }));
    output.event(Event::Verdict(Verdict {
        scenario: scenario.name.clone(),
        verdict: outcome,
        wall_ms: milliseconds(before),
        aborts: None,
        findings: Vec::new(),
    }));
    Ok(())
}

/// The other process; killed and reaped when it is no longer held.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        child::end(&mut self.0);
    }
}

fn go_on(
    scenario: &Scenario,
    bytes: &[u8],
    before: Duration,
    image: &Path,
    is_begun: bool,
    output: &mut Output,
) -> Result<(), String> {
    let cannot = |error: std::io::Error| format!("no place for the saved VM: {error}");
    let folder = tempfile::tempdir().map_err(cannot)?;
    let vm = folder.path().join("vm.seawall");
    file::write(&vm, bytes, false).map_err(|error| error.to_string())?;
    let text = folder.path().join(format!("{}.toml", scenario.name));
    std::fs::write(&text, &scenario.source).map_err(cannot)?;
    let this = std::env::current_exe().map_err(|error| format!("this command is not found: {error}"))?;
    let mut command = Command::new(this);
    command
        .args(["run", "--backend", "kvm", "--format", "ndjson"])
        .arg("--restore")
        .arg(&vm)
        .arg("--scenarios")
        .arg(&text)
        .arg("--image")
        .arg(image)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let spawned = child::bound(&mut command).spawn();
    let mut process = Process(spawned.map_err(|error| format!("this command does not run again: {error}"))?);
    let said = listen(process.0.stdout.take());
    let deadline = Instant::now() + limit(scenario) + AROUND;
    relay(scenario, &said, deadline, before, is_begun, output)?;
    if output.has_reported(&scenario.name) {
        return Ok(());
    }
    let status = process.0.wait().map_err(|error| error.to_string())?;
    Err(format!(
        "the process that went on with it gave no verdict: {status}"
    ))
}

/// Has a thread read what comes, line by line; it ends with the process.
fn listen(from: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (say, said) = mpsc::channel();
    if let Some(from) = from {
        thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            loop {
                line.clear();
                match from.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
                if say.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
            }
        });
    }
    said
}

/// Passes events on until there are no more.
fn relay(
    scenario: &Scenario,
    said: &Receiver<String>,
    deadline: Instant,
    before: Duration,
    is_begun: bool,
    output: &mut Output,
) -> Result<(), String> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = match said.recv_timeout(left) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                return Err("the process that went on with it did not end in time".into());
            }
        };
        match serde_json::from_str::<Event>(&line) {
            // This run's own are given already, or will be.
            Ok(Event::RunStarted(_) | Event::RunEnded(_)) => {}
            Ok(Event::ScenarioStarted(_)) if is_begun => {}
            Ok(
                Event::Verdict(Verdict { scenario: ref of, .. })
                | Event::Skipped(Skipped { scenario: ref of, .. }),
            ) if *of != scenario.name || output.has_reported(of) => {}
            Ok(Event::Verdict(mut verdict)) => {
                verdict.wall_ms = verdict.wall_ms.saturating_add(milliseconds(before));
                output.event(Event::Verdict(verdict));
            }
            Ok(event) => output.event(event),
            Err(_) => say!("seawall: {}", escape::text(line.trim_end())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Exit;
    use crate::render::Format;
    use crate::run::tests::{Buffer, run_started};
    use crate::scenario::library;

    const PASS: &str =
        r#"{"event":"verdict","scenario":"load","verdict":"pass","wall_ms":1,"aborts":1,"findings":[]}"#;

    fn load() -> Scenario {
        let all = library::load(&[]).unwrap();
        library::select(all, &["=load".into()], &[]).unwrap().remove(0)
    }

    fn relayed(lines: &[&str], deadline: Duration) -> (Result<(), String>, Exit, String) {
        let buffer = Buffer::default();
        let mut output = Output::to(Box::new(buffer.clone()), Format::Ndjson);
        output.event(Event::RunStarted(run_started(1)));
        let (say, said) = mpsc::channel();
        lines
            .iter()
            .for_each(|line| say.send((*line).to_owned()).unwrap());
        if deadline > Duration::ZERO {
            drop(say);
        } else {
            std::mem::forget(say);
        }
        let before = Duration::from_millis(10);
        let result = relay(
            &load(),
            &said,
            Instant::now() + deadline,
            before,
            false,
            &mut output,
        );
        (result, output.finish(), buffer.text())
    }

    #[test]
    fn the_other_process_gives_the_verdict_once_and_for_its_scenario_alone() {
        let foreign = PASS.replace("load", "store");
        let ended = r#"{"event":"run-ended","passed":9,"failed":0,"skipped":0,"timed_out":0,"wall_ms":1}"#;
        let lines = ["junk", &foreign, PASS, &PASS.replace("pass", "fail"), ended];
        let (result, exit, text) = relayed(&lines, Duration::from_secs(60));
        assert_eq!((result, exit), (Ok(()), Exit::Pass));
        assert!(text.contains(r#""wall_ms":11"#), "{text}");
        assert_eq!(text.matches("\"verdict\"").count(), 2, "{text}");
        assert_eq!(text.matches("run-started").count(), 1);
    }

    #[test]
    fn silence_ends_with_the_clock() {
        let (result, exit, _) = relayed(&[], Duration::ZERO);
        assert!(result.unwrap_err().contains("in time"));
        assert_eq!(exit, Exit::Fail);
    }

    #[test]
    fn who_is_told_of_an_evacuation_is_told_what_why_and_where() {
        let evacuation = Evacuation {
            scenario: "load".into(),
            reason: "3 poisoned pages; the budget allows 2".into(),
            pages: Some(3),
            budget: "pages=2".into(),
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vm.seawall");
        let command = r#"printf %s "$SEAWALL_SCENARIO|$SEAWALL_REASON|$SEAWALL_FILE" > "$SEAWALL_FILE.told""#;
        tell(command, &evacuation, &file).unwrap();
        let told = std::fs::read_to_string(folder.path().join("vm.seawall.told")).unwrap();
        let expected = format!("load|3 poisoned pages; the budget allows 2|{}", file.display());
        assert_eq!(told, expected);
        assert!(tell("exit 3", &evacuation, &file).unwrap_err().contains('3'));
    }

    #[test]
    fn a_file_that_is_none_is_a_failure_and_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let keep = Keep {
            save: Some(folder.path().join("vm.seawall")),
            ..Keep::default()
        };
        let buffer = Buffer::default();
        let mut output = Output::to(Box::new(buffer.clone()), Format::Ndjson);
        saved(&load(), b"nothing", Duration::ZERO, &keep, &mut output);
        assert_eq!(output.finish(), Exit::Fail);
        assert!(buffer.text().contains("not a saved VM"), "{}", buffer.text());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
