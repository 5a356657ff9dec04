//! Linux, under the same error: its kernel as a guest of the shim, with this command as its init.
//!
//! The runner boots the lab's kernel in the place of our guest, on the same QEMU, under the same shim and the same plan.
//! Its init (`init`, `touch`) makes the announcement that the guest's program makes, and touches its page as that does.
//! What the shim then does to it is what it does to the guest; what Linux makes of it is on its console (`told`).
//! `measure` counts what the same costs there.

mod figures;
mod orders;
mod told;

#[cfg(target_os = "linux")]
mod init;
#[cfg(target_os = "linux")]
mod measure;
#[cfg(target_os = "linux")]
mod touch;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use seawall_replay::plan::Plan;
use seawall_replay::transcript::{Event, What};

use crate::backend::{Limits, Missing, Request, Run, RunEnd, State, VmOptions};
use crate::lab::Lab;
use crate::lab::newc::Archive;
use crate::qemu::Qemu;
use crate::scenario::{ExpectedLinux, LinuxOutcome, Scenario, boot};
pub use figures::{Figure, Figures};
use orders::Orders;
use told::Told;

/// Enough for the kernel, its init, and what they grow to.
const MEMORY: u64 = 256 << 20;
/// A machine that is slower than this by far stands still.
const WALL: Duration = Duration::from_secs(120);
/// A kernel that says all of its registers and stacks says this much at most.
const CONSOLE: usize = 1 << 20;

/// A Linux that can be run.
#[derive(Debug)]
pub struct Linux {
    qemu: Qemu,
    kernel: Vec<u8>,
    kernel_path: PathBuf,
    files: Vec<u8>,
}

/// How a Linux came out of a scenario.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Compared {
    /// The kernel's version, as it says itself.
    pub kernel: Option<String>,
    /// What became of it, or why that cannot be said.
    pub outcome: Result<LinuxOutcome, String>,
    /// Its own lines that say so.
    pub lines: Vec<String>,
    /// From the machine's start to its end.
    pub wall: Duration,
}

impl Linux {
    /// Finds all parts: QEMU and the shim, the kernel, and this command built for arm64.
    ///
    /// # Errors
    /// [`Missing`], with the line that gets it.
    pub fn find(artefacts: &Path, kernel: Option<&Path>) -> Result<Self, Missing> {
        let lab = Lab::find(artefacts, kernel)?;
        let qemu = Qemu::find(artefacts)?;
        let files = files(&read(&lab.init)?)?;
        Ok(Self {
            qemu,
            kernel: read(&lab.kernel)?,
            kernel_path: lab.kernel,
            files,
        })
    }

    /// Has Linux meet what this scenario does to the guest.
    ///
    /// # Errors
    /// [`Missing`] when QEMU cannot be started; what Linux does is never an error.
    pub fn meets(&self, scenario: &Scenario, expected: ExpectedLinux) -> Result<Compared, Missing> {
        let inject = scenario.injections.first();
        let slot = |program: &String| scenario.guest.slots(program).next();
        let orders = inject.map(|inject| {
            let slot = inject.task.as_ref().and_then(slot).unwrap_or(1);
            Orders::of(expected.does, inject, slot).encode()
        });
        let oops = if expected.panic_on_oops { " oops=panic" } else { "" };
        let arguments = format!("{}={}{oops}", orders::NAME, orders.unwrap_or_default());
        let plan = boot::plan(&scenario.guest, &scenario.injections).map(|(plan, _)| plan);
        let request = Request {
            image: &self.kernel,
            memory_bytes: MEMORY,
            boot_arguments: &command_line(&arguments),
            // Checked when the scenario was read.
            plan: plan.unwrap_or(Plan::EMPTY),
            budget: None,
            limits: Limits {
                wall: WALL,
                console_bytes: CONSOLE,
                ..Limits::default()
            },
            state: State::default(),
            vm: VmOptions::default(),
        };
        let run = self.qemu.run_with(&request, &self.files)?;
        let told = Told::by(&run.console);
        let outcome = believed(&told, &run);
        Ok(Compared {
            kernel: told.kernel,
            outcome,
            lines: told.lines,
            wall: run.wall,
        })
    }
}

