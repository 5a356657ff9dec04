//! The house rules that no lint knows, each a claim about every source file.

use std::collections::BTreeSet;

use super::tree::{has_word, read, sources};

/// Folders that know the machine: `unsafe` and assembly may stand there.
const MACHINE: [&str; 3] = ["firmware/src/arch/", "shim/src/arch/", "firmware/tasks/src/"];
/// Modules of the runner that call what std has no safe form for: ioctls, mmap, signals, mount, groups of processes.
const CALLERS: [&str; 15] = [
    "host-runner/src/child.rs",
    "host-runner/src/kvm/kick.rs",
    "host-runner/src/kvm/memory.rs",
    "host-runner/src/kvm/poison.rs",
    "host-runner/src/kvm/sandbox/mod.rs",
    "host-runner/src/kvm/sandbox/probe.rs",
    "host-runner/src/kvm/sigbus.rs",
    "host-runner/src/kvm/sigbus/tests.rs",
    "host-runner/src/kvm/state/raw.rs",
    "host-runner/src/kvm/thread.rs",
    "host-runner/src/kvm/vcpu.rs",
    "host-runner/src/lab/init.rs",
    "host-runner/src/linux/init.rs",
    "host-runner/src/linux/measure.rs",
    "host-runner/src/linux/touch.rs",
];
/// Crates whose business are registers and devices.
const MACHINE_CRATES: [&str; 4] = ["aarch64_cpu", "arm_gic", "smccc", "tock_registers"];

const MEMBERS: [&str; 8] = [
    "agent",
    "replay",
    "linker",
    "firmware",
    "firmware/tasks",
    "shim",
    "host-runner",
    "xtask",
];

#[test]
fn machine_access_lives_under_arch_alone() {
    for source in sources() {
        let path = &source.path;
        let knows_machine = MACHINE.iter().any(|folder| path.starts_with(folder));
        let may_call = CALLERS.contains(&path.as_str());
        assert!(
            knows_machine || may_call || !has_word(&source.code, "unsafe"),
            "{path} has `unsafe`"
        );
        assert!(
            knows_machine || !source.code.contains("asm!"),
            "{path} has assembly"
        );
        for name in MACHINE_CRATES {
            assert!(
                knows_machine || !has_word(&source.code, name),
                "{path} uses {name}, which knows the machine"
            );
        }
    }
    // A list that names what is not there hides what comes.
    for path in CALLERS {
        assert!(has_word(&super::tree::code(&read(path)), "unsafe"), "{path}");
    }
}

#[test]
fn libraries_forbid_unsafe_code() {
    for library in ["agent", "replay", "firmware", "shim"] {
        let path = format!("{library}/src/lib.rs");
        assert!(read(&path).contains("\n#![forbid(unsafe_code)]\n"), "{path}");
    }
    for member in MEMBERS {
        let manifest = read(&format!("{member}/Cargo.toml"));
        assert!(manifest.contains("[lints]\nworkspace = true\n"), "{member}");
    }
}

#[test]
fn agent_and_replay_run_anywhere() {
    for source in sources() {
        let path = &source.path;
        if path.starts_with("agent/src/") || path.starts_with("replay/src/") {
            let code = source.code.split("#[cfg(test)]").next().unwrap_or_default();
            for word in ["std", "alloc", "extern", "target_arch", "target_os"] {
                assert!(!has_word(code, word), "{path} has `{word}`");
            }
        }
    }
    for library in ["agent", "replay"] {
        assert!(read(&format!("{library}/src/lib.rs")).contains("#![no_std]\n"));
        assert!(
            !read(&format!("{library}/Cargo.toml")).contains("\n[dependencies"),
            "{library} has dependencies"
        );
    }
}

/// What a manifest imports of ours: the kind of dependency and the package.
fn imports(manifest: &str) -> BTreeSet<(String, String)> {
    let mut kind = String::new();
    let mut found = BTreeSet::new();
    for line in manifest.lines().map(str::trim) {
        let (section, name) = match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(section) => {
                kind = section.to_owned();
                (section, section.rsplit('.').next().unwrap_or_default())
            }
            None => (
                kind.as_str(),
                line.split(['.', '=', ' ']).next().unwrap_or_default(),
            ),
        };
        if section.contains("dependencies") && name.starts_with("seawall-") {
            let kind = ["dev-", "build-"]
                .into_iter()
                .find(|kind| section.contains(kind))
                .unwrap_or_default();
            found.insert((format!("{kind}dependencies"), name.to_owned()));
        }
    }
    found
}

