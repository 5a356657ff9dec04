//! `cargo xtask mutants`: the steps of recovery made to do nothing, one at a time; each must make a scenario fail.
//!
//! A scenario proves something only if it fails once the code under it is gone. A copy of the workspace is changed, the
//! guest is built from it, and scenarios that pass with the copy as it was are run with it on every backend.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use crate::artefacts;
use crate::process::{bounded, say};
use crate::runner;
use crate::tally::{self, Tally};
use crate::workspace::Workspace;

/// One step made into nothing.
struct Mutant {
    name: &'static str,
    /// What is done to the source, in one file: `from` stands there exactly once.
    file: &'static str,
    from: &'static str,
    to: &'static str,
    /// The scenario that has to notice.
    scenario: &'static str,
}

const MUTANTS: [Mutant; 15] = [
    Mutant {
        name: "decode: no exception is an abort",
        file: "agent/src/syndrome/mod.rs",
        from: "    pub const fn abort(self) -> Option<Abort> {\n",
        to: "    pub const fn abort(self) -> Option<Abort> {\n        if self.0 != u64::MAX {\n            return None;\n        }\n",
        scenario: "copyin",
    },
    Mutant {
        name: "attribution: nobody is charged",
        file: "agent/src/engine/judge.rs",
        from: "    match (snapshot.from, running, finding.abort) {\n",
        to: "    if snapshot.elr != u64::MAX {\n        return Origin::Kernel;\n    }\n    match (snapshot.from, running, finding.abort) {\n",
        scenario: "serror-ueu",
    },
    Mutant {
        name: "attribution: no frame is found",
        file: "firmware/src/kernel/recover.rs",
        from: "    fn frame_at(&self, task: TaskId, address: VirtualAddress) -> Option<FrameNumber> {\n",
        to: "    fn frame_at(&self, task: TaskId, address: VirtualAddress) -> Option<FrameNumber> {\n        if address.0 != u64::MAX {\n            return None;\n        }\n",
        scenario: "restart",
    },
    Mutant {
        name: "kill: the task goes on",
        file: "firmware/src/kernel/recover.rs",
        from: "    fn kill(&mut self, task: TaskId) {\n",
        to: "    fn kill(&mut self, task: TaskId) {\n        if task.0 != u16::MAX {\n            return;\n        }\n",
        scenario: "serror-uer",
    },
    Mutant {
        name: "retire: the frame is handed out again",
        file: "firmware/src/kernel/recover.rs",
        from: "    fn retire(&mut self, frame: FrameNumber) {\n",
        to: "    fn retire(&mut self, frame: FrameNumber) {\n        if frame.0 != u64::MAX {\n            return;\n        }\n",
        scenario: "restart",
    },
    Mutant {
        name: "owner walk: only the charged member is told",
        file: "firmware/src/kernel/recover.rs",
        from: "            && family != 0\n",
        to: "            && family == u16::MAX\n",
        scenario: "share",
    },
    Mutant {
        name: "a marker is touched: the handler is not asked",
        file: "firmware/src/kernel/fault.rs",
        from: "        if handler == Handler::Ready {\n",
        to: "        if handler == Handler::Busy {\n",
        scenario: "share-handler",
    },
    Mutant {
        name: "copies: a page that was not written is refused",
        file: "firmware/src/kernel/fault.rs",
        from: "        if !self.kernel.current_runs() {\n",
        to: "        if self.kernel.current_runs() {\n",
        scenario: "copyout-fresh",
    },
    Mutant {
        name: "linear map: the frame stays mapped",
        file: "firmware/src/arch/linear.rs",
        from: "fn taken_out(physical: u64, spare: Option<FrameNumber>) -> TakenOut {\n",
        to: "fn taken_out(physical: u64, spare: Option<FrameNumber>) -> TakenOut {\n    if physical != u64::MAX {\n        return TakenOut::Done;\n    }\n",
        scenario: "retired",
    },
    Mutant {
        name: "reboot: the list of lost frames is dropped",
        file: "firmware/src/kernel/retired.rs",
        from: "    for frame in lost(port, most) {\n",
        to: "    for frame in lost(port, 0) {\n",
        scenario: "reboot",
    },
    Mutant {
        name: "border: no ESB at the entry from a call",
        file: "firmware/src/arch/entry.rs",
        from: "    if RAS && registers::synchronise_errors() != 0 && !guest.border() {\n",
        to: "    if RAS && core::hint::black_box(0_u64) != 0 && !guest.border() {\n",
        scenario: "border-ueu",
    },
    Mutant {
        name: "border: no ESB at an interrupt's entry",
        file: "firmware/src/arch/entry.rs",
        from: "    if guest.kernel.ras && registers::synchronise_errors() != 0 && !guest.border() {\n",
        to: "    if guest.kernel.ras && core::hint::black_box(0_u64) != 0 && !guest.border() {\n",
        scenario: "interrupt-ueu",
    },
    Mutant {
        name: "border: no ESB on the way out",
        file: "firmware/src/kernel/schedule.rs",
        from: "        } else if registers::synchronise_errors() != 0 {\n            self.kernel_border();\n",
        to: "        } else if core::hint::black_box(0_u64) != 0 {\n            self.kernel_border();\n",
        scenario: "kernel-border-ueu",
    },
    Mutant {
        name: "copy: no ESB before it",
        file: "firmware/src/kernel/copies.rs",
        from: "            self.synchronise();\n",
        to: "",
        scenario: "copy-before",
    },
    Mutant {
        name: "copy: no ESB behind it",
        file: "firmware/src/kernel/copies.rs",
        from: "                registers::synchronise_errors()\n",
        to: "                0\n",
        scenario: "copy-ueu",
    },
];

