//! The single checks of `cargo xtask test`, each a function from the workspace to a count.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::process::{Ended, bounded, cargo, find_program, run, say, shown};
use crate::runner;
use crate::setup::{Missing, Ready};
use crate::tally::{self, Tally};
use crate::workspace::{BARE_METAL, STATIC_ARM64, Workspace};

/// For a test that hangs; builds and Miri are slow on small machines.
const TEST_LIMIT: Duration = Duration::from_secs(30 * 60);
/// The runner's exit codes that need no explanation beyond the scenarios' own.
const SCENARIO_FAILED: i32 = 1;
const ALL_SKIPPED: i32 = 4;

fn here(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut command = cargo();
    command.current_dir(&workspace.root).args(arguments);
    command
}

/// A command that passes or fails as a whole.
fn whole(command: &mut Command) -> Result<Tally> {
    run(command)?;
    Ok(Tally::PASSED)
}

pub(crate) fn format(workspace: &Workspace) -> Result<Tally> {
    whole(&mut here(workspace, &["fmt", "--all", "--check"]))
}

pub(crate) fn clippy_host(workspace: &Workspace) -> Result<Tally> {
    whole(&mut here(
        workspace,
        &["clippy", "--all-targets", "--", "-D", "warnings"],
    ))
}

/// The half of the code that only bare metal compiles.
pub(crate) fn clippy_bare_metal(workspace: &Workspace) -> Result<Tally> {
    let mut command = here(workspace, &["clippy", "--target", BARE_METAL]);
    for package in ["seawall-firmware", "seawall-tasks", "seawall-shim"] {
        command.args(["--package", package]);
    }
    command.env("SEAWALL_BUNDLE", workspace.artefact("bundle.bin"));
    whole(command.args(["--", "-D", "warnings"]))
}

/// The half of the runner that only arm64 Linux compiles.
pub(crate) fn clippy_static_arm64(workspace: &Workspace) -> Result<Tally> {
    let package = ["--package", "seawall-host-runner", "--target", STATIC_ARM64];
    let mut command = here(workspace, &["clippy"]);
    whole(command.args(package).args(["--", "-D", "warnings"]))
}

pub(crate) fn deny(workspace: &Workspace) -> Result<Tally> {
    if find_program("cargo-deny").is_none() {
        say("left out: cargo-deny is not installed; install it: cargo install --locked cargo-deny");
        return Ok(Tally::default());
    }
    whole(&mut here(workspace, &["deny", "check"]))
}

/// A run of `cargo test`, counted by its own results.
fn counted(command: &mut Command) -> Result<Tally> {
    let ended = bounded(command, TEST_LIMIT, true)?;
    let mut tally = tally::cargo_test(&ended.text);
    let succeeded = ended.status.is_some_and(|status| status.success());
    // A run that counted nothing proves nothing, whatever it ended with.
    if tally.failed == 0 && (!succeeded || tally == Tally::default()) {
        say(ending(&ended, command));
        tally += Tally::FAILED;
    }
    Ok(tally)
}

fn ending(ended: &Ended, command: &Command) -> String {
    match ended.status {
        Some(status) => format!("`{}` ended with {status}", shown(command)),
        None => format!("`{}` was stopped: its time was up", shown(command)),
    }
}

pub(crate) fn host_tests(workspace: &Workspace) -> Result<Tally> {
    counted(&mut here(
        workspace,
        &["test", "--no-fail-fast", "--lib", "--bins", "--tests"],
    ))
}

pub(crate) fn documentation_tests(workspace: &Workspace) -> Result<Tally> {
    counted(&mut here(workspace, &["test", "--no-fail-fast", "--doc"]))
}

pub(crate) fn miri(workspace: &Workspace, ready: &Ready) -> Result<Tally> {
    match &ready.miri {
        None | Some(Ok(())) => {}
        Some(Err(Missing::NoInstaller(reason))) => {
            say(format!("SKIP Miri: {reason}"));
            return Ok(Tally::SKIPPED);
        }
        Some(Err(Missing::Failed(reason))) => bail!("Miri could not be installed: {reason}"),
    }
    let mut command = Command::new("rustup");
    command
        .current_dir(&workspace.root)
        .args(["run", "nightly", "cargo", "miri", "test", "--no-fail-fast"]);
    // What the pinned cargo told this process is not for another cargo.
    command
        .env_remove("CARGO")
        .env_remove("RUSTC")
        .env_remove("LD_LIBRARY_PATH");
    counted(command.args(["--package", "seawall-agent", "--package", "seawall-replay"]))
}

