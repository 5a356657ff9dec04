//! The stream of events: the one source of every report.
//!
//! `seawall run --format ndjson` prints one JSON object a line, each with `event` and the fields below; every other
//! format is made from the same events, and so is what comes out of the lab. The shape is stable: fields are added,
//! never changed or taken away, and a reader ignores what it does not know. On every line stands `level`, for those who
//! ship the events: `info`, `notice`, `warning`, `error` or `critical`, as syslog has them. Registers, addresses and frames are
//! strings such as `"0x92000010"`, because JSON's numbers lose bits; everything else is a plain number. What is not
//! known or not measured is `null`. Text from the guest is escaped before it gets here.
//!
//! | event | when |
//! | --- | --- |
//! | `run-started` | once, first |
//! | `scenario-started` | before each scenario that runs |
//! | `trigger`, `injection`, `delivery`, `kept-out`, `abort` | the timeline, in order; `times` equal ones in a row are one event |
//! | `told` | each task that lost a page with a frame which it shared, and each that touched such a page later |
//! | `advice` | the host told of poison that nobody had touched yet |
//! | `tasks` | how the tasks stood at the end |
//! | `random` | where a seed drew what was injected: which, and a digest of what it drew and of what the journal has |
//! | `held` | what the runner itself held before and after, where the guest ran in it |
//! | `compared` | with `--compare`, before the verdict: what Linux made of the same |
//! | `console` | each line of the guest's console |
//! | `evacuation` | before the verdict `evacuated`: the VM has met more than its budget allows on this host |
//! | `saved` | before the verdict `saved`: the VM is in a file, and nothing was judged |
//! | `verdict` or `skipped` | once for each scenario |
//! | `measure`, `curve` | `seawall bench` alone |
//! | `run-ended` | once, last |

use serde::{Deserialize, Serialize};

/// The version of the shapes here.
pub const SCHEMA: u32 = 1;

/// One event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run begins.
    RunStarted(RunStarted),
    /// A scenario begins.
    ScenarioStarted(ScenarioStarted),
    /// The guest announced what a step waits for.
    Trigger(Trigger),
    /// The replayer did it.
    Injection(Injected),
    /// The host told of poison that nobody has touched (`BUS_MCEERR_AO`): no abort comes of it.
    Advice(Advice),
    /// The replayer itself gave the guest a synchronous abort. Some are given by hardware or KVM, without this event.
    Delivery(Delivery),
    /// A page whose poison the guest met is out of stage 2 from then on.
    KeptOut(KeptOut),
    /// The guest's journal has an abort.
    Abort(Box<Abort>),
    /// A task lost a page with a frame that it shared with the one that met the error.
    Told(Told),
    /// How the tasks stood at the end.
    Tasks(Tasks),
    /// What a seed drew.
    Random(Random),
    /// What the runner held of its host.
    Held(Held),
    /// A line of the console.
    Console(Console),
    /// What Linux made of the same.
    Compared(Box<Compared>),
    /// A scenario's VM was saved to a file and ended.
    Saved(Saved),
    /// A VM leaves this host: someone has to act.
    Evacuation(Evacuation),
    /// A scenario was judged.
    Verdict(Verdict),
    /// A scenario could not run.
    Skipped(Skipped),
    /// A figure, beside its limit.
    Measure(Measure),
    /// A figure beside more and more of something.
    Curve(Curve),
    /// The run is over.
    RunEnded(Totals),
}

/// How much an event concerns the operator [RFC 5424 §6.2.1].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The usual course.
    Info,
    /// Done on purpose, and worth to be seen.
    Notice,
    /// Something may be lost soon.
    Warning,
    /// Something was lost, or is not as expected.
    Error,
    /// Someone has to act.
    Critical,
}

