//! `seawall doctor` as it is called: its exit codes, its lines, and what it says of a host that has nothing.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs it with no other environment than a path without QEMU, and with this folder's artefacts unless it is given
/// others: those of the tree that the test was built in may or may not be there.
fn doctor(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
    command.arg("doctor").args(arguments);
    if !arguments.contains(&"--artefacts") {
        command.arg("--artefacts").arg(folder);
    }
    command
        .current_dir(folder)
        .env_clear()
        .env("PATH", folder)
        .output()
        .unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn row<'a>(lines: &'a [Value], event: &str, id: &str) -> &'a Value {
    lines
        .iter()
        .find(|line| line["event"] == event && line["id"] == id)
        .unwrap_or_else(|| panic!("no {event} {id}"))
}

/// A QEMU that says its version and a build that has what is looked at before a run.
#[cfg(unix)]
fn play(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let qemu = folder.join("qemu-system-aarch64");
    fs::write(&qemu, "#!/bin/sh\necho QEMU emulator version 9.9.9\n").unwrap();
    fs::set_permissions(&qemu, fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["shim.Image", "seawall.Image"] {
        fs::write(folder.join(name), "").unwrap();
    }
}

#[test]
fn a_host_without_anything_is_three_and_says_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = doctor(folder.path(), &["--format", "ndjson"]);
    assert_eq!(output.status.code(), Some(3));
    let lines = lines(&output);
    let first = lines.first().unwrap();
    assert_eq!(
        (&first["event"], &first["schema"]),
        (&"doctor-started".into(), &1.into())
    );
    for (event, id, fix) in [
        ("fact", "qemu", "sudo apt-get install qemu-system-arm"),
        (
            "fact",
            "lab-kernel",
            "cargo xtask setup   (or name an Image with --kernel)",
        ),
        ("fact", "guest-image", "cargo xtask build"),
        ("backend", "qemu", "sudo apt-get install qemu-system-arm"),
    ] {
        let row = row(&lines, event, id);
        assert_eq!((&row["ok"], &row["fix"]), (&false.into(), &fix.into()), "{row}");
        assert!(row["costs"].is_string(), "{row}");
    }
    assert_eq!(row(&lines, "route", "walk")["ok"], false);
    let text = doctor(folder.path(), &[]);
    assert_eq!(text.status.code(), Some(3));
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.ends_with("no backend can run scenarios\n"), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
}

#[cfg(unix)]
#[test]
fn one_backend_that_can_run_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    play(folder.path());
    for arguments in [&[][..], &["--backend", "qemu"]] {
        let arguments = [arguments, &["--format", "ndjson", "--artefacts", "."]].concat();
        let output = doctor(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let lines = lines(&output);
        let qemu = row(&lines, "fact", "qemu");
        assert!(qemu["value"].as_str().unwrap().contains("9.9.9"), "{qemu}");
        assert_eq!(row(&lines, "backend", "qemu")["ok"], true);
        let route = row(&lines, "route", "serror-syndrome");
        assert!(
            route["ok"] == true && route["on"].as_array().unwrap().contains(&"qemu".into()),
            "{route}"
        );
    }
    let coloured = doctor(folder.path(), &["--color", "always", "--artefacts", "."]);
    assert!(coloured.stdout.contains(&b'\x1b'));
}

#[test]
fn a_lab_that_cannot_be_booted_is_three_with_the_fix() {
    let folder = tempfile::tempdir().unwrap();
    let output = doctor(folder.path(), &["--backend", "lab"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8(output.stderr).unwrap().contains("fix: "));
}

#[cfg(not(target_arch = "aarch64"))]
#[test]
fn on_another_architecture_kvm_alone_is_three_and_its_capabilities_are_not_known() {
    let folder = tempfile::tempdir().unwrap();
    let output = doctor(folder.path(), &["--backend", "kvm", "--format", "ndjson"]);
    assert_eq!(output.status.code(), Some(3));
    let lines = lines(&output);
    assert_eq!(row(&lines, "fact", "architecture")["ok"], false);
    assert_eq!(row(&lines, "fact", "cap-sea-to-user")["ok"], Value::Null);
    assert!(lines.iter().all(|line| line["id"] != "qemu"));
}
