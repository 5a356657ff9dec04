//! Guests that mean harm, or are broken beyond words, against the runner: each is a failed scenario in which what was
//! seen is named, within its time, and the next one runs.
//!
//! One Image of literal instruction words holds all of them. Which one runs is told by the number of tasks in the boot
//! arguments, so that one session of the lab tries them all: the Image counts a letter of `bystander` in its device
//! tree, for which it needs no parser.
//!
//! These tests need QEMU and what `cargo xtask build` makes, and so are no part of a plain `cargo test`: `cargo xtask
//! test` runs them after its build, by `cargo test --package seawall-host-runner --test hostile`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use seawall_host_runner::backend::{Backend, Limits, Request, Run, RunEnd, VmOptions};
use seawall_host_runner::guest_tree::{Gic, GuestTree, Region};
use seawall_host_runner::qemu::Qemu;
use seawall_replay::plan::Plan;
use seawall_replay::transcript::What;
use serde_json::Value;

const UART: u64 = 0x0900_0000;
const PORT: u64 = 0x0b00_0000;
const JOURNAL_ADDRESS: u32 = 0x10;
const JOURNAL_LENGTH: u32 = 0x18;
const CHECKPOINT: u32 = 0x20;
const END: u32 = 0x38;
const DONE: u64 = 1;
/// PSCI SYSTEM_OFF and SYSTEM_RESET [Arm DEN 0022].
const OFF: u64 = 0x8400_0008;
const RESET: u64 = 0x8400_0009;

/// More announcements than the 16,384 that a transcript holds, and not so many that a slow machine meets the clock first:
/// each is an exit.
const ANNOUNCEMENTS: u32 = 20_000;
/// Bytes between two guests in the Image, and from its start to the first.
const SLOT: usize = 0x1000;
/// Where a guest's data lie in its slot.
const DATA: usize = 0x800;
const ESCAPES: &[u8] = b"\x1b]0;owned\x07\x1b[2J\x9b31m\xc2\x9b1m\r\n\xe2\x80\xaenot ok 1 - faked\n]]></system-out>\n{\"event\":\"verdict\"}\n";

// The few instructions that take operands here [Arm ARM C6.2]. Others stand below as words.

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

/// str `register`, [x1, #`offset`]
fn store(register: u32, offset: u32) -> u32 {
    0xf900_0020 | (offset / 8) << 10 | register
}

/// adr `register`, . + `distance`
fn adr(register: u32, distance: usize) -> u32 {
    let distance = u32::try_from(distance).unwrap();
    0x1000_0000 | (distance & 3) << 29 | (distance >> 2) << 5 | register
}

/// A guest's words, and what lies at [`DATA`] behind them.
#[derive(Default)]
struct Code {
    words: Vec<u32>,
    data: Vec<u8>,
}

impl Code {
    fn words(mut self, words: &[u32]) -> Self {
        self.words.extend_from_slice(words);
        self
    }

    /// x1 = the replay port.
    fn at_port(self) -> Self {
        self.words(&mov(1, PORT))
    }

    /// Writes a register of the replay port, all 64 bits of it.
    fn write(self, offset: u32, value: u64) -> Self {
        self.words(&mov(2, value)).words(&[store(2, offset)])
    }

    /// Calls PSCI.
    fn call(self, function: u64) -> Self {
        self.words(&mov(0, function)).words(&[0xd400_0002, 0x1400_0000]) // hvc #0; b .
    }

    /// Says that it is done, as a good guest would, and switches off.
    fn done(self) -> Self {
        self.write(END, DONE).call(OFF)
    }

    /// x4 = where the data lie.
    fn data(mut self, data: Vec<u8>) -> Self {
        let distance = DATA - self.words.len() * 4;
        self.data = data;
        self.words(&[adr(4, distance)])
    }