/// The runner against guests that mean harm. Without the lab those in it are a skip.
pub(crate) fn hostile_guests(workspace: &Workspace, absence: Option<&str>) -> Result<Tally> {
    let mut command = here(
        workspace,
        &[
            "test",
            "--package",
            "seawall-host-runner",
            "--test",
            "hostile",
            "--",
        ],
    );
    if let Some(reason) = absence {
        say(format!("SKIP hostile guests in the lab: {reason}"));
        let mut tally = counted(command.args(["--skip", "in_the_lab"]))?;
        tally += Tally::SKIPPED;
        return Ok(tally);
    }
    counted(&mut command)
}

/// What `seawall doctor` says of this host, and from inside the lab: it ends well, and has what the suite itself goes by.
pub(crate) fn doctor(workspace: &Workspace, absence: Option<&str>) -> Result<Tally> {
    let mut tally = Tally::default();
    let inside: &[&str] = &["--backend", "lab"];
    for (place, arguments) in [("this host", &[][..]), ("the lab", inside)] {
        if let Some(reason) = absence.filter(|_| place == "the lab") {
            say(format!("SKIP doctor in the lab: {reason}"));
            tally += Tally::SKIPPED;
            continue;
        }
        let mut command = runner::command(workspace);
        command.args(["doctor", "--format", "ndjson"]).args(arguments);
        let ended = bounded(&mut command, runner::LIMIT, false)?;
        let has = |what: &str| ended.text.lines().any(|line| line.contains(what));
        let is_well = ended.status.is_some_and(|status| status.success())
            && has(r#""event":"route""#)
            && (place != "the lab" || has("KVM_CAP_ARM_INJECT_EXT_DABT"));
        println!("{} doctor on {place}", if is_well { "ok" } else { "not ok" });
        if !is_well {
            say(ending(&ended, &command));
            say(&ended.text);
        }
        tally += Tally::of(is_well);
    }
    Ok(tally)
}

/// The check before `KVM_SET_VCPU_EVENTS` against the lab's kernel: every argument error, one by one.
pub(crate) fn events_arguments(workspace: &Workspace, absence: Option<&str>) -> Result<Tally> {
    if let Some(reason) = absence {
        say(format!("SKIP events-arguments: {reason}"));
        return Ok(Tally::SKIPPED);
    }
    let mut command = runner::command(workspace);
    command.args(["doctor", "--backend", "lab", "--format", "ndjson"]);
    let ended = bounded(&mut command, runner::LIMIT, false)?;
    let row = ended
        .text
        .lines()
        .find(|line| line.contains(r#""id":"events-arguments""#));
    let is_well = row.is_some_and(|row| row.contains(r#""ok":true"#));
    println!("{} events-arguments", if is_well { "ok" } else { "not ok" });
    say(row.unwrap_or("there is no such row"));
    Ok(Tally::of(is_well))
}

/// All scenarios in the lab once more, by a user who may open `/dev/kvm` and has no privilege: what needs none passes, and
/// what is skipped needs CAP_SYS_ADMIN.
pub(crate) fn unprivileged(workspace: &Workspace, absence: Option<&str>) -> Result<Tally> {
    if let Some(reason) = absence {
        say(format!("SKIP scenarios without privileges: {reason}"));
        return Ok(Tally::SKIPPED);
    }
    let mut command = runner::command(workspace);
    command.args(["run", "--backend", "lab", "--unprivileged", "--format", "ktap"]);
    let ended = bounded(&mut command, runner::LIMIT, true)?;
    Ok(tally::without_privileges(&ended.text))
}

/// All scenarios on one backend.
pub(crate) fn scenarios(workspace: &Workspace, backend: &str, absence: Option<&str>) -> Result<Tally> {
    let mut command = runner::command(workspace);
    command.args(["run", "--backend", backend, "--format", "ktap"]);
    let ended = bounded(&mut command, runner::LIMIT, true)?;
    let mut tally = tally::ktap(&ended.text);
    match ended.status.and_then(|status| status.code()) {
        Some(0) if tally != Tally::default() => {}
        Some(SCENARIO_FAILED) if tally.failed > 0 => {}
        Some(ALL_SKIPPED) => tally.skipped = tally.skipped.max(1),
        _ => {
            say(ending(&ended, &command));
            tally += Tally::FAILED;
        }
    }
    if let Some(reason) = absence {
        say(format!("SKIP {backend}: {reason}"));
    }
    Ok(tally)
}