impl Event {
    /// How much it concerns the operator.
    #[must_use]
    pub fn level(&self) -> Level {
        match self {
            Self::Injection(_) | Self::Delivery(_) | Self::KeptOut(_) | Self::Saved(_) | Self::Skipped(_) => {
                Level::Notice
            }
            Self::Advice(_) => Level::Warning,
            Self::Told(told) if told.touch.is_none() => Level::Warning,
            Self::Told(_) => Level::Error,
            Self::Evacuation(_) => Level::Critical,
            Self::Abort(abort) => match abort.decision.as_str() {
                "carry-on" => Level::Warning,
                "halt" => Level::Critical,
                _ => Level::Error,
            },
            Self::Verdict(verdict) if matches!(verdict.verdict, Outcome::Fail | Outcome::Timeout) => {
                Level::Error
            }
            Self::Compared(compared) if !compared.as_expected => Level::Error,
            Self::Measure(measure) if measure.value.is_none_or(|value| value > measure.limit) => Level::Error,
            Self::Curve(curve) if curve.is_passed() => Level::Error,
            Self::RunEnded(totals) if totals.failed + totals.timed_out > 0 => Level::Error,
            Self::RunStarted(_)
            | Self::ScenarioStarted(_)
            | Self::Trigger(_)
            | Self::Tasks(_)
            | Self::Random(_)
            | Self::Held(_)
            | Self::Console(_)
            | Self::Compared(_)
            | Self::Verdict(_)
            | Self::Measure(_)
            | Self::Curve(_)
            | Self::RunEnded(_) => Level::Info,
        }
    }
}

/// The run begins.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RunStarted {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The command's version.
    pub version: String,
    /// `kvm`, `lab` or `qemu`.
    pub backend: String,
    /// The Linux version whose KVM replays, such as `7.2`.
    pub kvm: Option<String>,
    /// Why this backend.
    pub why: String,
    /// Why not the ones before it.
    pub not: Vec<Unavailable>,
    /// How many scenarios there are.
    pub scenarios: usize,
}

/// A backend that cannot be used here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Unavailable {
    /// Its name.
    pub backend: String,
    /// What is missing.
    pub reason: String,
    /// The line that mends it.
    pub fix: String,
}

/// A scenario begins.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ScenarioStarted {
    /// Its name.
    pub scenario: String,
    /// Its claim.
    pub title: String,
    /// What it is there to show.
    #[serde(default)]
    pub teaches: String,
    /// What Linux does with the same.
    pub linux: Option<String>,
}

/// An announcement that a step waited for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Trigger {
    /// The scenario.
    pub scenario: String,
    /// The step of the plan.
    pub step: Option<u16>,
    /// The task's program, where known.
    pub program: Option<String>,
    /// The task's slot.
    pub slot: u16,
    /// The checkpoint's number.
    pub checkpoint: u16,
    /// `checkpoint`, `border`, `kernel`, `user`, `masked`, `start`, `copy` or `handler`.
    pub window: Option<String>,
    /// The page that was announced.
    pub page: Option<String>,
    /// How many equal ones in a row.
    pub times: u32,
}

/// What was done to the guest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Injected {
    /// The scenario.
    pub scenario: String,
    /// The word that scenarios have for it: `hole`, `serror`, `registers`, `uffd`, `hwpoison`,
    /// `hwpoison-early`, `bus-objerr`, `bus-objerr-bare`, `read-only`, `mend`, `patrol`, `self`, `sea-exit`, `save`.
    pub route: String,
    /// ISS of the SError, ESR of what was entered by registers, ESR_EL2 of what the host took; `null` for what is done to a page, and where the replayer's default was
    /// used.
    pub syndrome: Option<String>,
    /// How many equal ones in a row.
    pub times: u32,
}

/// Poison that the host told of before anyone touched it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Advice {
    /// The scenario.
    pub scenario: String,
    /// IPA of its first page.
    pub page: String,
    /// How long it is, as the host says.
    pub bytes: Option<u64>,
    /// How many equal ones in a row.
    pub times: u32,
}

/// An abort that the replayer gave.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// The scenario.
    pub scenario: String,
    /// ESR as given; zero where KVM chose it.
    pub esr: String,
    /// FAR as the replayer saw it.
    pub far: String,
    /// How many equal ones in a row.
    pub times: u32,
}

/// A page that is kept out of stage 2 for good.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KeptOut {
    /// The scenario.
    pub scenario: String,
    /// The page, by its IPA; of several, the first.
    pub page: String,
    /// How many pages in a row.
    pub times: u32,
}

