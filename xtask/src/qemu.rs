//! `qemu-system-aarch64`: found, or installed through apt where that is allowed.

use std::process::Command;

use anyhow::Result;

use crate::process::{Environment, capture, find_program, output, run, say};

const PROGRAM: &str = "qemu-system-aarch64";
const PACKAGE: &str = "qemu-system-arm";

/// Makes sure that QEMU can be run.
pub(crate) fn ensure() -> Result<()> {
    if find_program(PROGRAM).is_some() {
        return Ok(());
    }
    let line = format!("apt-get install --no-install-recommends {PACKAGE}");
    let missing =
        |reason: &str| Environment(format!("{PROGRAM} is missing and {reason}; install it: {line}"));
    if find_program("apt-get").is_none() {
        return Err(missing("this system has no apt-get").into());
    }
    let sudo = is_root().then_some(false).or_else(|| may_sudo().then_some(true));
    let Some(sudo) = sudo else {
        return Err(missing("installing it needs root").into());
    };
    if !is_known() {
        say("apt: updating the package lists, which do not know QEMU");
        run(&mut apt_get(sudo, &["-q", "update"])).map_err(|error| missing(&error.to_string()))?;
    }
    say(format!("apt: installing {PACKAGE}"));
    let install = ["-q", "-y", "install", "--no-install-recommends", PACKAGE];
    if run(&mut apt_get(sudo, &install)).is_err() {
        // Old lists name files that the mirror no longer has.
        run(&mut apt_get(sudo, &["-q", "update"])).map_err(|error| missing(&error.to_string()))?;
        run(&mut apt_get(sudo, &install)).map_err(|error| missing(&error.to_string()))?;
    }
    if find_program(PROGRAM).is_none() {
        return Err(missing("its package does not hold it").into());
    }
    Ok(())
}

fn apt_get(sudo: bool, arguments: &[&str]) -> Command {
    let mut command = if sudo {
        Command::new("sudo")
    } else {
        Command::new("env")
    };
    if sudo {
        command.args(["-n", "env"]);
    }
    command
        .args(["DEBIAN_FRONTEND=noninteractive", "apt-get"])
        .args(arguments);
    command
}

fn is_root() -> bool {
    capture(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn may_sudo() -> bool {
    find_program("sudo").is_some()
        && output(Command::new("sudo").args(["-n", "true"])).is_ok_and(|output| output.status.success())
}

/// Whether the lists offer the package.
fn is_known() -> bool {
    capture(Command::new("apt-cache").args(["show", "--no-all-versions", PACKAGE]))
        .is_ok_and(|shown| shown.contains("Package:"))
}