    /// Writes the data to the console.
    fn print(self, text: &[u8]) -> Self {
        self.data([text, b"\0"].concat()).words(&mov(1, UART)).words(&[
            0x3840_1482, // 1: ldrb w2, [x4], #1
            0x3400_0062, //    cbz  w2, 2f
            0x3900_0022, //    strb w2, [x1]
            0x17ff_fffd, //    b    1b
        ])
        // 2:
    }

    /// Stores x2 to each place in the port, `1 << shift` bytes at a time.
    fn wild(self, shift: u32) -> Self {
        let stores = [
            0x3900_0022, // strb w2, [x1]
            0x7900_0022, // strh w2, [x1]
            0xb900_0022, // str  w2, [x1]
            0xf900_0022, // str  x2, [x1]
        ];
        self.at_port()
            .words(&mov(5, PORT + 0x2000))
            .words(&mov(2, u64::MAX))
            .words(&[
                stores[shift as usize],
                0x9100_0021 | (1 << shift) << 10, // add  x1, x1, #(1 << shift)
                0xeb05_003f,                      // cmp  x1, x5
                0x54ff_ffa3,                      // b.lo . - 12
            ])
            .at_port()
    }
}

/// A guest, and what has to be named of it.
struct Guest {
    name: &'static str,
    code: Code,
    /// In seconds.
    limit: u32,
    /// The verdict, and words of one of its findings.
    verdict: &'static str,
    finding: &'static str,
    /// On qemu, where that is another.
    on_qemu: Option<(&'static str, &'static str)>,
}

fn journal(address: u64, length: u64) -> Code {
    Code::default()
        .at_port()
        .write(JOURNAL_ADDRESS, address)
        .write(JOURNAL_LENGTH, length)
        .done()
}

/// A journal in the guest's own data.
fn journal_of(content: Vec<u8>, length: u64) -> Code {
    Code::default()
        .data(content)
        .at_port()
        .words(&[store(4, JOURNAL_ADDRESS)])
        .write(JOURNAL_LENGTH, length)
        .done()
}

/// A header that is right by its magic, version and record size, with these numbers and noise for records.
fn journal_bytes(capacity: u64, written: u64, lost: u64) -> Vec<u8> {
    let magic = u64::from_le_bytes(*b"SEAWALLJ");
    let mut words = vec![magic, 1, 128, capacity, written, lost];
    words.resize(16, 0);
    let mut state = 0x5eaa_11ed_u64;
    words.extend((0..16 * 8).map(|n| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        // Every record has a number that fits, first and last, so that what is in it counts.
        if n % 16 == 0 || n % 16 == 15 {
            n / 16 + 1
        } else {
            state
        }
    }));
    words.into_iter().flat_map(u64::to_le_bytes).collect()
}

/// Has a page announced, loads from it twice, and looks at what the two aborts left in ESR_EL1 and FAR_EL1: the same, and
/// what the manual says [Arm ARM D24.2.45]. Else it hangs.
fn twice() -> Code {
    let handler = [
        0xd538_520a_u32, // mrs  x10, esr_el1
        0xd538_600b,     // mrs  x11, far_el1
        0x9100_05ce,     // add  x14, x14, #1
        0xd538_402f,     // mrs  x15, elr_el1
        0x9100_11ef,     // add  x15, x15, #4
        0xd518_402f,     // msr  elr_el1, x15
        0xd69f_03e0,     // eret
    ];
    // A synchronous exception from EL1 with its own stack pointer is taken at VBAR_EL1 + 0x200.
    let mut vectors = vec![0; 0x200];
    vectors.extend(handler.into_iter().flat_map(u32::to_le_bytes));
    Code::default()
        .data(vectors)
        .words(&[
            0xd518_c004, // msr  vbar_el1, x4
            0xd503_3fdf, // isb
            0xd280_000e, // mov  x14, #0
            0x9274_cc85, // and  x5, x4, #~0xfff
            0x9144_00a5, // add  x5, x5, #0x100000
        ])
        .at_port()
        .words(&mov(2, 1 << 52 | 1))
        .words(&[
            0xaa05_0042, // orr  x2, x2, x5
            store(2, CHECKPOINT),
            0xf940_20a7, // ldr  x7, [x5, #0x40]
            0xaa0a_03ec, // mov  x12, x10
            0xaa0b_03ed, // mov  x13, x11
            0xf940_20a7, // ldr  x7, [x5, #0x40]
            0xca0c_0148, // eor  x8, x10, x12
            0xca0d_0169, // eor  x9, x11, x13
            0xaa09_0108, // orr  x8, x8, x9
        ])
        .words(&mov(9, 0x9600_0010))
        .words(&[
            0xca0c_0129, // eor  x9, x9, x12
            0xaa09_0108, // orr  x8, x8, x9
            0x9101_00a9, // add  x9, x5, #0x40
            0xca0d_0129, // eor  x9, x9, x13
            0xaa09_0108, // orr  x8, x8, x9
            0xd100_09c9, // sub  x9, x14, #2
            0xaa09_0108, // orr  x8, x8, x9
            0xb500_0008, // cbnz x8, .
        ])
        .done()
}