/// A task that lost a page with a frame that it shared.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Told {
    /// The scenario.
    pub scenario: String,
    /// Its slot; where it was told, that of its process's first task.
    pub slot: u16,
    /// The program in there.
    pub program: Option<String>,
    /// The page, or the address that it touched.
    pub address: String,
    /// The frame.
    pub frame: String,
    /// What came of the touch; `null` where it was only told.
    pub touch: Option<String>,
    /// How many more were told of the same frame than are named.
    pub more: u64,
}

/// An abort, as the guest recorded it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Abort {
    /// The scenario.
    pub scenario: String,
    /// Number of the (first) record.
    pub sequence: u64,
    /// How many equal ones in a row.
    pub times: u32,
    /// The vector, such as `EL0 synchronous +0x400`; for a deferred one, where it was found.
    pub vector: String,
    /// `synchronous`, `serror` or `deferred`.
    pub cause: String,
    /// `el0` or `el1`.
    pub from: String,
    /// `esr` or `disr`: which register `syndrome` is.
    pub register: String,
    /// The syndrome.
    pub syndrome: String,
    /// What it means, in a sentence or two.
    pub summary: String,
    /// FAR, when the syndrome says that it is valid.
    pub far: Option<String>,
    /// ELR.
    pub elr: String,
    /// The poisoned frame.
    pub frame: Option<String>,
    /// How bad it was.
    pub severity: String,
    /// Where it struck.
    pub origin: String,
    /// The charged task's slot.
    pub slot: Option<u16>,
    /// The charged task's program.
    pub program: Option<String>,
    /// What was decided.
    pub decision: String,
    /// From the vector to the record, in instructions; of several, the most. `null`: not measured.
    pub cost: Option<u64>,
}

/// The tasks at the end.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tasks {
    /// The scenario.
    pub scenario: String,
    /// Each task.
    pub tasks: Vec<Task>,
}

/// A task at the end, by its own kernel's word.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Task {
    /// Its slot.
    pub slot: u16,
    /// Its program.
    pub program: String,
    /// Whether it is there only to be unharmed.
    pub bystander: bool,
    /// How it stands.
    pub state: String,
    /// What it has counted.
    pub progress: u64,
    /// What it had counted at the last abort.
    pub progress_at_last_abort: u64,
    /// What it found changed.
    pub damage: u64,
    /// How often it was started again.
    pub restarts: u32,
    /// How often it was charged.
    pub charged: u32,
}

/// What the runner held of its host, before the guest's first instruction and after its last.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Held {
    /// The scenario.
    pub scenario: String,
    /// Bytes in memory beside the guest's, before.
    pub bytes_before: u64,
    /// The same, after.
    pub bytes_after: u64,
    /// Open descriptors, before.
    pub descriptors_before: u64,
    /// The same, after.
    pub descriptors_after: u64,
}

/// A line of the console.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Console {
    /// The scenario.
    pub scenario: String,
    /// The line, escaped.
    pub line: String,
}

/// What Linux made of the same error, on the same QEMU under the same plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Compared {
    /// The scenario.
    pub scenario: String,
    /// The kernel's version, as it says itself.
    pub kernel: Option<String>,
    /// What its process did, in the scenario's word.
    pub does: String,
    /// Whether it was started with `oops=panic`.
    pub panic_on_oops: bool,
    /// What the scenario says that becomes of it.
    pub expected: String,
    /// What became of it: `carries-on`, `error`, `sigbus`, `sigkill`, `oops`, `panic`; `null`: that cannot be said.
    pub outcome: Option<String>,
    /// Why it cannot be said.
    pub trouble: Option<String>,
    /// Whether it is as the scenario says.
    pub as_expected: bool,
    /// The lines of its console that say so.
    pub lines: Vec<String>,
    /// What became of our guest, in a line.
    pub ours: String,
    /// Wall-clock time of the Linux.
    pub wall_ms: u64,
}

/// How a scenario came out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// The scenario.
    pub scenario: String,
    /// The word.
    pub verdict: Outcome,
    /// Wall-clock time.
    pub wall_ms: u64,
    /// Aborts in the journal; `null` where no journal was read: the VM was saved, or lost with the lab.
    pub aborts: Option<u64>,
    /// What is not as expected.
    pub findings: Vec<Finding>,
}

