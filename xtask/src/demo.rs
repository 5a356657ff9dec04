//! `cargo xtask demo`: from a fresh clone to timelines and verdicts, on QEMU alone and under real KVM.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use crate::process::{say, shown, status};
use crate::workspace::Workspace;
use crate::{artefacts, runner, setup};

/// The runner's exit code for a run in which everything was skipped.
const ALL_SKIPPED: i32 = 4;

pub(crate) fn run(workspace: &Workspace, kernel: Option<&Path>) -> Result<ExitCode> {
    let ready = setup::run(workspace, kernel, setup::Scope::Run)?;
    artefacts::build(workspace, &ready.lab)?;
    let mut worst = 0;
    for backend in ["qemu", real_kvm()] {
        let mut command = runner::command(workspace);
        command.args(["run", "--backend", backend, "--tag", "demo"]);
        say(format!("running {}", shown(&command)));
        let code = status(&mut command)?.code().unwrap_or(1);
        if code == ALL_SKIPPED {
            let reason = ready.lab.as_ref().err().map_or("see above", String::as_str);
            say(format!("SKIPPED: nothing was run on {backend}: {reason}"));
        }
        // A failure outweighs a skip.
        if worst == 0 || worst == ALL_SKIPPED && code != 0 {
            worst = code;
        }
    }
    Ok(ExitCode::from(u8::try_from(worst).unwrap_or(1)))
}

/// This host's own KVM if it can be used, else the lab's.
fn real_kvm() -> &'static str {
    let usable = std::env::consts::ARCH == "aarch64"
        && fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/kvm")
            .is_ok();
    if usable { "kvm" } else { "lab" }
}