const NO_JOURNAL: &str = "the guest never named one inside its memory";

fn guests() -> Vec<Guest> {
    let guest = |name, code, finding| Guest {
        name,
        code,
        limit: 30,
        verdict: "fail",
        finding,
        on_qemu: None,
    };
    let late = |name, code| Guest {
        limit: 2,
        verdict: "timeout",
        ..guest(name, code, "still running")
    };
    // KVM gives a guest without vectors one abort after the other, and the shim sees that it is lost.
    let lost = |name, code| Guest {
        on_qemu: Some(("fail", "the shim gave up: ESR_EL2 0x8200000")),
        ..late(name, code)
    };
    let code = Code::default;
    let words = |words: &[u32]| code().words(words);
    // Pages that no guest has; the plan takes each from it.
    let wild_pages = [
        0,
        UART,
        PORT,
        0x3fff_f000,
        0x000f_ffff_ffff_f000,
        0x4000_0000,
        0x0800_0000,
    ];
    let wild = wild_pages.into_iter().fold(code().at_port(), |code, page| {
        code.write(CHECKPOINT, 1 << 52 | page | 1)
    });
    vec![
        late("hang", words(&[0x1400_0000])), // b .
        guest("off-at-once", code().call(OFF), "got none"),
        guest("reset", code().call(RESET), "got a reset"),
        guest(
            "flood",
            words(&mov(1, UART)).words(&[
                0x5280_0822, // mov  w2, #'A'
                0x3900_0022, // strb w2, [x1]
                0x17ff_ffff, // b    . - 4
            ]),
            "more on the console than a guest may write",
        ),
        guest("escapes", code().print(ESCAPES).at_port().done(), NO_JOURNAL),
        guest(
            "wild-8",
            code().wild(0).done(),
            "an access at offset 0x0, value 0xff",
        ),
        guest(
            "wild-16",
            code().wild(1).done(),
            "an access at offset 0x0, value 0xffff",
        ),
        guest(
            "wild-32",
            code().wild(2).done(),
            "an access at offset 0x0, value 0xffffffff",
        ),
        guest(
            "wild-64",
            code().wild(3).done(),
            "an access at offset 0x0, value 0xffffffffffffffff",
        ),
        guest(
            "end-of-no-meaning",
            code().at_port().write(END, 0xdead_beef).call(OFF),
            "0xdeadbeef, which means nothing",
        ),
        guest(
            "two-ends",
            code().at_port().write(END, 2).done(),
            "halted and 1 more",
        ),
        guest("journal-nowhere", journal(0xdead_beef_0000, 0x1000), NO_JOURNAL),
        guest("journal-on-the-port", journal(PORT, 0x1000), NO_JOURNAL),
        guest("journal-huge", journal_of(vec![], u64::MAX), NO_JOURNAL),
        guest(
            "journal-round-the-top",
            journal(u64::MAX - 0xfff, 0x2000),
            NO_JOURNAL,
        ),
        guest(
            "journal-of-nothing",
            journal_of(vec![], 0),
            "journal: the journal",
        ),
        guest(
            "journal-of-zeros",
            journal_of(vec![0; 256], 256),
            "journal: the journal",
        ),
        guest(
            "journal-past-the-end",
            // The last page of memory, 64 MiB on a boundary of as much, and one byte more.
            code()
                .data(vec![])
                .at_port()
                .words(&[
                    0xb240_6484, // orr x4, x4, #0x3ffffff
                    0x9274_cc84, // and x4, x4, #~0xfff
                    store(4, JOURNAL_ADDRESS),
                ])
                .write(JOURNAL_LENGTH, 0x1001)
                .done(),
            NO_JOURNAL,
        ),
        guest(
            "journal-of-noise",
            journal_of(journal_bytes(8, 8, 0), 16 * 8 + 8 * 128),
            "without a meaning",
        ),
        guest(
            "journal-that-lost-all",
            journal_of(journal_bytes(8, u64::MAX, u64::MAX - 8), 16 * 8 + 8 * 128),
            "journal-lost: the journal: expected 0",
        ),
        guest(
            "journal-larger-than-itself",
            journal_of(journal_bytes(u64::MAX / 128, 8, 0), 16 * 8 + 8 * 128),
            "journal: the journal",
        ),
        guest("pages-nowhere", wild.done(), "an access at offset 0x20"),
        guest(
            "announcements",
            code()
                .at_port()
                .words(&mov(2, 2))
                .words(&mov(5, ANNOUNCEMENTS.into()))
                .words(&[
                    store(2, CHECKPOINT), // 1: str  x2, [x1, #0x20]
                    0xf100_04a5,          //    subs x5, x5, #1
                    0x54ff_ffc1,          //    b.ne 1b
                ])
                .done(),
            "events-lost: the transcript: expected 0, got 3",
        ),
        // Two registers at once: no syndrome says what was stored.
        lost("pair-on-the-port", code().at_port().words(&[0xa900_0c22]).done()), // stp x2, x3, [x1]
        // Its own page is taken away under it, and there are no vectors: it aborts for ever.
        lost(
            "own-page",
            code()
                .data(vec![])
                .at_port()
                .words(&mov(2, 1 << 52 | 1))
                .words(&[
                    0x9274_cc84, // and x4, x4, #~0xfff
                    0xaa04_0042, // orr x2, x2, x4
                    store(2, CHECKPOINT),
                ])
                .done(),
        ),
        guest("twice", twice(), NO_JOURNAL),
        lost("nowhere", words(&mov(4, 0x6000_0000_0000)).words(&[0xd61f_0080])), // br x4
    ]
}