/// What was told is believed of a Linux to which something was done, and that came to its end.
fn believed(told: &Told, run: &Run) -> Result<LinuxOutcome, String> {
    let is_done = |event: &Event| event.step.is_some() && event.what != What::Refused;
    if !run.events.iter().any(is_done) {
        let reason = told
            .trouble
            .as_deref()
            .unwrap_or("its process never announced anything");
        return Err(format!("nothing was done to it: {reason}; {}", end(&run.end)));
    }
    if run.events.iter().any(|event| event.what == What::StillPending) {
        return Err("it never took the SError that was pended".into());
    }
    match (told.outcome.clone()?, &run.end) {
        // A kernel that stops cannot switch off.
        (LinuxOutcome::Panic, RunEnd::Reset) => Ok(LinuxOutcome::Panic),
        (outcome, RunEnd::PoweredOff) if told.done => Ok(outcome),
        (outcome, other) => Err(format!("{}, and then {}", outcome.word(), end(other))),
    }
}

fn end(end: &RunEnd) -> String {
    match end {
        RunEnd::PoweredOff => "it switched off".into(),
        RunEnd::Reset => "it started again".into(),
        RunEnd::TimedOut => "it stood still".into(),
        RunEnd::Flooded => "it did not stop to speak".into(),
        other => format!("{other:?}"),
    }
}

/// `panic=-1` has a kernel that stops start the machine again at once, and with `-no-reboot` that is its end.
fn command_line(arguments: &str) -> String {
    format!("console=ttyAMA0 quiet loglevel=3 panic=-1 rdinit=/init iomem=relaxed {arguments}")
}

fn read(path: &Path) -> Result<Vec<u8>, Missing> {
    fs::read(path).map_err(|error| Missing {
        what: format!("{}: {error}", path.display()),
        fix: "cargo xtask build".into(),
    })
}

/// The file system: init, and where it mounts what it needs.
fn files(init: &[u8]) -> Result<Vec<u8>, Missing> {
    let write = || {
        let mut archive = Archive::new();
        archive.directory("/dev")?;
        archive.directory("/proc")?;
        archive.program("/init", init)?;
        archive.finish()
    };
    write().map_err(|error: crate::lab::newc::TooLarge| Missing {
        what: error.to_string(),
        fix: "cargo xtask build".into(),
    })
}

/// Whether this process is the init of a Linux that is compared with.
#[must_use]
pub fn is_init() -> bool {
    std::process::id() == 1 && std::env::var_os(orders::NAME).is_some()
}

/// Does init's work and switches the machine off; never returns.
pub fn init() -> ! {
    #[cfg(target_os = "linux")]
    init::main();
    #[cfg(not(target_os = "linux"))]
    std::process::exit(70)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(end: RunEnd, events: &[What]) -> Run {
        let event = |what: &What| Event {
            step: Some(0),
            ..Event::of(*what)
        };
        Run {
            end,
            console: Vec::new(),
            journal: None,
            earlier: Vec::new(),
            events: events.iter().map(event).collect(),
            events_lost: 0,
            wall: Duration::ZERO,
            usage: None,
        }
    }

    #[test]
    fn an_outcome_counts_only_if_something_was_done_and_the_end_fits_it() {
        let told = |text: &str| Told::by(text.as_bytes());
        let well = told("seawall-linux: exited 0\nseawall-linux: done\n");
        let cut = told("seawall-linux: exited 0\n");
        let panicked = told("Kernel panic - not syncing: x\n");
        for (told, end, events, outcome) in [
            (
                &well,
                RunEnd::PoweredOff,
                &[What::Pended][..],
                Some(LinuxOutcome::CarriesOn),
            ),
            (&well, RunEnd::PoweredOff, &[], None),
            (&well, RunEnd::PoweredOff, &[What::Refused], None),
            (
                &well,
                RunEnd::PoweredOff,
                &[What::Pended, What::StillPending],
                None,
            ),
            (&well, RunEnd::TimedOut, &[What::Pended], None),
            (&cut, RunEnd::PoweredOff, &[What::Pended], None),
            (
                &panicked,
                RunEnd::Reset,
                &[What::Pended],
                Some(LinuxOutcome::Panic),
            ),
            (&panicked, RunEnd::TimedOut, &[What::Pended], None),
        ] {
            let end_and_events = format!("{end:?} {events:?}");
            assert_eq!(
                believed(told, &run(end, events)).ok(),
                outcome,
                "{end_and_events}"
            );
        }
    }

    #[test]
    fn the_kernel_is_told_to_end_where_it_stops() {
        let line = command_line("SEAWALL_LINUX=load,0,1,1");
        assert!(line.contains(" panic=-1 ") && line.ends_with(" SEAWALL_LINUX=load,0,1,1"));
    }
}