/// How a scenario came out, in a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything as expected.
    Pass,
    /// Something not.
    Fail,
    /// Still running at its limit.
    Timeout,
    /// Saved before its end; it is judged once it is restored.
    Saved,
    /// Saved because its budget was overdrawn: it is to go on elsewhere, and judged there.
    Evacuated,
}

/// Something that is not as expected.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// Which check.
    pub check: String,
    /// Where.
    pub at: String,
    /// What the scenario says.
    pub expected: String,
    /// What was found.
    pub got: String,
}

/// A scenario that could not run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Skipped {
    /// The scenario.
    pub scenario: String,
    /// What is missing.
    pub reason: String,
    /// How to get it.
    pub fix: String,
}

/// What a seed drew. The same seed gives the same decisions, and on `qemu` the same journal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Random {
    /// The scenario.
    pub scenario: String,
    /// The seed: `seawall run --seed` takes it.
    pub seed: u64,
    /// Errors that were to be drawn.
    pub errors: u32,
    /// Announcements that something was drawn for, sound accesses among it.
    pub announcements: u64,
    /// A digest of what was drawn, in order, and for whom.
    pub decisions: String,
    /// A digest of the journal's aborts, in order, without their times and costs.
    pub journal: String,
}

/// A figure.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Measure {
    /// What was measured.
    pub name: String,
    /// How much; `null`: it could not be measured.
    pub value: Option<u64>,
    /// Of what.
    pub unit: String,
    /// What it may be at most.
    pub limit: u64,
    /// What Linux takes for the same, measured on the same QEMU; `null`: it could not be had, or cannot do it.
    #[serde(default)]
    pub linux: Option<u64>,
    /// That Linux's version.
    #[serde(default)]
    pub kernel: Option<String>,
}

/// A figure beside more and more of something: it may grow with the logarithm.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Curve {
    /// What was measured.
    pub name: String,
    /// Of what there is more.
    pub over: String,
    /// Of what the figures are.
    pub unit: String,
    /// What it may be at most wherever it is measured.
    pub limit: u64,
    /// By how much it may grow each time that there is twice as much.
    pub for_each_doubling: u64,
    /// Where it was measured, rising.
    pub places: Vec<Place>,
}

impl Curve {
    /// Whether it is higher somewhere than it may be, or not known.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        self.places.iter().any(|place| !place.is_within())
    }
}

/// A place on a curve.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Place {
    /// How much there was.
    pub at: u64,
    /// The figure; `null`: it could not be measured.
    pub value: Option<u64>,
    /// What it may be here: the limit, or the first place's figure and what it may grow by up to here.
    pub most: u64,
}

impl Place {
    /// Whether the figure is known and no higher than it may be.
    #[must_use]
    pub fn is_within(&self) -> bool {
        self.value.is_some_and(|value| value <= self.most)
    }
}

/// A VM was saved.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Saved {
    /// The scenario.
    pub scenario: String,
    /// The file.
    pub file: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Pages of memory in it; those that are all zero are left out.
    pub pages: u64,
    /// Pages that are poisoned: what was in them is not in the file, and they stay out of use.
    pub poisoned: u64,
    /// An SError is pending.
    pub serror_pending: bool,
}

/// A VM has met more than its budget allows on this host. It is saved, and goes on elsewhere.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Evacuation {
    /// The scenario.
    pub scenario: String,
    /// Which limit was passed, and by what.
    pub reason: String,
    /// Distinct poisoned pages that were met on this host, where they are counted.
    pub pages: Option<u32>,
    /// What may be met, such as `pages=4,aborts=10/60s`.
    pub budget: String,
}

/// The counts at the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Scenarios as expected.
    pub passed: usize,
    /// Scenarios that were not.
    pub failed: usize,
    /// Scenarios whose VM was saved, and not judged.
    #[serde(default)]
    pub saved: usize,
    /// Scenarios whose VM was saved because its budget was overdrawn, and not judged.
    #[serde(default)]
    pub evacuated: usize,
    /// Scenarios that could not run.
    pub skipped: usize,
    /// Scenarios that were still running at their limit.
    pub timed_out: usize,
    /// Wall-clock time.
    pub wall_ms: u64,
}