/// The Image: header, dispatcher, and a slot for each guest.
fn image(guests: &[Guest]) -> Vec<u8> {
    let first = letters(tasks_of(0));
    for number in 0..guests.len() {
        let counted = letters(tasks_of(number));
        assert_eq!(counted, first + number, "the dispatcher cannot count");
    }
    let dispatcher: [u32; 12] = [
        0xb940_0401,                                       //    ldr  w1, [x0, #4]: the tree's size
        0x5ac0_0821,                                       //    rev  w1, w1
        0xd280_0002,                                       //    mov  x2, #0
        0x3840_1403,                                       // 1: ldrb w3, [x0], #1
        0x7101_e47f,                                       //    cmp  w3, #'y'
        0x9a82_1442,                                       //    cinc x2, x2, eq
        0x7100_0421,                                       //    subs w1, w1, #1
        0x54ff_ff81,                                       //    b.ne 1b
        0xd100_0042 | u32::try_from(first).unwrap() << 10, // sub x2, x2, #first
        adr(4, SLOT - 64 - 9 * 4),                         // adr x4, the first slot
        0x8b02_3084,                                       //    add  x4, x4, x2, lsl #12
        0xd61f_0080,                                       //    br   x4
    ];
    let mut image = vec![0; SLOT * (guests.len() + 1)];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    // The header [Linux Documentation/arch/arm64/booting.rst]: b . + 64; anywhere in memory, 4 KiB pages.
    put(0, &0x1400_0010_u32.to_le_bytes());
    put(16, &(1_u64 << 20).to_le_bytes());
    put(24, &0xa_u64.to_le_bytes());
    put(56, b"ARM\x64");
    put(64, &dispatcher.map(u32::to_le_bytes).concat());
    for (number, Guest { code, .. }) in guests.iter().enumerate() {
        let slot = SLOT * (number + 1);
        let words: Vec<u8> = code.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert!(words.len() <= DATA && code.data.len() <= SLOT - DATA);
        put(slot, &words);
        put(slot + DATA, &code.data);
    }
    image
}