#[test]
fn crates_import_each_other_in_one_direction_alone() {
    let agent = ("dependencies", "seawall-agent");
    let replay = ("dependencies", "seawall-replay");
    let linker = ("build-dependencies", "seawall-linker");
    let firmware = ("dependencies", "seawall-firmware");
    let rows: [(&str, &[(&str, &str)]); 8] = [
        ("agent", &[]),
        ("replay", &[]),
        ("linker", &[]),
        ("firmware", &[agent, replay, linker]),
        ("firmware/tasks", &[firmware, linker]),
        ("shim", &[replay, linker]),
        ("host-runner", &[agent, replay]),
        ("xtask", &[]),
    ];
    for (member, expected) in rows {
        let expected: BTreeSet<_> = expected
            .iter()
            .map(|(kind, name)| ((*kind).to_owned(), (*name).to_owned()))
            .collect();
        assert_eq!(
            imports(&read(&format!("{member}/Cargo.toml"))),
            expected,
            "{member}"
        );
    }
    // No crate that this test does not know of.
    let manifest = read("Cargo.toml");
    let (_, list) = manifest
        .split_once("members = [")
        .expect("the workspace's members");
    let (list, _) = list.split_once(']').expect("the end of the list");
    let members: Vec<_> = list
        .split(',')
        .map(|member| member.trim().trim_matches('"'))
        .filter(|member| !member.is_empty())
        .collect();
    assert_eq!(members, MEMBERS);
}

#[test]
fn programs_know_the_kernel_by_its_calls_alone() {
    for source in sources() {
        if source.path.starts_with("firmware/tasks/") {
            for (at, name) in source.code.match_indices("seawall_firmware::") {
                let rest = &source.code[at + name.len()..];
                assert!(rest.starts_with("calls"), "{}", source.path);
            }
        }
    }
}

#[test]
fn expectations_do_not_come_from_the_code_under_test() {
    for source in sources() {
        if source.path.starts_with("host-runner/src/scenario/") {
            assert!(!has_word(&source.code, "seawall_agent"), "{}", source.path);
        }
    }
}

#[test]
fn lints_are_expected_with_a_reason_and_never_allowed() {
    for source in sources() {
        let (path, code) = (&source.path, &source.code);
        assert!(!has_word(code, "allow"), "{path} allows a lint");
        for (at, _) in code.match_indices("[expect(") {
            let attribute = code[at..].split(']').next().unwrap_or_default();
            assert!(has_word(attribute, "reason"), "{path}: {attribute}");
        }
    }
    for member in MEMBERS {
        let manifest = read(&format!("{member}/Cargo.toml"));
        assert!(!manifest.contains("\"allow\""), "{member}");
    }
    assert!(!read("Cargo.toml").contains("\"allow\""));
}

/// The kernel's part of an abort's way: what it is asked, and what it does.
const ABORT_PATH: &str = "firmware/src/kernel/recover.rs";

#[test]
fn abort_path_is_denied_what_can_panic() {
    for path in [ABORT_PATH, "agent/src/lib.rs", "replay/src/lib.rs"] {
        let text = read(path);
        let (_, denied) = text.split_once("deny(").expect(path);
        let (denied, _) = denied.split_once(")\n").expect(path);
        for lint in [
            "unwrap_used",
            "expect_used",
            "indexing_slicing",
            "panic",
            "arithmetic_side_effects",
        ] {
            assert!(denied.contains(&format!("clippy::{lint}")), "{path}: {lint}");
        }
    }
}

#[test]
fn abort_path_neither_allocates_nor_locks_nor_formats() {
    let code = super::tree::code(&read(ABORT_PATH));
    for word in [
        "alloc", "Box", "Vec", "String", "format", "write", "writeln", "log", "lock", "try_lock",
    ] {
        assert!(!has_word(&code, word), "{ABORT_PATH} has `{word}`");
    }
}
