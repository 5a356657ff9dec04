//! `cargo xtask fuzz`: the targets of `fuzz/`, each for so many seconds, two at a time.
//!
//! They are built with the pinned toolchain: all that libFuzzer needs of the compiler are the coverage counters that LLVM
//! puts in, so neither a nightly nor cargo-fuzz has to be there. Overflow and debug assertions are on. What was found goes
//! under `target/fuzz`; `--keep` takes the least of it that reaches as much into the tree.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{bounded, capture, cargo, find_program, run as succeed, say};
use crate::tally::Tally;
use crate::workspace::Workspace;

const AT_A_TIME: usize = 2;
/// For what libFuzzer does beside fuzzing: it reads the corpus first.
const AROUND: Duration = Duration::from_secs(120);
/// What is kept in the tree of one target, beside the seeds that were written by hand.
const KEPT_FILES: usize = 40;
const KEPT_BYTES: u64 = 48 << 10;
/// Longer inputs find nothing that shorter ones do not.
const LONGEST: &str = "-max_len=4096";
const LAST_LINES: usize = 40;

/// The counters that libFuzzer goes by, as cargo-fuzz asks for them; and no warnings, for what only KVM uses is unused here,
/// and clippy sees all of it elsewhere.
const FLAGS: [&str; 7] = [
    "-Awarnings",
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// `cargo xtask fuzz`.
pub(crate) fn run(workspace: &Workspace, wanted: &[String], seconds: u32, keep: bool) -> Result<ExitCode> {
    let mut names = targets(workspace)?;
    if let Some(unknown) = wanted.iter().find(|name| !names.contains(name)) {
        bail!("there is no target `{unknown}`: {}", names.join(", "));
    }
    names.retain(|name| wanted.is_empty() || wanted.contains(name));
    let tally = fuzz(workspace, &names, seconds)?;
    if keep && tally.failed == 0 {
        for name in &names {
            take_over(workspace, name)?;
        }
    }
    println!("{tally}");
    Ok(ExitCode::from(u8::from(tally.failed > 0)))
}

/// All targets.
pub(crate) fn all(workspace: &Workspace, seconds: u32) -> Result<Tally> {
    fuzz(workspace, &targets(workspace)?, seconds)
}

/// A target for each file in `fuzz/fuzz_targets`.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.root.join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn fuzz(workspace: &Workspace, names: &[String], seconds: u32) -> Result<Tally> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
    if find_program(&compiler).is_none() && !Path::new(&compiler).is_file() {
        say("SKIP fuzzing: libFuzzer is built by a C++ compiler; to get one: sudo apt-get install g++");
        return Ok(Tally::SKIPPED);
    }
    let programs = build(workspace)?;
    let waiting = Mutex::new(names.iter());
    let total = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(name) = waiting.lock().ok().and_then(|mut names| names.next()) {
                    let tally = one(workspace, &programs, name, seconds).unwrap_or_else(|error| {
                        println!("not ok fuzz {name}: {error:#}");
                        Tally::FAILED
                    });
                    if let Ok(mut sum) = total.lock() {
                        *sum += tally;
                    }
                }
            });
        }
    });
    Ok(total.into_inner().unwrap_or(Tally::FAILED))
}

/// Builds all targets; gives the folder of programs. With `--target`, the flags are not for build scripts.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let mut rustc = Command::new("rustc");
    let version = capture(rustc.current_dir(&workspace.root).arg("-vV"))?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc does not say for which host it is")?;
    let folder = workspace.root.join("target/fuzz");
    let mut command = cargo();
    command
        .current_dir(workspace.root.join("fuzz"))
        .args(["build", "--quiet", "--release", "--target", host])
        .arg("--target-dir")
        .arg(&folder)
        .env("RUSTFLAGS", FLAGS.join(" "))
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    succeed(&mut command)?;
    Ok(folder.join(host).join("release"))
}

fn found(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.root.join("target/fuzz/corpus").join(name)
}

fn kept(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.root.join("fuzz/corpus").join(name)
}