/// How often the dispatcher's letter is in the tree of a guest with so many tasks.
fn letters(tasks: usize) -> usize {
    let region = |base, bytes| Region { base, bytes };
    let tree = GuestTree {
        memory: region(0x5000_0000, 64 << 20),
        uart: UART,
        gic: Gic {
            distributor: region(0x0800_0000, 0x1_0000),
            redistributors: region(0x080a_0000, 0x00f6_0000),
        },
        port: PORT,
        boot_arguments: &arguments(tasks),
        initrd: None,
    };
    tree.write().unwrap().iter().filter(|byte| **byte == b'y').count()
}

/// How many tasks make the Image run guest `number`: two at least, as a scenario that injects needs two bystanders.
const fn tasks_of(number: usize) -> usize {
    number + 2
}

fn arguments(tasks: usize) -> String {
    format!("seawall.tasks={}", vec!["bystander"; tasks].join(","))
}

/// The scenario that runs guest `number`; its plan takes every page that is announced.
fn scenario(number: usize, limit: u32) -> String {
    let tasks = vec!["\"bystander\""; tasks_of(number)].join(", ");
    format!(
        "title = \"t\"\nteaches = \"t\"\ncites = []\ntimeout_s = {limit}\n[guest]\ntasks = [{tasks}]\n\
         [[inject]]\nany = true\ncheckpoint = 1\nroute = \"hole\"\ntimes = 100\n[expect]\nend = \"done\"\n"
    )
}

/// The folder of artefacts, with all in it that these tests need.
fn artefacts() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/seawall");
    folder
        .canonicalize()
        .expect("there is target/seawall, by `cargo xtask build`")
}

fn run_in_qemu(folder: &Path, name: &str, limits: Limits) -> (Run, Duration) {
    let guests = guests();
    let number = guests.iter().position(|guest| guest.name == name).unwrap();
    let qemu = Qemu::find(folder).unwrap();
    let request = Request {
        image: &image(&guests),
        memory_bytes: 64 << 20,
        boot_arguments: &arguments(tasks_of(number)),
        plan: Plan::EMPTY,
        budget: None,
        limits,
        state: seawall_host_runner::backend::State::default(),
        vm: VmOptions::default(),
    };
    let begin = Instant::now();
    (qemu.run(&request).unwrap(), begin.elapsed())
}

#[test]
fn limits_hold_for_a_guest_that_passes_them_all() {
    let folder = artefacts();
    let limits = Limits {
        wall: Duration::from_secs(1),
        console_bytes: 1000,
        events: 100,
    };
    let (run, wall) = run_in_qemu(&folder, "hang", limits);
    assert_eq!(run.end, RunEnd::TimedOut);
    assert!(
        (Duration::from_secs(1)..Duration::from_secs(10)).contains(&wall),
        "{wall:?}"
    );
    let (run, _) = run_in_qemu(
        &folder,
        "flood",
        Limits {
            wall: Duration::from_secs(20),
            ..limits
        },
    );
    assert_eq!((run.end, run.console.len()), (RunEnd::Flooded, 1000));
    assert!(run.console.iter().all(|byte| *byte == b'A'));
    let (run, _) = run_in_qemu(
        &folder,
        "announcements",
        Limits {
            wall: Duration::from_secs(20),
            ..limits
        },
    );
    assert_eq!(run.end, RunEnd::PoweredOff);
    assert_eq!(
        (run.events.len(), run.events_lost),
        (100, u64::from(ANNOUNCEMENTS) + 1 - 100)
    );
    assert!(
        run.events
            .iter()
            .all(|event| event.what == What::Announced && event.number == 2)
    );
}

