//! Guests whose memory the lab puts out of reach, and what becomes of it when they do not touch it, cannot spare it, or
//! never stop: each is one scenario's failure, and the lab lives on to say so.
//!
//! Each guest is an Image of a few literal instruction words that runs without translation, at 0x80200000.
//!
//! These tests need QEMU and what `cargo xtask build` makes, and so are no part of a plain `cargo test`: `cargo xtask
//! test` runs them after its build, by `cargo test --package seawall-host-runner --test out_of_reach`.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const PORT: u64 = 0x0b00_0000;
/// PSCI SYSTEM_OFF [Arm DEN 0022].
const OFF: u64 = 0x8400_0008;
/// A page with nothing else in its 2 MiB.
const LONE: u64 = 0x8080_0000;
/// Where the Image lies, and where its vectors do.
const IMAGE: u64 = 0x8020_0000;
const VECTORS: u64 = IMAGE + 0x800;

// The few instructions that take operands here [Arm ARM C6.2].

/// movz, movk, movk, movk: all 64 bits of `value`.
fn mov(register: u32, value: u64) -> [u32; 4] {
    let part = |place: u32| u32::try_from((value >> (16 * place)) & 0xffff).unwrap() << 5 | register;
    [
        0xd280_0000 | part(0),
        0xf2a0_0000 | part(1),
        0xf2c0_0000 | part(2),
        0xf2e0_0000 | part(3),
    ]
}

/// Task 1 announces these pages as its checkpoint 1.
fn announce(pages: impl IntoIterator<Item = u64>) -> Vec<u32> {
    let mut words = mov(1, PORT).to_vec();
    for page in pages {
        words.extend(mov(2, 1 << 52 | page | 1));
        words.push(0xf900_1022); // str x2, [x1, #0x20]
    }
    words
}

fn off() -> Vec<u32> {
    [&mov(0, OFF)[..], &[0xd400_0002, 0x1400_0000]].concat() // hvc #0; b .
}

fn image(code: &[u32]) -> Vec<u8> {
    let mut image = vec![0; 0x1000];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    let bytes = |words: &[u32]| {
        words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect::<Vec<_>>()
    };
    // The header [Linux Documentation/arch/arm64/booting.rst]: b . + 64; anywhere in memory, 4 KiB pages.
    put(0, &0x1400_0010_u32.to_le_bytes());
    put(16, &(1_u64 << 20).to_le_bytes());
    put(24, &0xa_u64.to_le_bytes());
    put(56, b"ARM\x64");
    assert!(code.len() * 4 <= 0x7c0);
    put(64, &bytes(code));
    // The vector of a synchronous exception from EL1 with SP_EL1.
    put(0xa00, &bytes(&off()));
    image
}

/// Runs it in the lab; gives the events.
fn run(code: &[u32], times: u32, limit: u32) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let scenario = format!(
        "title = \"t\"\nteaches = \"t\"\ncites = []\nbackends = [\"kvm\"]\ntimeout_s = {limit}\n[guest]\n\
         tasks = [\"apart\", \"bystander\", \"bystander\"]\n[[inject]]\ntask = \"apart\"\ncheckpoint = 1\n\
         route = \"sea-exit\"\ntimes = {times}\n[expect]\nend = \"done\"\n[expect.tasks]\napart = \"killed\"\n"
    );
    fs::write(folder.path().join("guest.Image"), image(code)).unwrap();
    fs::write(folder.path().join("s.toml"), scenario).unwrap();
    let artefacts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/seawall");
    let output = Command::new(env!("CARGO_BIN_EXE_seawall"))
        .args(["run", "--scenarios", "s.toml", "--image", "guest.Image"])
        .args(["--backend", "lab", "--format", "ndjson", "--artefacts"])
        .arg(
            artefacts
                .canonicalize()
                .expect("there is target/seawall, by `cargo xtask build`"),
        )
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn of<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

/// The verdict's word, once one of its findings has these words.
fn verdict(events: &[Value], words: &str) -> String {
    let [verdict] = of(events, "verdict")[..] else {
        panic!("{events:#?}")
    };
    let findings = verdict["findings"].to_string();
    assert!(findings.contains(words), "{findings}");
    assert!(!findings.contains("the lab was lost"), "{findings}");
    verdict["verdict"].as_str().unwrap().to_owned()
}

#[test]
fn a_touch_is_one_abort_and_it_is_the_guests_in_the_lab() {
    let touch = [
        &mov(5, VECTORS)[..],
        &[0xd518_c005], // msr VBAR_EL1, x5
        &announce([LONE]),
        &mov(4, LONE + 8),
        &[0xf940_0083, 0x1400_0000], // ldr x3, [x4]; b .
    ];
    let events = run(&touch.concat(), 1, 30);
    // It has no journal and says no end.
    assert_eq!(verdict(&events, "the guest never named one"), "fail");
    let [injection] = of(&events, "injection")[..] else {
        panic!("{events:#?}")
    };
    // To EL2 it is a load from a lower level, on a walk at level 3.
    assert_eq!(injection["route"], "sea-exit");
    assert_eq!(injection["syndrome"], "0x92000017");
    let [delivery] = of(&events, "delivery")[..] else {
        panic!("{events:#?}")
    };
    assert_eq!(
        (&delivery["esr"], &delivery["far"]),
        (&"0x96000010".into(), &"0x80800008".into())
    );
}

#[test]
fn what_is_never_touched_is_mended_with_the_guests_end_in_the_lab() {
    let events = run(&[announce([LONE]), off()].concat(), 1, 30);
    assert_eq!(verdict(&events, "\"injected\""), "fail");
    assert!(of(&events, "injection").is_empty());
}

#[test]
fn a_guest_that_never_stops_is_a_timeout_and_mended_in_the_lab() {
    // Longer than what is broken is left so, and the guest's end mends nothing any more.
    let events = run(&[announce([LONE]), vec![0x1400_0000]].concat(), 1, 7);
    assert_eq!(verdict(&events, "\"injected\""), "timeout");
}

#[test]
fn what_the_guest_runs_in_is_not_put_out_of_reach_in_the_lab() {
    let events = run(&[announce([IMAGE + 0x10_0000]), off()].concat(), 1, 30);
    assert_eq!(
        verdict(
            &events,
            "is in the same 2 MiB as 0x80200000, where the guest runs"
        ),
        "fail"
    );
}

#[test]
fn more_than_can_be_kept_are_refused_and_all_are_mended_in_the_lab() {
    let pages = (0..17).map(|n| LONE + n * 0x20_0000);
    let events = run(&[announce(pages), off()].concat(), 100, 30);
    assert_eq!(verdict(&events, "16 pages are out of reach already"), "fail");
}
