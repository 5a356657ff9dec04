//! Text for people: each scenario's timeline as it was, and a table at the end. Styles are always written; the stream
//! takes them out where nobody would see them.

use std::io::{self, Write};

use owo_colors::OwoColorize as _;

use super::table::{self, Row};
use super::{Renderer, figures, seconds};
use crate::events::{Abort, Compared, Event, Held, Injected, Outcome, Random, Task, Told, Trigger, Verdict};

/// So much of the console is shown of a scenario that failed.
const CONSOLE_LINES: usize = 24;
/// Column at which long sentences are broken.
const WIDTH: usize = 96;

#[derive(Default)]
pub(super) struct Text {
    backend: String,
    rows: Vec<Row>,
    console: Vec<String>,
    cost: Option<u64>,
    /// What Linux does with the same.
    linux: Option<String>,
}

impl Renderer for Text {
    fn event(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()> {
        match event {
            Event::RunStarted(run) => {
                self.backend.clone_from(&run.backend);
                let kvm = run
                    .kvm
                    .as_ref()
                    .map(|version| format!(", KVM of Linux {version}"))
                    .unwrap_or_default();
                let plural = if run.scenarios == 1 { "" } else { "s" };
                writeln!(
                    out,
                    "{} scenario{plural} on {}{kvm}",
                    run.scenarios,
                    run.backend.bold()
                )
            }
            Event::ScenarioStarted(scenario) => {
                self.console.clear();
                self.cost = None;
                self.linux.clone_from(&scenario.linux);
                writeln!(
                    out,
                    "\n{} {}  {}",
                    "●".cyan(),
                    scenario.scenario.bold(),
                    scenario.title
                )
            }
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
            Event::KeptOut(kept) => {
                let what = if kept.times == 1 {
                    format!("the page at {} is", kept.page)
                } else {
                    format!("{} pages are", kept.times)
                };
                row(out, "kept out", &format!("{what} out of stage 2 for good"))
            }
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
                let (file, bytes, pages) = (&saved.file, saved.bytes, saved.pages);
                let out_of_use = match saved.poisoned {
                    0 => String::new(),
                    count => format!(", {count} poisoned left out"),
                };
                let pending = if saved.serror_pending {
                    ", an SError pending"
                } else {
                    ""
                };
                row(
                    out,
                    "saved",
                    &format!("{file} · {bytes} bytes, {pages} pages{out_of_use}{pending}"),
                )
            }
            Event::Verdict(verdict) => self.verdict(verdict, out),
            Event::Skipped(skipped) => {
                self.rows.push(Row {
                    name: skipped.scenario.clone(),
                    outcome: None,
                    aborts: 0,
                    cost: None,
                    wall_ms: 0,
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
            Event::Measure(measure) => figures::measure(measure, out),
            Event::Curve(curve) => figures::curve(curve, out),
            Event::RunEnded(totals) => table::draw(&self.rows, totals, &self.backend, out),
        }
    }
}

impl Text {
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
            Some(cost) if abort.times > 1 => row(out, "cost", &format!("{cost} instructions at most")),
            Some(cost) => row(out, "cost", &format!("{cost} instructions from vector to record")),
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
        });
        if let Some(linux) = self.linux.take() {
            row(out, "Linux", linux.trim())?;
        }
        let time = seconds(verdict.wall_ms);
        if matches!(verdict.verdict, Outcome::Saved | Outcome::Evacuated) {
            let word = "saved, to be judged once it is restored";
            return writeln!(out, "  {} {} in {time}", "✔".cyan(), word.cyan());
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

fn random_text(random: &Random) -> String {
    format!(
        "seed {} · {} errors at {} announcements · decisions {} · journal {}",
        random.seed, random.errors, random.announcements, random.decisions, random.journal
    )
}

fn told_text(told: &Told) -> String {
    let program = told.program.as_deref().unwrap_or("nobody");
    let (slot, address, frame) = (told.slot, &told.address, &told.frame);
    match &told.touch {
        Some(decision) => {
            format!("{program} (slot {slot}) touches {address}, lost with frame {frame} · {decision}")
        }
        None if told.more > 0 => {
            format!(
                "{program} (slot {slot}) loses {address} with frame {frame}, and {} others do",
                told.more
            )
        }
        None => format!("{program} (slot {slot}) loses {address} with frame {frame}"),
    }
}

fn held_text(held: &Held) -> String {
    let kib = |bytes: u64| bytes / 1024;
    let change = |before: u64, after: u64| {
        if before == after {
            format!("{after}")
        } else {
            format!("{before}, then {after}")
        }
    };
    format!(
        "held {} KiB beside the guest's memory · {} descriptors",
        change(kib(held.bytes_before), kib(held.bytes_after)),
        change(held.descriptors_before, held.descriptors_after)
    )
}

fn trigger_text(trigger: &Trigger) -> String {
    if trigger.window.as_deref() == Some("start") {
        return format!("{}before the guest's first instruction", count(trigger.times));
    }
    let who = trigger.program.as_deref().unwrap_or("a task");
    let place = match trigger.window.as_deref() {
        Some("border") => "at the kernel's border, checkpoint",
        Some("kernel") => "in the kernel, checkpoint",
        Some("user") => "running in EL0, checkpoint",
        Some("masked") => "in the kernel with SErrors masked, checkpoint",
        Some("copy") => "at the kernel's copy of its memory, checkpoint",
        Some("handler") => "in the kernel that handles an error, checkpoint",
        _ => "at its checkpoint",
    };
    let number = trigger.checkpoint;
    let page = trigger
        .page
        .as_ref()
        .map(|page| match trigger.window.as_deref() {
            Some("copy") => format!(", the page at {page}"),
            _ => format!(", about to touch the page at {page}"),
        })
        .unwrap_or_default();
    format!(
        "{}{who} (slot {}) {place} {number}{page}",
        count(trigger.times),
        trigger.slot
    )
}

fn injection_text(injection: &Injected) -> String {
    let what = match (injection.route.as_str(), &injection.syndrome) {
        ("hole", _) => "the page is taken out of stage 2".to_owned(),
        ("uffd", _) => "the memory behind the page is poisoned, by UFFDIO_POISON".to_owned(),
        ("hwpoison", _) => "the memory behind the page is poisoned, by MADV_HWPOISON".to_owned(),
        ("hwpoison-early", _) => {
            "the memory behind the page is taken offline by the host, which tells of it".to_owned()
        }
        ("bus-objerr", _) => "the page is gone, and an access is told as BUS_OBJERR".to_owned(),
        ("bus-objerr-bare", _) => {
            "the page is gone, and an access is told as BUS_OBJERR without an address".to_owned()
        }
        ("read-only", _) => "the page can no longer be written".to_owned(),
        ("mend", _) => "the page is as it was again".to_owned(),
        ("patrol", _) => "a patrol scrubber reports an error in the page, which nobody has met".to_owned(),
        ("save", _) => "the VM is saved, and goes on from there".to_owned(),
        ("self", _) => "the access is left to KVM, which aborts it by itself".to_owned(),
        ("sea-exit", Some(syndrome)) => format!("the host takes an abort for the guest, ESR_EL2 {syndrome}"),
        ("registers", Some(syndrome)) => format!("an abort is entered by its registers, ESR {syndrome}"),
        ("serror", Some(syndrome)) => format!("a virtual SError is pended, ISS {syndrome}"),
        ("serror", None) => "a virtual SError is pended without a syndrome".to_owned(),
        (other, Some(syndrome)) => format!("by the route {other}, {syndrome}"),
        (other, None) => format!("by the route {other}"),
    };
    format!("{}{what}", count(injection.times))
}

fn done(abort: &Abort) -> String {
    let fate = match abort.decision.as_str() {
        "carry-on" if abort.slot.is_none() => "the kernel goes on where it was",
        "carry-on" => "the task goes on where it was",
        "heal" => "the page is had again in another frame, and the task goes on where it was",
        "fail-copy" => "the kernel's copy ends with an error",
        "signal" => "the task's own handler is told",
        "restart" => "the task begins again",
        "kill" => "the task is gone",
        "isolate" => "the task is stopped and kept",
        "halt" => "the guest stops, with an epitaph",
        _ => "",
    };
    match &abort.frame {
        Some(frame) if abort.decision != "halt" => format!("{fate}; frame {frame} is retired for good"),
        _ => fate.to_owned(),
    }
}

fn lived(tasks: &[Task], out: &mut dyn Write) -> io::Result<()> {
    const SHOWN: usize = 8;
    let mut parts: Vec<String> = tasks.iter().take(SHOWN).map(fate).collect();
    if tasks.len() > SHOWN {
        parts.push(format!("{} more", tasks.len() - SHOWN));
    }
    row(out, "tasks", &parts.join(" · "))
}

fn fate(task: &Task) -> String {
    let restarts = if task.restarts > 0 {
        format!(" after {} restarts", task.restarts)
    } else {
        String::new()
    };
    let name = &task.program;
    if task.damage > 0 {
        return format!("{name} {} with {} damages", task.state, task.damage);
    }
    if task.bystander && task.progress > task.progress_at_last_abort {
        return format!(
            "{name} unharmed, +{}",
            task.progress - task.progress_at_last_abort
        );
    }
    format!("{name} {}{restarts}", task.state)
}

fn count(times: u32) -> String {
    if times > 1 {
        format!("{times} × ")
    } else {
        String::new()
    }
}

/// One row of a timeline, broken into lines at words.
fn row(out: &mut dyn Write, label: &str, text: &str) -> io::Result<()> {
    let mut label = format!("{label:<10}");
    let mut line = String::new();
    for word in text.split_ascii_whitespace() {
        if !line.is_empty() && line.chars().count() + word.chars().count() + 1 > WIDTH - 14 {
            writeln!(out, "  {} {} {line}", "│".dimmed(), label.dimmed())?;
            label = " ".repeat(10);
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(out, "  {} {} {line}", "│".dimmed(), label.dimmed())
}