fn one(workspace: &Workspace, programs: &Path, name: &str, seconds: u32) -> Result<Tally> {
    let found = found(workspace, name);
    fs::create_dir_all(&found)?;
    let folder = workspace.root.join("target/fuzz");
    let log = folder.join(format!("{name}.log"));
    let mut command = Command::new(programs.join(name));
    command
        .args([LONGEST, "-timeout=10", "-rss_limit_mb=1024"])
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/{name}-", folder.display()))
        .args([&found, &kept(workspace, name)])
        .stderr(File::create(&log)?);
    let ended = bounded(
        &mut command,
        AROUND + Duration::from_secs(u64::from(seconds)),
        false,
    )?;
    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    // libFuzzer's last line but statistics: `Done 12 runs in 3 second(s)`.
    let done = text.lines().rev().find(|line| line.starts_with("Done "));
    match (ended.status, done) {
        (Some(status), Some(done)) if status.success() => {
            println!("ok fuzz {name}: {done}");
            Ok(Tally::PASSED)
        }
        (status, _) => {
            let lines: Vec<_> = text.lines().collect();
            let last = lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or(&[]);
            last.iter()
                .for_each(|line| println!("    | {}", line.escape_debug()));
            let how = status.map_or_else(|| "its time was up".into(), |status| status.to_string());
            println!("not ok fuzz {name}: {how}; all of it is in {}", log.display());
            Ok(Tally::FAILED)
        }
    }
}

/// Takes what a target has found into the tree: as little as reaches as much, and the smallest of it. Seeds that were
/// written by hand have names of their own, and stay.
fn take_over(workspace: &Workspace, name: &str) -> Result<()> {
    let least = workspace.root.join("target/fuzz/least").join(name);
    if least.exists() {
        fs::remove_dir_all(&least)?;
    }
    fs::create_dir_all(&least)?;
    let mut command = Command::new(build(workspace)?.join(name));
    // Without counters: which code is reached, and not how often.
    command.args(["-merge=1", "-use_counters=0", LONGEST]).args([
        &least,
        &kept(workspace, name),
        &found(workspace, name),
    ]);
    capture(&mut command)?;
    let kept = kept(workspace, name);
    for entry in fs::read_dir(&kept)? {
        let path = entry?.path();
        if is_found(&path) {
            fs::remove_file(path)?;
        }
    }
    let mut inputs = Vec::new();
    for entry in fs::read_dir(&least)? {
        let entry = entry?;
        inputs.push((entry.metadata()?.len(), entry.path()));
    }
    inputs.sort();
    let mut bytes = 0;
    for (length, path) in inputs.iter().take(KEPT_FILES) {
        bytes += length;
        if bytes > KEPT_BYTES {
            break;
        }
        fs::copy(path, kept.join(path.file_name().context("a file has a name")?))?;
    }
    Ok(())
}

/// libFuzzer names what it finds by SHA-1.
fn is_found(path: &Path) -> bool {
    path.file_name().is_some_and(|name| {
        let name = name.to_string_lossy();
        name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{is_found, targets};
    use crate::workspace::Workspace;

    #[test]
    fn each_fuzz_target_is_built_has_its_function_and_a_small_corpus() {
        let workspace = Workspace::find().unwrap();
        let read = |path: &str| fs::read_to_string(workspace.root.join(path)).unwrap();
        let (manifest, functions) = (read("fuzz/Cargo.toml"), read("host-runner/src/fuzzing.rs"));
        let names = targets(&workspace).unwrap();
        assert!(names.len() >= 4, "{names:?}");
        let (mut files, mut bytes) = (0, 0);
        for name in &names {
            assert!(
                manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
                "{name}"
            );
            assert!(
                functions.contains(&format!("pub fn {name}(data: &[u8])")),
                "{name}"
            );
            for entry in fs::read_dir(workspace.root.join("fuzz/corpus").join(name)).unwrap() {
                files += 1;
                bytes += entry.unwrap().metadata().unwrap().len();
            }
        }
        assert!(files < 300 && bytes < 300 << 10, "{files} files, {bytes} bytes");
    }

    #[test]
    fn what_was_found_is_told_from_what_was_written() {
        let found = "corpus/port/0a1b2c3d4e5f60718293a4b5c6d7e8f901234567";
        assert!(is_found(Path::new(found)));
        for written in [
            "checkpoints",
            "0a1b",
            "",
            "0a1b2c3d4e5f60718293a4b5c6d7e8f90123456g",
        ] {
            assert!(!is_found(Path::new(written)), "{written}");
        }
    }
}
