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

pub(crate) fn ending(ended: &Ended, command: &Command) -> String {
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
            "--test",
            "out_of_reach",
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

/// Errors that a seed draws, again from the same seed and from another, on QEMU.
pub(crate) fn drawn_errors(workspace: &Workspace) -> Result<Tally> {
    let package = ["test", "--package", "seawall-host-runner", "--test", "random"];
    counted(&mut here(workspace, &package))
}

/// Saved VMs: what is in a file counts, and what does not fit is refused. All of it is in the lab.
pub(crate) fn saved_vms(workspace: &Workspace, ready: &Ready) -> Result<Tally> {
    if let Err(reason) = &ready.lab {
        say(format!("SKIP saved VMs: {reason}"));
        return Ok(Tally::SKIPPED);
    }
    let package = ["test", "--package", "seawall-host-runner"];
    let mut command = here(workspace, &package);
    // What is saved on one kernel goes on under the other.
    if let Some(Ok(other)) = &ready.older {
        command.env("SEAWALL_OTHER_KERNEL", &other.image);
    }
    counted(command.args(["--test", "saved"]))
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
    let (tally, _) = run_scenarios(&mut runner::command(workspace), &["--backend", backend])?;
    if let Some(reason) = absence {
        say(format!("SKIP {backend}: {reason}"));
    }
    Ok(tally)
}

/// All scenarios in the lab on a kernel without the exit: those that need it are skipped with that reason, and no others.
pub(crate) fn scenarios_on_older(workspace: &Workspace, ready: &Ready) -> Result<Tally> {
    let kernel = match &ready.older {
        Some(Ok(kernel)) => kernel,
        Some(Err(reason)) => {
            say(format!("SKIP the lab on an older kernel: {reason}"));
            return Ok(Tally::SKIPPED);
        }
        None => return Ok(Tally::default()),
    };
    let (mut tally, text) =
        run_scenarios(&mut runner::with_kernel(workspace, kernel), &["--backend", "lab"])?;
    for skip in text.lines().filter(|line| line.contains("# SKIP")) {
        // What is skipped for what the kernel lacks is as it should be.
        if skip.contains("KVM_CAP_ARM_SEA_TO_USER") {
            tally.skipped = tally.skipped.saturating_sub(1);
            tally.passed += 1;
        }
    }
    Ok(tally)
}

/// Each scenario that says what Linux does with the same, in our guest and in Linux.
pub(crate) fn compared(workspace: &Workspace, absence: Option<&str>) -> Result<Tally> {
    let (tally, _) = run_scenarios(&mut runner::command(workspace), &["--compare", "linux"])?;
    if let Some(reason) = absence {
        say(format!("SKIP Linux beside the guest: {reason}"));
    }
    Ok(tally)
}

/// Runs all scenarios; gives the counts and the KTAP they were counted from.
fn run_scenarios(command: &mut Command, how: &[&str]) -> Result<(Tally, String)> {
    command.arg("run").args(how).args(["--format", "ktap"]);
    let ended = bounded(command, runner::LIMIT, true)?;
    let mut tally = tally::ktap(&ended.text);
    match ended.status.and_then(|status| status.code()) {
        Some(0) if tally != Tally::default() => {}
        Some(SCENARIO_FAILED) if tally.failed > 0 => {}
        Some(ALL_SKIPPED) => tally.skipped = tally.skipped.max(1),
        _ => {
            say(ending(&ended, command));
            tally += Tally::FAILED;
        }
    }
    Ok((tally, ended.text))
}
