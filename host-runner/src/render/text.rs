//! Text for people: each scenario's timeline as it was, and a table at the end. Styles are always written; the stream
//! takes them out where nobody would see them.

use std::io::{self, Write};

use owo_colors::OwoColorize as _;

use super::sentences::{
    count, done, fate, held_text, injection_text, kept_out_text, random_text, row, saved_text, told_text,
    trigger_text,
};
use super::table::{self, Row};
use super::{Renderer, counted, figures, kinds, seconds};
use crate::events::{Abort, Compared, Event, Outcome, RunStarted, ScenarioStarted, Skipped, Task, Verdict};

/// So much of the console is shown of a scenario that failed.
const CONSOLE_LINES: usize = 24;

#[derive(Default)]
pub(super) struct Text {
    backend: String,
    /// One scenario is all that is run.
    is_alone: bool,
    rows: Vec<Row>,
    /// The running scenario's events, which are told once its verdict says how much of them is worth telling.
    untold: Vec<Event>,
    console: Vec<String>,
    cost: Option<u64>,
    /// What Linux does with the same.
    linux: Option<String>,
    /// Where its VM was saved to.
    file: Option<String>,
}

impl Renderer for Text {
    fn event(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()> {
        match event {
            Event::RunStarted(run) => self.run_started(run, out),
            Event::ScenarioStarted(scenario) => {
                self.tell_all(out)?;
                self.scenario_started(scenario, out)
            }
            Event::Verdict(verdict) => {
                if verdict.verdict == Outcome::Pass && kinds::are_many(&self.untold) {
                    self.tell_kinds(out)?;
                } else {
                    self.tell_all(out)?;
                }
                self.verdict(verdict, out)
            }
            Event::Skipped(skipped) => {
                self.tell_all(out)?;
                self.skipped(skipped, out)
            }
            Event::Measure(measure) => figures::measure(measure, out),
            Event::Curve(curve) => figures::curve(curve, out),
            Event::RunEnded(totals) => {
                self.tell_all(out)?;
                table::draw(&self.rows, totals, &self.backend, out)
            }
            Event::Trigger(_)
            | Event::Injection(_)
            | Event::Advice(_)
            | Event::Delivery(_)
            | Event::KeptOut(_)
            | Event::Abort(_)
            | Event::Told(_)
            | Event::Tasks(_)
            | Event::Random(_)
            | Event::Held(_)
            | Event::Console(_)
            | Event::Compared(_)
            | Event::Evacuation(_)
            | Event::Saved(_) => {
                self.untold.push(event.clone());
                Ok(())
            }
        }
    }
}

impl Text {
    fn run_started(&mut self, run: &RunStarted, out: &mut dyn Write) -> io::Result<()> {
        self.backend.clone_from(&run.backend);
        self.is_alone = run.scenarios == 1;
        let kvm = run
            .kvm
            .as_ref()
            .map(|version| format!(", KVM of Linux {version}"))
            .unwrap_or_default();
        let scenarios = counted(run.scenarios as u64, "scenario");
        writeln!(out, "{scenarios} on {}{kvm}", run.backend.bold())
    }

    fn scenario_started(&mut self, scenario: &ScenarioStarted, out: &mut dyn Write) -> io::Result<()> {
        self.console.clear();
        self.cost = None;
        self.file = None;
        self.linux.clone_from(&scenario.linux);
        let (name, title) = (scenario.scenario.bold(), &scenario.title);
        writeln!(out, "\n{} {name}  {title}", "●".cyan())?;
        if self.is_alone && !scenario.teaches.is_empty() {
            row(out, "teaches", &scenario.teaches)?;
        }
        Ok(())
    }

    fn skipped(&mut self, skipped: &Skipped, out: &mut dyn Write) -> io::Result<()> {
        self.rows.push(Row {
            name: skipped.scenario.clone(),
            outcome: None,
            aborts: Some(0),
            cost: None,
            wall_ms: 0,
            findings: Vec::new(),
        });
        writeln!(
            out,
            "\n{} {}  {}: {}",
            "○".yellow(),
            skipped.scenario.bold(),
            "skipped".yellow(),
            skipped.reason
        )?;
        if skipped.fix.is_empty() {
            Ok(())
        } else {
            row(out, "fix", &skipped.fix)
        }
    }

    /// Tells what waits, each event for itself.
    fn tell_all(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let untold = std::mem::take(&mut self.untold);
        untold.iter().try_for_each(|event| self.tell(event, out))
    }

    /// Tells what waits, what was injected and what came of it by kinds alone.
    fn tell_kinds(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let untold = std::mem::take(&mut self.untold);
        self.cost = kinds::draw(&untold, out)?;
        let others = untold.iter().filter(|event| !kinds::is_counted(event));
        others.into_iter().try_for_each(|event| self.tell(event, out))
    }

