//! Set-up: looks first, installs only what is missing, and says what it cannot install with the line that would.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::kernel::{self, Kernel, Which};
use crate::process::{Environment, capture, find_program, say};
use crate::workspace::{BARE_METAL, STATIC_ARM64, Workspace};
use crate::{process, qemu};

/// How much is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Compile and lay out the artefacts.
    Build,
    /// And run them.
    Run,
    /// And check them in every way.
    Test,
}

/// What is there after set-up.
#[derive(Debug)]
pub(crate) struct Ready {
    /// The lab's kernel, or why there is none and how to mend it: the lab is then skipped.
    pub(crate) lab: Result<Kernel, String>,
    /// A kernel from before `KVM_EXIT_ARM_SEA`; `None` if it was not asked for.
    pub(crate) older: Option<Result<Kernel, String>>,
    /// Miri; `None` if it was not asked for.
    pub(crate) miri: Option<Result<(), Missing>>,
}

/// Why a tool of the tests is not there.
#[derive(Debug)]
pub(crate) enum Missing {
    /// There is nothing here that could install it.
    NoInstaller(String),
    /// It was tried, and failed.
    Failed(String),
}

impl Ready {
    /// What `cargo xtask setup` ends with.
    pub(crate) fn report(&self) {
        if let Ok(kernel) = &self.lab {
            say(format!(
                "everything is in place; the lab boots Linux {}",
                kernel.version
            ));
        } else {
            say("everything but the lab is in place");
        }
    }
}

pub(crate) fn run(workspace: &Workspace, kernel: Option<&Path>, scope: Scope) -> Result<Ready> {
    rust(workspace)?;
    if scope != Scope::Build {
        qemu::ensure()?;
    }
    let lab = match kernel {
        Some(path) => Ok(kernel::by_hand(path).map_err(|error| Environment(format!("{error:#}")))?),
        None => kernel::ensure(workspace, Which::Newest).map_err(|error| format!("{error:#}")),
    };
    let lab = lab.map_err(|reason| {
        let fix = "name an arm64 Linux Image, 6.12 or later, by `--kernel PATH` or SEAWALL_KERNEL=PATH";
        let reason = format!("{reason}; {fix}");
        say(format!("SKIP lab: {reason}"));
        reason
    });
    let is_test = scope == Scope::Test;
    let older = is_test.then(|| older(workspace));
    let miri = is_test.then(miri);
    Ok(Ready { lab, older, miri })
}

/// The older kernel that the tests boot beside the lab's own. Without a second one to be had, they say so.
fn older(workspace: &Workspace) -> Result<Kernel, String> {
    let named = std::env::var_os("SEAWALL_OLDER_KERNEL").filter(|named| !named.is_empty());
    let found = match named {
        Some(path) => kernel::by_hand(Path::new(&path)),
        None => kernel::ensure(workspace, Which::Older),
    };
    found.map_err(|error| {
        let fix = "name an arm64 Linux Image from 6.12 to 6.18 by SEAWALL_OLDER_KERNEL=PATH";
        let reason = format!("{error:#}; {fix}");
        say(format!("SKIP the lab on an older kernel: {reason}"));
        reason
    })
}

/// Targets and components of the pinned toolchain. `rust-toolchain.toml` names them too, but
/// `RUSTUP_AUTO_INSTALL=0` keeps rustup from acting on it.
fn rust(workspace: &Workspace) -> Result<()> {
    let targets = [BARE_METAL, STATIC_ARM64];
    if find_program("rustup").is_none() {
        return distribution_rust(&targets);
    }
    let toolchain = &workspace.toolchain;
    let listed = capture(rustup("target", toolchain).args(["list", "--installed"]));
    let installed = listed.with_context(|| {
        Environment(format!(
            "the pinned toolchain is missing; install it: rustup toolchain install {toolchain}"
        ))
    })?;
    let missing = absent(&installed, &targets);
    if !missing.is_empty() {
        say(format!("rustup: adding targets {}", missing.join(", ")));
        run_rustup(rustup("target", toolchain).arg("add").args(missing))?;
    }
    let installed = capture(rustup("component", toolchain).args(["list", "--installed"]))?;
    let missing = absent(&installed, &["rustfmt", "clippy"]);
    if !missing.is_empty() {
        say(format!("rustup: adding components {}", missing.join(", ")));
        run_rustup(rustup("component", toolchain).arg("add").args(missing))?;
    }
    Ok(())
}

/// Rust from the distribution's packages: the targets are there or they are not.
fn distribution_rust(targets: &[&str]) -> Result<()> {
    let sysroot = capture(Command::new("rustc").args(["--print", "sysroot"]))?;
    let library = Path::new(sysroot.trim()).join("lib/rustlib");
    let missing: Vec<_> = targets
        .iter()
        .filter(|target| !library.join(target).is_dir())
        .copied()
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Environment(format!(
        "this Rust has no {} and there is no rustup to add it; install rustup (`apt-get install rustup`, \
         or https://rustup.rs) and run this again",
        missing.join(", ")
    ))
    .into())
}

/// Miri runs on nightly alone; any nightly will do.
fn miri() -> Result<(), Missing> {
    if find_program("rustup").is_none() {
        return Err(Missing::NoInstaller(
            "Miri needs rustup: https://rustup.rs".to_owned(),
        ));
    }
    let parts = ["miri", "rust-src"];
    let added = match capture(rustup("component", "nightly").args(["list", "--installed"])) {
        Ok(installed) => match absent(&installed, &parts) {
            missing if missing.is_empty() => Ok(()),
            missing => {
                say(format!("rustup: adding {} to nightly", missing.join(", ")));
                run_rustup(rustup("component", "nightly").arg("add").args(missing))
            }
        },
        Err(_) => {
            say("rustup: installing nightly with miri and rust-src");
            run_rustup(Command::new("rustup").args([
                "toolchain",
                "install",
                "nightly",
                "--profile",
                "minimal",
                "--component",
                "miri",
                "--component",
                "rust-src",
            ]))
        }
    };
    added.map_err(|error| Missing::Failed(format!("{error:#}")))
}

/// `rustup AREA --toolchain T`, to which the caller adds the verb.
fn rustup(area: &str, toolchain: &str) -> Command {
    let mut command = Command::new("rustup");
    command.env("RUSTUP_TOOLCHAIN", toolchain).arg(area);
    command
}

fn run_rustup(command: &mut Command) -> Result<()> {
    process::run(command).map_err(|error| Environment(format!("{error:#}")).into())
}

/// Those of `wanted` that no line names, with or without the host's triple behind.
fn absent<'a>(installed: &str, wanted: &[&'a str]) -> Vec<&'a str> {
    let is_there = |name: &str| {
        installed.lines().any(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.trim().is_empty() || rest.starts_with('-'))
        })
    };
    wanted.iter().filter(|name| !is_there(name)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::absent;

    #[test]
    fn component_is_found_with_and_without_triple() {
        let installed = "clippy-x86_64-unknown-linux-gnu\nrust-src\naarch64-unknown-none\n";
        assert!(absent(installed, &["clippy", "rust-src"]).is_empty());
        assert_eq!(
            absent(installed, &["rustfmt", "aarch64-unknown-none-softfloat"]).len(),
            2
        );
    }
}