#[test]
fn what_a_guest_names_or_says_is_kept_and_not_believed() {
    let folder = artefacts();
    let run = |name| run_in_qemu(&folder, name, Limits::default()).0;
    for name in [
        "journal-nowhere",
        "journal-huge",
        "journal-past-the-end",
        "journal-round-the-top",
    ] {
        let run = run(name);
        assert_eq!((run.end, run.journal), (RunEnd::PoweredOff, None), "{name}");
    }
    assert_eq!(run("journal-of-nothing").journal, Some(vec![]));
    assert_eq!(run("escapes").console, ESCAPES);
    assert_eq!(run("reset").end, RunEnd::Reset);
    let end = run("end-of-no-meaning");
    assert_eq!(
        end.events.last().map(|event| (event.what, event.ipa)),
        Some((What::End, 0xdead_beef))
    );
    let wild = run("wild-32");
    let refused = wild
        .events
        .iter()
        .filter(|event| event.what == What::Refused)
        .count();
    // Every place of two pages, and none of them is a register of this width.
    assert_eq!(refused, 0x2000 / 4);
    assert!(
        run("pages-nowhere")
            .events
            .iter()
            .all(|event| event.what != What::Opened)
    );
}

/// A folder with the Image, and with the scenarios of those guests that are wanted.
fn folder_of(is_wanted: impl Fn(&Guest) -> bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let guests = guests();
    fs::write(folder.path().join("hostile.Image"), image(&guests)).unwrap();
    fs::create_dir(folder.path().join("scenarios")).unwrap();
    for (number, guest) in guests.iter().enumerate().filter(|(_, guest)| is_wanted(guest)) {
        let file = format!("scenarios/{}.toml", guest.name);
        fs::write(folder.path().join(file), scenario(number, guest.limit)).unwrap();
    }
    folder
}

/// Runs the scenarios of that folder.
fn seawall(artefacts: &Path, folder: &Path, backend: &str, format: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
    command
        .args(["run", "--scenarios", "scenarios", "--image", "hostile.Image"])
        .args(["--backend", backend, "--format", format])
        .arg("--artefacts")
        .arg(artefacts)
        .current_dir(folder);
    command.output().unwrap()
}

/// Nothing in there moves a cursor or sets a title, in whatever encoding.
fn check_harmless(bytes: &[u8]) {
    let text = String::from_utf8(bytes.to_vec()).expect("output is UTF-8");
    let bad = text
        .chars()
        .find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
    assert_eq!(bad, None, "{text}");
}

