//! Saved VMs in the lab: what is in a file counts, and a file that is not what it should be does not run.
//!
//! A VM is saved with an error pending or deferred; the file is changed in one place and given a right digest again, and
//! restored. Without the change the scenario passes; with it, it fails, so nothing of what is saved is there for show.
//!
//! These tests need QEMU, the lab's kernel and what `cargo xtask build` makes: `cargo xtask test` runs them after its
//! build, by `cargo test --package seawall-host-runner --test saved`. `SEAWALL_OTHER_KERNEL` names a second kernel, on
//! which what was saved on the first goes on too, and the other way round.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use seawall_host_runner::saved::{self, Saved};
use seawall_replay::transcript::What;

// Ids of ONE_REG [Linux Documentation/virt/kvm/api.rst §4.68].
const PC: u64 = 0x6030_0000_0010_0040;
const PSTATE: u64 = 0x6030_0000_0010_0042;
const ELR_EL1: u64 = 0x6030_0000_0010_0046;
const ESR_EL1: u64 = 0x6030_0000_0013_c290;
const FAR_EL1: u64 = 0x6030_0000_0013_c300;
const VBAR_EL1: u64 = 0x6030_0000_0013_c600;
const DISR_EL1: u64 = 0x6030_0000_0013_c609;
/// PSTATE.A, in SPSR's layout.
const MASKED: u64 = 1 << 8;

/// What is done to a file.
type Change = fn(&mut Saved);

fn artefacts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/seawall")
}

