//! The bare guest, with nobody to replay anything, on every machine of a matrix: it boots by itself, makes no
//! false report, and powers off with its verdict.

use std::fmt;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::process::{Ended, bounded};
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{artefacts, setup};

const LIMIT: Duration = Duration::from_secs(60);
const AT_A_TIME: usize = 2;
/// What is shown of a console that was not as it should be.
const LAST_LINES: usize = 25;

/// One machine of the matrix.
#[derive(Debug, Clone, Copy)]
struct Machine {
    gic: u8,
    el2: bool,
    cpu: &'static str,
    memory: &'static str,
}

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = if self.el2 { "EL2" } else { "EL1" };
        write!(formatter, "GICv{} {} {} {entry}", self.gic, self.cpu, self.memory)
    }
}

fn matrix() -> Vec<Machine> {
    let mut machines = Vec::new();
    for gic in [2, 3] {
        for el2 in [false, true] {
            for cpu in ["cortex-a57", "cortex-a72", "neoverse-n1", "max"] {
                for memory in ["64M", "2G"] {
                    machines.push(Machine {
                        gic,
                        el2,
                        cpu,
                        memory,
                    });
                }
            }
        }
    }
    machines
}

/// `cargo xtask boots`.
pub(crate) fn run(workspace: &Workspace) -> Result<ExitCode> {
    let ready = setup::run(workspace, None, setup::Scope::Run)?;
    artefacts::build(workspace, &ready.lab)?;
    let tally = boot_all(workspace);
    println!("{tally}");
    Ok(ExitCode::from(u8::from(tally.failed > 0)))
}

/// Boots the matrix, two machines at a time, and prints each as it ends.
pub(crate) fn boot_all(workspace: &Workspace) -> Tally {
    let waiting = Mutex::new(matrix().into_iter());
    let total = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(machine) = waiting.lock().ok().and_then(|mut machines| machines.next()) {
                    let tally = boot(workspace, machine);
                    if let Ok(mut sum) = total.lock() {
                        *sum += tally;
                    }
                }
            });
        }
    });
    total.into_inner().unwrap_or(Tally::FAILED)
}

fn boot(workspace: &Workspace, machine: Machine) -> Tally {
    let start = Instant::now();
    let virtualization = if machine.el2 { ",virtualization=on" } else { "" };
    let mut command = Command::new("qemu-system-aarch64");
    command
        .arg("-M")
        .arg(format!("virt,gic-version={}{virtualization}", machine.gic))
        .args([
            "-cpu",
            machine.cpu,
            "-m",
            machine.memory,
            "-nographic",
            "-nic",
            "none",
            "-kernel",
        ])
        .arg(workspace.artefact("seawall.Image"));
    let (problem, console) = match bounded(&mut command, LIMIT, false) {
        Ok(ended) => (problem(&ended), ended.text),
        Err(error) => (Some(format!("{error:#}")), String::new()),
    };
    let time = start.elapsed().as_secs_f32();
    let Some(problem) = problem else {
        println!("ok {machine} ({time:.1} s)");
        return Tally::PASSED;
    };
    let lines: Vec<&str> = console.lines().collect();
    let last = lines[lines.len().saturating_sub(LAST_LINES)..]
        .iter()
        .map(|line| format!("    | {}\n", line.escape_debug()))
        .collect::<String>();
    println!("not ok {machine} ({time:.1} s): {problem}\n{last}");
    Tally::FAILED
}

/// What is wrong with how a boot ended, if anything is.
fn problem(ended: &Ended) -> Option<String> {
    let Some(status) = ended.status else {
        return Some(format!("still running after {} s", LIMIT.as_secs()));
    };
    if !status.success() {
        return Some(format!("QEMU ended with {status}"));
    }
    if ended.text.contains("epitaph") {
        return Some("the guest left an epitaph".to_owned());
    }
    if !ended
        .text
        .lines()
        .any(|line| line.starts_with("seawall: verdict: clean"))
    {
        return Some("no clean verdict".to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::{matrix, problem};
    use crate::process::Ended;

    fn check(code: Option<i32>, text: &str, expected: Option<&str>) {
        let status = code.map(|code| ExitStatus::from_raw(code << 8));
        let found = problem(&Ended {
            status,
            text: text.to_owned(),
        });
        assert_eq!(found.is_some(), expected.is_some(), "{found:?}");
        assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()));
    }

    #[test]
    fn boot_counts_only_with_a_clean_verdict_and_by_itself() {
        let clean = "seawall: 64 MiB\r\nseawall: verdict: clean, 3 tasks\r\n";
        check(Some(0), clean, None);
        check(None, clean, Some("still running"));
        check(Some(1), clean, Some("ended with"));
        check(Some(0), "seawall: verdict: lost\n", Some("no clean verdict"));
        check(Some(0), "> seawall: verdict: clean\n", Some("no clean verdict"));
        check(
            Some(0),
            &format!("{clean}seawall: epitaph: SEA\n"),
            Some("epitaph"),
        );
    }

    #[test]
    fn matrix_has_every_combination() {
        assert_eq!(matrix().len(), 2 * 2 * 4 * 2);
    }
}
