//! The built command: exit codes, and where its words go.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use seawall_host_runner::saved;

fn seawall(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    in_folder(folder.path(), arguments)
}

/// Runs it where there are no artefacts, and with no other environment than a path without QEMU.
fn in_folder(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", folder)
        .output()
        .unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn explain_says_corrected_and_exits_with_zero() {
    let output = seawall(&["explain", "0xbe001811"]);
    assert_eq!(code(&output), 0);
    assert!(out(&output).contains("corrected"));
    assert!(!out(&output).contains('\x1b'));
    let output = seawall(&["explain", "--as", "disr", "0x80000c11", "--format", "json"]);
    assert_eq!(code(&output), 0);
    assert!(out(&output).contains("\"register\":\"disr\""));
    let hint = "if this is DISR_EL1: seawall explain 0x80000c11 --as disr\n";
    assert!(out(&seawall(&["explain", "0x80000c11"])).ends_with(hint));
    for arguments in [
        &["explain", "0xbe001811"][..],
        &["explain", "0x82000010"],
        &["explain", "0x80000c11", "--as", "disr"],
    ] {
        assert!(!out(&seawall(arguments)).contains("DISR_EL1: "), "{arguments:?}");
    }
    let output = seawall(&["explain", "be001811", "--color", "always"]);
    assert!(out(&output).contains('\x1b'));
}

#[test]
fn what_is_wrong_on_the_command_line_is_two() {
    for arguments in [
        &["explain", "xyz"][..],
        &["explain", ""],
        &["explain"],
        &["explain", "1", "--as", "far"],
        &["run", "--backend", "xen"],
        &["run", "--compare", "windows"],
        &["run", "--compare", "linux", "--backend", "lab"],
        &["run", "--compare", "linux", "--save", "x.seawall"],
        &["run", "--no-such-option"],
        &["run", "no-such-scenario"],
        &["run", "--tag", "no-such-tag"],
        &["run", "--scenarios", "no/such/path"],
        &["run", "--scenarios", "."],
        &["list", "no-such-scenario"],
        &["fly"],
        &[],
    ] {
        let output = seawall(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        assert_eq!(out(&output), "", "{arguments:?}");
        assert!(!err(&output).is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_bad_scenario_is_two_with_its_place_and_nothing_runs() {
    let folder = tempfile::tempdir().unwrap();
    let text = "title = \"t\"\nteaches = \"t\"\ncites = []\n[guest]\ntasks = [\"bystandr\"]\n[expect]\nend = \"done\"\n";
    fs::write(folder.path().join("bad.toml"), text).unwrap();
    let output = in_folder(
        folder.path(),
        &["run", "--scenarios", "bad.toml", "--backend", "qemu"],
    );
    assert_eq!(code(&output), 2);
    assert_eq!(out(&output), "");
    assert!(
        err(&output).contains("error: bad.toml:5:10: "),
        "{}",
        err(&output)
    );
    assert!(err(&output).contains("did you mean `bystander`?"));
}

const GOOD: &str = "title = \"t\"\nteaches = \"t\"\ncites = []\n[guest]\ntasks = [\"load\", \"bystander\"]\n[expect]\nend = \"done\"\n[expect.tasks]\nload = \"exited\"\n";

/// A good scenario beside one with one thing wrong: told with file, line, column and hint, and neither is run.
#[cfg(unix)]
fn refused(piece: &str, by: &str, place: &str, hint: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let scenarios = folder.path().join("all");
    fs::create_dir(&scenarios).unwrap();
    fs::write(scenarios.join("a-good.toml"), GOOD).unwrap();
    assert!(GOOD.contains(piece), "{piece}");
    fs::write(scenarios.join("bad.toml"), GOOD.replacen(piece, by, 1)).unwrap();
    // All that a run on qemu needs, as far as it is looked at before; the program leaves a trace.
    let qemu = folder.path().join("qemu-system-aarch64");
    fs::write(&qemu, "#!/bin/sh\necho > ran\n").unwrap();
    fs::set_permissions(&qemu, fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["shim.Image", "seawall.Image"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let arguments = [
        "run",
        "--scenarios",
        "all",
        "--backend",
        "qemu",
        "--artefacts",
        ".",
    ];
    let output = in_folder(folder.path(), &arguments);
    assert_eq!((code(&output), out(&output)), (2, String::new()), "{by}");
    let told = err(&output);
    let place = format!("error: all/bad.toml:{place}: ");
    assert!(told.contains(&place), "{by}: no `{place}` in {told}");
    assert!(told.contains(hint), "{by}: no `{hint}` in {told}");
    assert!(!folder.path().join("ran").exists(), "{by}");
}

#[cfg(unix)]
#[test]
fn what_is_wrong_in_one_scenario_is_told_with_its_place_and_none_is_run() {
    refused(
        "[guest]\n",
        "[guest]\nmemmory = \"64M\"\n",
        "5:1",
        "did you mean `memory`?",
    );
    refused("[expect]", "[expcet]", "6:2", "did you mean `expect`?");
    refused(
        "\"bystander\"",
        "\"bystandr\"",
        "5:18",
        "did you mean `bystander`?",
    );
    refused("[guest]\n", "timeout_s = 0\n[guest]\n", "4:13", "1 to 600");
    refused("[guest]\n", "timeout_s = 601\n[guest]\n", "4:13", "1 to 600");
    refused("[guest]\n", "[guest]\nmemory = \"1G1\"\n", "5:10", "16M to 64G");
    refused("[guest]\n", "[guest]\nmemory = \"65G\"\n", "5:10", "16M to 64G");
    refused("\"done\"", "\"dnoe\"", "7:7", "did you mean `done`?");
    refused("\"load\", ", "\"load\" ", "5:17", "missing comma");
    refused(
        "\"bystander\"",
        &vec!["\"bystander\""; 33].join(","),
        "5:9",
        "34 tasks; 1 to 32 are allowed",
    );
}

#[test]
fn two_scenarios_of_one_name_are_two() {
    let folder = tempfile::tempdir().unwrap();
    let text = "title = \"t\"\nteaches = \"t\"\ncites = []\n[guest]\ntasks = [\"bystander\"]\n[expect]\nend = \"done\"\n";
    for name in ["a", "b"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("same.toml"), text).unwrap();
    }
    let output = in_folder(folder.path(), &["list", "--scenarios", "a", "--scenarios", "b"]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("two scenarios are called `same`"));
}

#[test]
fn without_qemu_the_environment_is_three_with_the_fix() {
    for backend in ["auto", "qemu", "lab"] {
        let output = seawall(&["run", "=load", "--backend", backend]);
        assert_eq!(code(&output), 3, "{backend}: {}", err(&output));
        assert_eq!(out(&output), "");
        assert!(err(&output).contains("fix: "), "{backend}: {}", err(&output));
        let fix = "apt-get install qemu-system-arm";
        assert!(err(&output).contains(fix), "{backend}: {}", err(&output));
    }
    assert_eq!(code(&seawall(&["bench"])), 3);
}

#[cfg(not(target_arch = "aarch64"))]
#[test]
fn kvm_on_another_host_is_three() {
    assert_eq!(code(&seawall(&["run", "--backend", "kvm"])), 3);
}

/// The least that is an arm64 Image: its magic number.
fn image() -> [u8; 64] {
    let mut image = [0; 64];
    image[0x38..0x3c].copy_from_slice(b"ARM\x64");
    image
}

/// A stand-in for QEMU: enough to be found. It leaves a trace when it is run.
#[cfg(unix)]
#[test]
fn a_path_given_by_hand_that_is_not_what_it_has_to_be_is_three_on_every_backend() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("qemu-system-aarch64"), "#!/bin/sh\necho > ran\n").unwrap();
    fs::set_permissions(at("qemu-system-aarch64"), fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["seawall.Image", "shim.Image"] {
        fs::write(at(name), image()).unwrap();
    }
    fs::write(at("letter"), "dear all").unwrap();
    fs::create_dir(at("empty")).unwrap();
    let all_zero = [0; 4096];
    fs::write(at("zero.Image"), all_zero).unwrap();
    for (option, wanted) in [
        ("--kernel", "an uncompressed arm64 Linux Image"),
        ("--image", "a guest as an arm64 Linux Image"),
        ("--artefacts", "the folder that `cargo xtask build` fills"),
    ] {
        for path in ["nowhere", "letter", "empty", "zero.Image"] {
            for backend in ["auto", "kvm", "lab", "qemu"] {
                let arguments = ["run", "=load", "--backend", backend, option, path];
                let output = in_folder(folder.path(), &arguments);
                let told = err(&output);
                assert_eq!(
                    (code(&output), out(&output).as_str()),
                    (3, ""),
                    "{arguments:?}: {told}"
                );
                assert_eq!(told.matches("error: ").count(), 1, "{told}");
                for piece in [option, path, wanted] {
                    assert!(told.contains(piece), "{arguments:?}: no `{piece}` in {told}");
                }
            }
        }
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
    let by_variable = command
        .args(["run", "=load", "--backend", "qemu"])
        .env("SEAWALL_KERNEL", at("letter"))
        .output()
        .unwrap();
    assert_eq!(code(&by_variable), 3);
    assert!(
        err(&by_variable).contains("SEAWALL_KERNEL: "),
        "{}",
        err(&by_variable)
    );
    assert!(!at("ran").exists(), "nothing runs");
}

/// A stand-in for QEMU: enough to be found.
#[cfg(unix)]
#[test]
fn a_lab_without_its_kernel_is_a_skip_of_everything_with_reason_and_fix() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let qemu = folder.path().join("qemu-system-aarch64");
    fs::write(&qemu, "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(&qemu, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.path().join("seawall.Image"), image()).unwrap();
    let output = in_folder(
        folder.path(),
        // The folder has nothing but the guest; without naming it, the tree that this test was built in would be looked
        // through.
        &[
            "run",
            "=load",
            "=store",
            "--backend",
            "lab",
            "--format",
            "ktap",
            "--artefacts",
            ".",
        ],
    );
    assert_eq!(code(&output), 4, "{}", err(&output));
    let text = out(&output);
    assert!(
        text.contains("ok 1 load # SKIP ") && text.contains("ok 2 store # SKIP "),
        "{text}"
    );
    assert!(
        text.contains("# Totals: pass:0 fail:0 xfail:0 xpass:0 skip:2 error:0"),
        "{text}"
    );
}

#[test]
fn list_shows_every_scenario_for_people_and_machines() {
    let text = out(&seawall(&["list"]));
    let json = out(&seawall(&["list", "--format", "ndjson"]));
    assert_eq!(text.lines().count(), json.lines().count());
    assert!(text.lines().any(|line| line.starts_with("load ")));
    for line in json.lines() {
        let listed: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            listed["scenario"].is_string() && listed["backends"].is_array(),
            "{line}"
        );
    }
}

#[test]
fn show_says_all_of_a_scenario_and_gives_its_text() {
    let text = out(&seawall(&["show", "load"]));
    for piece in [
        "load  A load from a poisoned page costs the one task that made it\n",
        "\nteaches  ",
        "\nruns on  qemu, kvm, lab\n",
        "\nroutes   hole\n",
        "\nLinux    Linux sends SIGBUS",
        "\ncites    ",
        "\n[[inject]]\ntask = \"load\"\n",
    ] {
        assert!(text.contains(piece), "no {piece:?} in {text}");
    }
    let toml = out(&seawall(&["show", "=load", "--format", "toml"]));
    assert_eq!(toml, include_str!("../scenarios/load.toml"));
    let unknown = seawall(&["show", "laod"]);
    assert_eq!((code(&unknown), out(&unknown).as_str()), (2, ""));
    assert!(
        err(&unknown).contains("did you mean `load`?"),
        "{}",
        err(&unknown)
    );
}

#[test]
fn help_ends_with_examples_and_exit_codes() {
    for command in ["run", "list", "show", "explain"] {
        let help = out(&seawall(&[command, "--help"]));
        let (_, below) = help.split_once("Examples:\n").expect(command);
        let examples = below.lines().filter(|line| line.starts_with("  seawall "));
        assert_eq!(examples.count(), 2, "{help}");
        assert!(below.contains("\nExit codes: 0 "), "{help}");
    }
}

#[test]
fn list_says_what_linux_does_where_that_is_tested() {
    let text = out(&seawall(&["list", "--compared"]));
    let all = out(&seawall(&["list"]));
    assert!(text.lines().count() < all.lines().count());
    for (name, outcome) in [
        ("serror-uer ", "panic"),
        ("load ", "sigbus"),
        ("serror-ce ", "carries-on"),
    ] {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(line.contains(&format!("  Linux: {outcome}")), "{line}");
    }
    let json = out(&seawall(&["list", "=serror-ueu", "--format", "ndjson"]));
    assert!(json.contains(r#""linux_outcome":"panic""#), "{json}");
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    use std::process::Stdio;
    for arguments in [&["list"][..], &["explain", "0"], &["--help"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
        let mut child = command
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(
            !err(&output).contains("panicked"),
            "{arguments:?}: {}",
            err(&output)
        );
        assert!(output.status.code().is_some(), "{arguments:?}");
    }
}

#[test]
fn a_file_that_cannot_be_restored_is_two_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("letter"), "dear all").unwrap();
    fs::write(folder.path().join("cut"), "SEAWALLV").unwrap();
    for (file, why) in [
        ("letter", "not a saved VM"),
        ("cut", "the file is cut: it has 8 bytes of 64"),
        ("none", "none: "),
    ] {
        let output = in_folder(folder.path(), &["run", "--restore", file, "--backend", "qemu"]);
        assert_eq!((code(&output), out(&output).as_ref()), (2, ""), "{file}");
        assert!(
            err(&output).contains(file) && err(&output).contains(why),
            "{}",
            err(&output)
        );
    }
    let both = in_folder(folder.path(), &["run", "=load", "--restore", "cut"]);
    assert_eq!(code(&both), 2);
}

#[test]
fn the_backend_qemu_neither_saves_nor_restores() {
    let folder = tempfile::tempdir().unwrap();
    let (machine, board) = (
        saved::Machine {
            memory_base: 0x4000_0000,
            memory_bytes: 2 << 20,
            ipa_bits: 40,
            interrupts: 64,
            used: 0,
            linux: String::new(),
        },
        saved::Board {
            counts: Vec::new(),
            journal_address: 0,
            journal: None,
            uart: [0; 6],
            console: Vec::new(),
            pages: Vec::new(),
            reports: Vec::new(),
            lives: saved::Lives::default(),
        },
    );
    let text = include_str!("../scenarios/load.toml");
    let vm = saved::Saved {
        scenario: saved::ScenarioId::of("load", text),
        machine,
        cpu: saved::Cpu {
            midr: 0,
            revidr: 0,
            aidr: 0,
        },
        layout: saved::Layout::default(),
        memory: Vec::new(),
        registers: Vec::new(),
        gic: Vec::new(),
        vcpu: saved::Vcpu {
            mp_state: 0,
            serror_pending: false,
            serror_has_esr: false,
            serror_esr: 0,
        },
        board,
        transcript: Vec::new(),
        events_lost: 0,
    };
    fs::write(folder.path().join("vm"), saved::encode(&vm).unwrap()).unwrap();
    for arguments in [
        ["--restore", "vm", "--backend", "qemu"].as_slice(),
        &["=save-hole", "--save", "new", "--backend", "qemu"],
    ] {
        let output = in_folder(folder.path(), &[&["run"], arguments].concat());
        assert_eq!((code(&output), out(&output).as_ref()), (2, ""), "{arguments:?}");
        assert!(err(&output).contains("is for KVM"), "{}", err(&output));
    }
}

#[test]
fn what_cannot_be_saved_is_two_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("letter"), "dear all").unwrap();
    for (arguments, why) in [
        (
            &["run", "save-", "--save", "vm"][..],
            "--save is for one scenario",
        ),
        (&["run", "=load", "--save", "vm"], "`load` has no step that saves"),
        (&["run", "=save-hole", "--save", "letter"], "say --overwrite"),
        (&["run", "=save-hole", "--save", "none/vm"], "none/vm: "),
        (&["run", "=save-hole", "--overwrite"], "--save"),
    ] {
        let output = in_folder(folder.path(), arguments);
        assert_eq!((code(&output), out(&output).as_ref()), (2, ""), "{arguments:?}");
        assert!(err(&output).contains(why), "{}", err(&output));
    }
    assert_eq!(fs::read(folder.path().join("letter")).unwrap(), b"dear all");
}

#[test]
fn an_empty_variable_is_one_that_is_not_set() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_seawall"))
        .args(["run", "=load", "--backend", "qemu"])
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", folder.path())
        .env("SEAWALL_KERNEL", "")
        .output()
        .unwrap();
    assert_eq!(code(&output), 3, "{}", err(&output));
    assert!(
        err(&output).contains("missing for backend qemu"),
        "{}",
        err(&output)
    );
}

#[test]
fn a_reader_of_standard_error_that_has_gone_ends_nothing() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = Command::new(env!("CARGO_BIN_EXE_seawall"))
        .args(["run", "=none-of-that-name"])
        .stderr(writer)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(2));
}