fn seawall(arguments: &[&str], kernel: Option<&str>) -> Output {
    let folder = artefacts();
    let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
    command.args(["run", "--backend", "lab", "--format", "ndjson"]);
    command.args(arguments).arg("--artefacts").arg(folder);
    if let Some(kernel) = kernel {
        command.args(["--kernel", kernel]);
    }
    command.output().expect("seawall runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The scenario, saved at its step on this kernel.
fn saved_on(scenario: &str, kernel: Option<&str>) -> Saved {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vm.seawall");
    let name = format!("={scenario}");
    let output = seawall(&[&name, "--save", path.to_str().unwrap()], kernel);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    assert!(
        said.contains(r#""event":"saved""#) && said.contains(r#""verdict":"saved""#),
        "{said}"
    );
    let saved = saved::file::read(&path).unwrap();
    assert_eq!(saved.scenario.name, scenario);
    saved
}

/// Restores bytes on this kernel; gives the exit code, and what was found.
fn restored_on(bytes: &[u8], kernel: Option<&str>) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vm.seawall");
    fs::write(&path, bytes).unwrap();
    let output = seawall(&["--restore", path.to_str().unwrap()], kernel);
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    (output.status.code().unwrap_or(-1), said)
}

fn restored(saved: &Saved) -> (i32, String) {
    restored_on(&saved::encode(saved).unwrap(), None)
}

fn set(saved: &mut Saved, id: u64, value: u64) {
    let register = saved.registers.iter_mut().find(|register| register.id == id);
    register.expect("the register is saved").bytes = value.to_le_bytes().to_vec();
}

/// What a pending SError is in a file, taken away, and the check that then fails.
const PENDING: [(&str, &str, Change); 3] = [
    ("serror_pending", "aborts", |saved| {
        saved.vcpu.serror_pending = false
    }),
    ("has_esr", "syndrome", |saved| saved.vcpu.serror_has_esr = false),
    ("esr", "syndrome", |saved| saved.vcpu.serror_esr = 0),
];

/// The file as it is passes; with each change it fails, at a check of this name.
fn each_counts(saved: &Saved, changes: &[(&str, &str, Change)]) {
    let (code, said) = restored(saved);
    assert_eq!(code, 0, "{said}");
    for (name, check, change) in changes {
        let mut changed = saved.clone();
        change(&mut changed);
        assert_ne!(changed, *saved, "{name} changes nothing");
        let (code, said) = restored(&changed);
        assert_eq!(code, 1, "without {name}: {said}");
        assert!(
            said.contains(&format!(r#""check":"{check}""#)),
            "without {name}: {said}"
        );
    }
}

#[test]
fn a_pending_serror_is_nothing_without_its_flags_and_its_syndrome_in_the_lab() {
    let saved = saved_on("save-masked-serror", None);
    assert_eq!(saved.register(PSTATE).unwrap() & MASKED, MASKED);
    assert_eq!(saved.register(DISR_EL1), Some(0));
    let vcpu = saved.vcpu;
    assert_eq!(
        (vcpu.serror_pending, vcpu.serror_has_esr, vcpu.serror_esr),
        (true, true, 0xc11)
    );
    each_counts(&saved, &PENDING);
}

#[test]
fn a_masked_serror_is_taken_by_its_vector_by_its_flags_and_its_syndrome_in_the_lab() {
    let saved = saved_on("save-masked-taken", None);
    assert_eq!(saved.register(PSTATE).unwrap() & MASKED, MASKED);
    assert_eq!(saved.vcpu.serror_esr, 0x1811);
    each_counts(&saved, &PENDING);
}

#[test]
fn a_deferred_serror_is_nothing_without_disr_in_the_lab() {
    let saved = saved_on("save-deferred", None);
    assert!(!saved.vcpu.serror_pending);
    // A = 1, IDS = 0, AET = UER, EA, DFSC = 0x11 [Arm ARM, DISR_EL1].
    assert_eq!(saved.register(DISR_EL1), Some(0x8000_0c11));
    each_counts(&saved, &[("DISR_EL1", "aborts", |saved| set(saved, DISR_EL1, 0))]);
}

/// The abort has been given by KVM_SET_VCPU_EVENTS and is in no field of its own: it must be in the registers.
fn has_entered(saved: &Saved) {
    assert_eq!(saved.register(ESR_EL1), Some(0x9200_0010));
    assert_eq!(saved.register(FAR_EL1), Some(0x5000_0040));
    // From a lower level in AArch64, synchronous.
    assert_eq!(
        saved.register(PC),
        saved.register(VBAR_EL1).map(|vbar| vbar + 0x400)
    );
    assert_ne!(saved.register(ELR_EL1), saved.register(PC));
    // EL1h.
    assert_eq!(saved.register(PSTATE).unwrap() & 0xf, 5);
    let delivered = saved
        .transcript
        .iter()
        .filter(|event| event.what == What::Delivered);
    assert_eq!(delivered.count(), 1);
}

#[test]
fn a_given_abort_is_in_the_registers_that_are_saved_in_the_lab() {
    let saved = saved_on("save-abort-given", None);
    has_entered(&saved);
    // The hole stays: without the vector's registers the load would be made again, and given a second abort.
    let (code, said) = restored(&saved);
    assert_eq!(code, 0, "{said}");
    assert_eq!(said.matches(r#""event":"delivery""#).count(), 1, "{said}");
}

#[test]
fn poison_is_not_in_the_file_and_its_page_stays_out_in_the_lab() {
    let saved = saved_on("save-uffd", None);
    let [(page, saved::PoisonedBy::Userfault)] = saved.layout.poisoned[..] else {
        panic!("{:?}", saved.layout)
    };
    assert!(saved.memory.iter().all(|kept| kept.ipa != page));
    each_counts(
        &saved,
        &[("the poisoned page", "aborts", |saved| {
            saved.layout.poisoned.clear()
        })],
    );
}

#[test]
fn what_this_host_cannot_be_is_refused_by_name_in_the_lab() {
    let saved = saved_on("save-plain", None);
    let refused: [(&str, Change); 4] = [
        ("another CPU type: its MIDR_EL1 is 0x410fd0c0", |saved| {
            saved.cpu.midr = 0x410f_d0c0
        }),
        ("system register S3_0_C0_C4_0", |saved| {
            set(saved, 0x6030_0000_0013_c020, u64::MAX)
        }),
        ("register 0x6030000000140000", |saved| {
            set(saved, 0x6030_0000_0014_0000, 0x00ff_0000)
        }),
        ("this host does not know it", |saved| {
            saved.registers.push(saved::Register {
                id: 0x6080_0000_0015_0000,
                bytes: vec![1; 256],
            });
            saved.registers.sort();
        }),
    ];
    for (why, change) in refused {
        let mut changed = saved.clone();
        change(&mut changed);
        let (code, said) = restored(&changed);
        assert_eq!(code, 1, "{said}");
        assert!(
            said.contains("does not fit this host") && said.contains(why),
            "{why}: {said}"
        );
    }
    // And before any lab boots:
    let bytes = saved::encode(&saved).unwrap();
    let mut altered = bytes.clone();
    altered[bytes.len() / 2] ^= 1;
    let mut other = saved.clone();
    other.scenario.digest[0] ^= 1;
    for (bytes, why) in [
        (&bytes[..bytes.len() - 1], "the file is cut"),
        (&altered[..], "the file was altered"),
        (
            &saved::encode(&other).unwrap()[..],
            "not the one that the VM was saved under",
        ),
    ] {
        let (code, said) = restored_on(bytes, None);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(why) && !said.contains("the lab boots"), "{said}");
    }
}

#[test]
fn a_vm_goes_on_under_another_kernel_in_the_lab() {
    let Some(other) = std::env::var("SEAWALL_OTHER_KERNEL")
        .ok()
        .filter(|path| !path.is_empty())
    else {
        eprintln!("not tested: SEAWALL_OTHER_KERNEL names no second kernel");
        return;
    };
    let other = Some(other.as_str());
    for scenario in [
        "save-masked-serror",
        "save-deferred",
        "save-abort-given",
        "save-uffd",
    ] {
        for (from, to) in [(None, other), (other, None)] {
            let saved = saved_on(scenario, from);
            if scenario == "save-abort-given" {
                has_entered(&saved);
            }
            let (code, said) = restored_on(&saved::encode(&saved).unwrap(), to);
            assert_eq!(code, 0, "{scenario} from {from:?} to {to:?}: {said}");
        }
    }
}

#[test]
fn a_vm_over_its_budget_is_saved_is_told_of_once_and_goes_on_without_its_bad_pages_in_the_lab() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vm.seawall");
    let file = path.to_str().unwrap();
    let told = "echo \"moved $SEAWALL_SCENARIO: $SEAWALL_REASON: $SEAWALL_FILE\"";
    let over = |budget: &str| {
        let arguments = [
            "=storm",
            "--save",
            file,
            "--budget",
            budget,
            "--on-evacuate",
            told,
        ];
        let output = seawall(&arguments, None);
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, said, errors) = over("pages=3,aborts=100000/60s");
    assert_eq!(code, Some(5), "{said}{errors}");
    let critical: Vec<&str> = said
        .lines()
        .filter(|line| line.contains(r#""level":"critical""#))
        .collect();
    let reason = "4 poisoned pages; the budget allows 3";
    assert!(
        matches!(critical.as_slice(), [line] if line.contains(r#""event":"evacuation""#) && line.contains(reason)),
        "{said}"
    );
    assert!(
        errors.contains(&format!("moved storm: {reason}: {file}")),
        "{errors}"
    );
    let saved = saved::file::read(&path).unwrap();
    assert_eq!(saved.layout.holes.len(), 4);
    let (code, said) = restored(&saved);
    assert_eq!(code, 0, "{said}");
    // By the rate as well.
    let (code, said, errors) = over("aborts=2/60s");
    assert_eq!(code, Some(5), "{said}{errors}");
    assert!(said.contains("more than 2 aborts within 60 s"), "{said}");
    assert_eq!(restored(&saved::file::read(&path).unwrap()).0, 0);
}

/// The guest begins again twice; its budget is overdrawn in the second life, with the first abort in the first.
const TWO_LIVES: &str = r#"
title = "What the first life recorded is judged, although the second is lived on two hosts"
teaches = "The journals of lives before a reboot are saved."
cites = ["Arm DEN 0022 (PSCI), SYSTEM_RESET"]
backends = ["kvm"]
[guest]
tasks = ["reboot", "bystander", "bystander"]
[budget]
pages = 1
[[inject]]
any = true
checkpoint = 1
route = "hole"
times = 2
[expect]
end = "done"
reboots = 2
evacuations = 1
[[expect.abort]]
task = "load"
times = 2
cause = "synchronous"
from = "el0"
esr = 0x92000010
far = 0x50000040
severity = "recoverable"
decision = "kill"
frame = "announced"
[expect.tasks]
reboot = "exited"
load = "exited"
"#;

#[test]
fn what_a_life_before_a_reboot_recorded_goes_on_with_the_vm_in_the_lab() {
    let folder = tempfile::tempdir().unwrap();
    let (scenario, path) = (
        folder.path().join("two-lives.toml"),
        folder.path().join("vm.seawall"),
    );
    fs::write(&scenario, TWO_LIVES).unwrap();
    let scenario = ["--scenarios", scenario.to_str().unwrap()];
    let run = |more: [&str; 2]| {
        let output = seawall(&[scenario, more].concat(), None);
        (output.status.code(), text(&output.stdout))
    };
    let (code, said) = run(["--save", path.to_str().unwrap()]);
    assert_eq!(code, Some(5), "{said}");
    let saved = saved::file::read(&path).unwrap();
    assert_eq!(saved.board.lives.journals.len(), 1);
    let (code, said) = run(["--restore", path.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    let mut without = saved;
    without.board.lives = saved::Lives::default();
    fs::write(&path, saved::encode(&without).unwrap()).unwrap();
    let (code, said) = run(["--restore", path.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(r#""check":"aborts""#), "{said}");
}