    fn tell(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()> {
        match event {
            Event::Trigger(trigger) => row(out, "trigger", &trigger_text(trigger)),
            Event::Injection(injection) => row(out, "injection", &injection_text(injection)),
            Event::Advice(advice) => {
                let (times, page) = (count(advice.times), &advice.page);
                row(
                    out,
                    "advice",
                    &format!("{times}the host tells of poison at {page} that nobody has touched"),
                )
            }
            Event::Delivery(given) => {
                let esr = if given.esr == "0x0" {
                    String::new()
                } else {
                    format!(" · ESR {}", given.esr)
                };
                row(
                    out,
                    "delivered",
                    &format!("{}synchronous external abort{esr}", count(given.times)),
                )
            }
            Event::KeptOut(kept) => row(out, "kept out", &kept_out_text(kept)),
            Event::Abort(abort) => self.abort(abort, out),
            Event::Told(told) => row(out, "told", &told_text(told)),
            Event::Tasks(tasks) => lived(&tasks.tasks, out),
            Event::Random(random) => row(out, "random", &random_text(random)),
            Event::Held(held) => row(out, "runner", &held_text(held)),
            Event::Console(console) => {
                self.console.push(console.line.clone());
                Ok(())
            }
            Event::Compared(compared) => beside(compared, out),
            Event::Evacuation(evacuation) => {
                let (reason, budget) = (&evacuation.reason, &evacuation.budget);
                row(
                    out,
                    "evacuate",
                    &format!("{reason} · the budget on a host is {budget}"),
                )
            }
            Event::Saved(saved) => {
                self.file = Some(saved.file.clone());
                row(out, "saved", &saved_text(saved))
            }
            // These are told as they come.
            Event::RunStarted(_)
            | Event::ScenarioStarted(_)
            | Event::Verdict(_)
            | Event::Skipped(_)
            | Event::Measure(_)
            | Event::Curve(_)
            | Event::RunEnded(_) => Ok(()),
        }
    }

    fn abort(&mut self, abort: &Abort, out: &mut dyn Write) -> io::Result<()> {
        self.cost = self.cost.max(abort.cost);
        let far = abort
            .far
            .as_ref()
            .map(|far| format!(" · FAR {far}"))
            .unwrap_or_default();
        let register = if abort.register == "disr" { "DISR" } else { "ESR" };
        let first = format!(
            "{}{} · {register} {}{far}",
            count(abort.times),
            abort.vector,
            abort.syndrome
        );
        row(out, "vector", &first)?;
        row(out, "decode", &abort.summary)?;
        let whom = match (&abort.program, abort.slot) {
            (Some(program), Some(slot)) => format!("charged to {program} (slot {slot})"),
            (None, Some(slot)) => format!("charged to slot {slot}"),
            (_, None) => "charged to nobody".into(),
        };
        row(
            out,
            "decision",
            &format!("{} · {}, {whom}", abort.decision.bold(), abort.severity),
        )?;
        row(out, "done", &done(abort))?;
        match abort.cost {
            Some(cost) => {
                let cost = counted(cost, "instruction");
                let of = if abort.times > 1 {
                    "at most"
                } else {
                    "from vector to record"
                };
                row(out, "cost", &format!("{cost} {of}"))
            }
            None => Ok(()),
        }
    }

    fn verdict(&mut self, verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
        self.rows.push(Row {
            name: verdict.scenario.clone(),
            outcome: Some(verdict.verdict),
            aborts: verdict.aborts,
            cost: self.cost.take(),
            wall_ms: verdict.wall_ms,
            findings: verdict.findings.clone(),
        });
        if let Some(linux) = self.linux.take() {
            row(out, "Linux", linux.trim())?;
        }
        let time = seconds(verdict.wall_ms);
        if matches!(verdict.verdict, Outcome::Saved | Outcome::Evacuated) {
            let word = table::word(verdict.verdict);
            let file = self.file.take().unwrap_or_else(|| "FILE".into());
            let (mark, word) = ("✔".cyan(), word.cyan());
            return writeln!(
                out,
                "  {mark} {word} in {time}; its verdict comes with `seawall run --restore {file}`"
            );
        }
        if verdict.verdict == Outcome::Pass {
            return writeln!(out, "  {} {} in {time}", "✔".green(), "pass".green());
        }
        for finding in &verdict.findings {
            writeln!(out, "  {} {}: {}", "✘".red(), finding.check.bold(), finding.at)?;
            writeln!(out, "      expected  {}", finding.expected)?;
            writeln!(out, "      got       {}", finding.got)?;
        }
        let hidden = self.console.len().saturating_sub(CONSOLE_LINES);
        let heading = match (self.console.len(), hidden) {
            (0, _) => "the console is empty".to_owned(),
            (_, 0) => "console:".to_owned(),
            (_, 1) => "console, without its first line:".to_owned(),
            (_, hidden) => format!("console, without its first {hidden} lines:"),
        };
        writeln!(out, "  {}", heading.dimmed())?;
        for line in self.console.drain(..).skip(hidden) {
            writeln!(out, "  {} {line}", "┆".dimmed())?;
        }
        writeln!(
            out,
            "  {} {} in {time}",
            "✘".red(),
            table::word(verdict.verdict).red().bold()
        )
    }
}

/// Linux's own words, and the two ends in a line.
fn beside(compared: &Compared, out: &mut dyn Write) -> io::Result<()> {
    let kernel = compared.kernel.as_deref().unwrap_or("of unknown version");
    let oops = if compared.panic_on_oops {
        ", with oops=panic"
    } else {
        ""
    };
    let time = seconds(compared.wall_ms);
    row(
        out,
        "in Linux",
        &format!(
            "{kernel}{oops}, a process announces and does the same ({}) · {time}",
            compared.does
        ),
    )?;
    for line in &compared.lines {
        row(out, "", line)?;
    }
    let theirs = compared.outcome.as_ref().or(compared.trouble.as_ref());
    let theirs = theirs.map_or("nothing is known", String::as_str);
    row(
        out,
        "compared",
        &format!("Linux: {} · Seawall: {}", theirs.bold(), compared.ours.bold()),
    )
}

fn lived(tasks: &[Task], out: &mut dyn Write) -> io::Result<()> {
    const SHOWN: usize = 8;
    let mut parts: Vec<String> = tasks.iter().take(SHOWN).map(fate).collect();
    if tasks.len() > SHOWN {
        parts.push(format!("{} more", tasks.len() - SHOWN));
    }
    row(out, "tasks", &parts.join(" · "))
}
