//! What the rows of a timeline say, in words.

use std::io::{self, Write};

use owo_colors::OwoColorize as _;

use super::counted;
use crate::events::{Abort, Held, Injected, KeptOut, Random, Saved, Task, Told, Trigger};
use crate::width::broken;

/// Column at which long sentences are broken.
const WIDTH: usize = 96;

pub(super) fn kept_out_text(kept: &KeptOut) -> String {
    if kept.times == 1 {
        format!("the page at {} is out of stage 2 for good", kept.page)
    } else {
        format!("{} pages are out of stage 2 for good", kept.times)
    }
}

pub(super) fn saved_text(saved: &Saved) -> String {
    let (file, bytes, pages) = (
        &saved.file,
        counted(saved.bytes, "byte"),
        counted(saved.pages, "page"),
    );
    let out_of_use = match saved.poisoned {
        0 => String::new(),
        count => format!(", {count} poisoned left out"),
    };
    let pending = if saved.serror_pending {
        ", an SError pending"
    } else {
        ""
    };
    format!("{file} · {bytes}, {pages}{out_of_use}{pending}")
}

pub(super) fn random_text(random: &Random) -> String {
    format!(
        "seed {} · {} at {} · decisions {} · journal {}",
        random.seed,
        counted(random.errors.into(), "error"),
        counted(random.announcements, "announcement"),
        random.decisions,
        random.journal
    )
}

pub(super) fn told_text(told: &Told) -> String {
    let program = told.program.as_deref().unwrap_or("nobody");
    let (slot, address, frame) = (told.slot, &told.address, &told.frame);
    match &told.touch {
        Some(decision) => {
            format!("{program} (slot {slot}) touches {address}, lost with frame {frame} · {decision}")
        }
        None if told.more > 0 => {
            format!(
                "{program} (slot {slot}) loses {address} with frame {frame}, and {}",
                match told.more {
                    1 => "another one does".to_owned(),
                    more => format!("{more} others do"),
                }
            )
        }
        None => format!("{program} (slot {slot}) loses {address} with frame {frame}"),
    }
}

pub(super) fn held_text(held: &Held) -> String {
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

pub(super) fn trigger_text(trigger: &Trigger) -> String {
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

pub(super) fn injection_text(injection: &Injected) -> String {
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

pub(super) fn done(abort: &Abort) -> String {
    let fate = match abort.decision.as_str() {
        "carry-on" if abort.slot.is_none() => "the kernel goes on where it was",
        "carry-on" => "the task goes on where it was",
        "heal" => "the page is restored in another frame, and the task goes on where it was",
        "fail-copy" if abort.slot.is_none() => "the kernel takes another frame in its place",
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

pub(super) fn fate(task: &Task) -> String {
    let restarts = if task.restarts > 0 {
        format!(" after {}", counted(task.restarts.into(), "restart"))
    } else {
        String::new()
    };
    let name = &task.program;
    if task.damage > 0 {
        let damages = counted(task.damage, "damage");
        return format!("{name} {} with {damages}", task.state);
    }
    if task.bystander && task.progress > task.progress_at_last_abort {
        return format!(
            "{name} unharmed, +{}",
            task.progress - task.progress_at_last_abort
        );
    }
    format!("{name} {}{restarts}", task.state)
}

pub(super) fn count(times: u32) -> String {
    if times > 1 {
        format!("{times} × ")
    } else {
        String::new()
    }
}

/// One row of a timeline, broken into lines at words.
pub(super) fn row(out: &mut dyn Write, label: &str, text: &str) -> io::Result<()> {
    let mut label = label;
    for line in broken(text, WIDTH - 14) {
        let styled = if label.is_empty() {
            " ".repeat(10)
        } else {
            format!("{label:<10}").dimmed().to_string()
        };
        writeln!(out, "  {} {styled} {line}", "│".dimmed())?;
        label = "";
    }
    Ok(())
}