/// What the guest is built from.
const COPIED: [&str; 10] = [
    "agent",
    "replay",
    "linker",
    "firmware",
    "shim",
    "host-runner",
    "xtask",
    "Cargo.toml",
    "Cargo.lock",
    ".cargo",
];

pub(crate) fn run(workspace: &Workspace, names: &[String]) -> Result<ExitCode> {
    let chosen: Vec<&Mutant> = MUTANTS
        .iter()
        .filter(|mutant| names.is_empty() || names.iter().any(|name| mutant.name.contains(name)))
        .collect();
    ensure!(!chosen.is_empty(), "no mutant's name contains any of {names:?}");
    let tally = try_these(
        workspace,
        workspace.artefact("lab-kernel.Image").exists(),
        &chosen,
    )?;
    println!("{tally}");
    Ok(ExitCode::from(u8::from(tally.failed > 0)))
}

/// Builds and runs each mutant, after the copy as it is.
pub(crate) fn try_all(workspace: &Workspace, has_lab: bool) -> Result<Tally> {
    try_these(workspace, has_lab, &MUTANTS.iter().collect::<Vec<_>>())
}

fn try_these(workspace: &Workspace, has_lab: bool, mutants: &[&Mutant]) -> Result<Tally> {
    let copy = Copy::of(workspace)?;
    let backends: &[&str] = if has_lab { &["qemu", "lab"] } else { &["qemu"] };
    let image = copy.build()?;
    let scenarios: BTreeSet<&str> = mutants.iter().map(|mutant| mutant.scenario).collect();
    for scenario in scenarios {
        for backend in backends {
            let passed = passes(workspace, &image, scenario, backend)?;
            ensure!(
                passed,
                "{scenario} fails on {backend} before anything was changed"
            );
        }
    }
    let mut tally = Tally::default();
    for mutant in mutants {
        let original = copy.change(mutant)?;
        let image = copy.build();
        copy.restore(mutant, &original)?;
        let image = image.with_context(|| format!("the mutant `{}` does not build", mutant.name))?;
        for backend in backends {
            let noticed = !passes(workspace, &image, mutant.scenario, backend)?;
            let word = if noticed { "caught" } else { "NOT CAUGHT" };
            println!("{word:10} {:40} by {} on {backend}", mutant.name, mutant.scenario);
            tally += Tally::of(noticed);
        }
    }
    Ok(tally)
}

/// Whether the scenario passes with that guest.
fn passes(workspace: &Workspace, image: &Path, scenario: &str, backend: &str) -> Result<bool> {
    let mut command = runner::command(workspace);
    command
        .args([
            "run",
            &format!("={scenario}"),
            "--format",
            "ktap",
            "--backend",
            backend,
            "--image",
        ])
        .arg(image);
    let ended = bounded(&mut command, runner::LIMIT, false)?;
    let tally = tally::ktap(&ended.text);
    ensure!(
        tally.passed + tally.failed > 0,
        "{scenario} was not run on {backend}:\n{}",
        ended.text
    );
    Ok(tally.failed == 0)
}

/// The copy of the workspace; it stays in `target/mutants`, so that the next run builds less.
struct Copy {
    workspace: Workspace,
    bundle: PathBuf,
}

impl Copy {
    fn of(workspace: &Workspace) -> Result<Self> {
        let root = workspace.root.join("target/mutants");
        for name in COPIED {
            let to = root.join(name);
            if to.is_dir() {
                fs::remove_dir_all(&to).with_context(|| format!("cannot remove {}", to.display()))?;
            }
            copy(&workspace.root.join(name), &to)?;
        }
        let workspace_copy = Workspace {
            root,
            toolchain: workspace.toolchain.clone(),
        };
        Ok(Self {
            workspace: workspace_copy,
            bundle: workspace.artefact("bundle.bin"),
        })
    }

    fn build(&self) -> Result<PathBuf> {
        say("building a changed guest");
        artefacts::guest(
            &self.workspace,
            &self.bundle,
            &self.workspace.root.join("guest.Image"),
        )
    }

    /// Changes the copy; gives the file as it was.
    fn change(&self, mutant: &Mutant) -> Result<String> {
        let path = self.workspace.root.join(mutant.file);
        let original =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if original.matches(mutant.from).count() != 1 {
            bail!(
                "{} does not have the place of `{}` exactly once",
                mutant.file,
                mutant.name
            );
        }
        fs::write(&path, original.replacen(mutant.from, mutant.to, 1))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(original)
    }

    fn restore(&self, mutant: &Mutant, original: &str) -> Result<()> {
        let path = self.workspace.root.join(mutant.file);
        fs::write(&path, original).with_context(|| format!("cannot write {}", path.display()))
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        }
        fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
        return Ok(());
    }
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::MUTANTS;
    use crate::workspace::Workspace;

    #[test]
    fn each_mutant_still_has_its_place() {
        let root = Workspace::find().unwrap().root;
        for mutant in &MUTANTS {
            let text = std::fs::read_to_string(root.join(mutant.file)).unwrap();
            assert_eq!(text.matches(mutant.from).count(), 1, "{}", mutant.name);
            assert!(
                root.join(format!("host-runner/scenarios/{}.toml", mutant.scenario))
                    .is_file()
            );
        }
    }
}