/// Every guest on one backend, in one run.
fn check_all(artefacts: &Path, backend: &str, limit: Duration) {
    let folder = folder_of(|_| true);
    let begin = Instant::now();
    let output = seawall(artefacts, folder.path(), backend, "ndjson");
    let wall = begin.elapsed();
    check_harmless(&output.stdout);
    check_harmless(&output.stderr);
    let (out, err) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(!err.contains("panicked"), "{err}");
    let events: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for guest in guests() {
        let verdicts: Vec<&Value> = events
            .iter()
            .filter(|event| event["event"] == "verdict" && event["scenario"] == guest.name)
            .collect();
        let [verdict] = verdicts.as_slice() else {
            panic!("{} has {} verdicts: {err}", guest.name, verdicts.len())
        };
        let findings: Vec<String> = verdict["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|finding| {
                let text = |key: &str| finding[key].as_str().unwrap().to_owned();
                format!(
                    "{}: {}: expected {}, got {}",
                    text("check"),
                    text("at"),
                    text("expected"),
                    text("got")
                )
            })
            .collect();
        let (outcome, finding) = match guest.on_qemu {
            Some(other) if backend == "qemu" => other,
            _ => (guest.verdict, guest.finding),
        };
        let name = guest.name;
        // In the lab each byte is an exit: a slow machine meets the clock before the length, which is shown on QEMU.
        if (name, backend) == ("flood", "lab") && verdict["verdict"] == "timeout" {
            continue;
        }
        assert_eq!(verdict["verdict"], outcome, "{name} on {backend}: {findings:#?}");
        let is_named = findings.iter().any(|found| found.contains(finding));
        assert!(is_named, "{name} on {backend}: no `{finding}` in {findings:#?}");
        let wall_ms = verdict["wall_ms"].as_u64().unwrap();
        assert!(wall_ms < 31_000, "{} took {wall_ms} ms", guest.name);
    }
    assert!(wall < limit, "{wall:?}");
}

#[test]
fn every_hostile_guest_is_a_failed_scenario_on_qemu() {
    let artefacts = artefacts();
    check_all(&artefacts, "qemu", Duration::from_secs(60));
}

#[test]
fn every_hostile_guest_is_a_failed_scenario_in_the_lab() {
    let artefacts = artefacts();
    check_all(&artefacts, "lab", Duration::from_secs(180));
}

#[test]
fn no_byte_of_a_guest_reaches_any_report_as_it_is() {
    let artefacts = artefacts();
    let folder = folder_of(|guest| guest.name == "escapes");
    for format in ["text", "ktap", "ndjson", "junit"] {
        let output = seawall(&artefacts, folder.path(), "qemu", format);
        check_harmless(&output.stdout);
        check_harmless(&output.stderr);
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stdout).unwrap();
        // What has the console has it with all in it, and none of its lines is taken for one of the report's.
        assert!(format == "ktap" || text.contains("owned"), "{format}: {text}");
        assert!(
            !text.lines().any(|line| line.starts_with("not ok 1 - faked")),
            "{format}: {text}"
        );
        match format {
            "ktap" => assert_eq!(
                text.lines().filter(|line| line.starts_with("not ok 1")).count(),
                1
            ),
            "junit" => assert_eq!(
                text.matches("</system-out>").count(),
                text.matches("<system-out>").count()
            ),
            "ndjson" => assert_eq!(
                text.lines()
                    .filter(|line| line.starts_with("{\"event\":\"verdict\""))
                    .count(),
                1
            ),
            _ => {}
        }
    }
}

/// A page whose poison was met is a hole from then on: the second load leaves for the runner, or for KVM, without a SIGBUS,
/// and the guest cannot tell.
#[test]
fn poison_that_was_met_is_kept_out_and_aborts_as_before_in_the_lab() {
    let artefacts = artefacts();
    let folder = folder_of(|guest| guest.name == "twice");
    let file = folder.path().join("scenarios/twice.toml");
    for route in ["uffd", "hwpoison"] {
        let number = guests().iter().position(|guest| guest.name == "twice").unwrap();
        let route_is = format!("route = \"{route}\"");
        let text = scenario(number, 30).replace("route = \"hole\"", &route_is);
        fs::write(&file, text.replace("[guest]", "backends = [\"kvm\"]\n[guest]")).unwrap();
        let output = seawall(&artefacts, folder.path(), "lab", "ndjson");
        let text = String::from_utf8(output.stdout).unwrap();
        let events: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
        assert_eq!((of("delivery"), of("kept-out")), (1, 1), "{route}: {text}");
        let verdict = events.iter().find(|event| event["event"] == "verdict").unwrap();
        // It ended by itself, so both aborts were the same; it has no journal, and so fails.
        assert_eq!(verdict["verdict"], "fail", "{route}: {text}");
        assert!(!text.contains("power off"), "{route}: {text}");
    }
}
