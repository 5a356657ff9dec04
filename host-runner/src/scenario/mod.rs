//! Scenarios: what is done to a guest, and what must come of it.
//!
//! A scenario is one TOML file. What it expects is written in it by hand, from the manuals; nothing of it is ever
//! computed by the code under test. [`parse`] reads and checks a file and says where it is wrong, [`library`] finds the
//! files, [`boot`] makes of a scenario what a backend wants to know.

pub mod boot;
mod check;
pub mod diagnose;
mod expect;
pub mod library;
mod linux;
pub mod parse;
mod policy;
mod random;
mod raw;
mod serror;
mod shape;
mod values;
pub(crate) mod words;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::budget::Budget;
use seawall_replay::plan::Injection;
use seawall_replay::port::Window;

use crate::backend::VmOptions;

pub use linux::{Does, ExpectedLinux, LinuxOutcome};
pub use parse::parse;
pub use policy::Policy;
pub use random::Random;
pub use words::{Cause, Cpu, Decision, FinalState, Frame, GuestEnd, Level, Platform, Severity};

/// The guest's programs, and which programs each may start by itself.
pub const PROGRAMS: &[(&str, &[&str])] = &[
    ("bystander", &[]),
    ("clean", &[]),
    ("handler", &[]),
    ("again", &[]),
    ("load", &[]),
    ("store", &[]),
    ("pair", &[]),
    ("fetch", &[]),
    ("walk", &[]),
    ("serror", &[]),
    ("border", &[]),
    ("deferred", &[]),
    ("kernel", &[]),
    ("copyin", &[]),
    ("storm", &["load"]),
    ("spin", &[]),
    ("bench_tasks", &["victim", "sleeper"]),
    ("bench_frames", &["victim"]),
    ("sleeper", &[]),
    ("gale", &[]),
    ("tempest", &["load", "store", "pair", "fetch", "walk", "gale"]),
    ("bench", &["victim", "victim_serror"]),
    ("victim", &[]),
    ("victim_serror", &[]),
    ("write_text", &[]),
    ("run_data", &[]),
    ("deep_stack", &[]),
    ("read_kernel", &[]),
    ("undefined", &[]),
    ("mend", &[]),
    ("deluge", &["load", "store", "pair", "border", "serror"]),
    ("masked", &[]),
    ("masked_copy", &[]),
    ("copyout", &[]),
    ("copy_stop", &[]),
    ("futex", &[]),
    ("peek", &[]),
    ("peeked", &[]),
    ("interrupt", &[]),
    ("handler_border", &[]),
    ("handler_serror", &[]),
    ("handler_copy", &[]),
    ("regions", &[]),
    ("own_entry", &[]),
    ("long_turn", &[]),
    ("walk_2", &[]),
    ("walk_1", &[]),
    ("beyond", &[]),
    ("beyond_text", &[]),
    ("single", &[]),
    ("double", &[]),
    ("strbyte", &[]),
    ("strword", &[]),
    ("strqword", &[]),
    ("prefetch", &[]),
    ("memcpy", &[]),
    ("across", &[]),
    ("pair_across", &[]),
    ("overflow", &[]),
    ("own_stack", &[]),
    ("maintain", &[]),
    ("zero_block", &[]),
    ("ldadd", &[]),
    ("cas", &[]),
    ("exclusive", &[]),
    ("store_deferred", &[]),
    ("evidence", &[]),
    ("inspector", &["evidence"]),
    ("load_late", &[]),
    ("thread", &[]),
    ("threads", &[]),
    ("share", &["sharer"]),
    ("share_copy", &["sharer"]),
    ("share_peek", &["peeker"]),
    ("peek_isolated", &[]),
    ("futex_moved", &["sleeper"]),
    ("cow_target", &["keeper", "spoiler"]),
    ("restless", &[]),
    ("patrol_shared", &["partner"]),
    ("handler_fork", &["other"]),
    ("table_calls", &[]),
    ("share_text", &["text_sharer"]),
    ("share_handler", &["struck"]),
    ("mlock", &[]),
    ("copy_on_write", &["copier"]),
    ("copyout_fresh", &["filler"]),
    ("fork", &["forked"]),
    ("fresh", &["forked", "load"]),
    ("crowd", &[]),
    ("apart", &[]),
    ("apart_store", &[]),
    ("apart_fetch", &[]),
    ("apart_copyin", &[]),
    ("retired", &["load"]),
    ("reboot", &["load"]),
    ("patrol_free", &[]),
    ("patrol_own", &[]),
    ("patrol_unused", &[]),
    ("patrol", &[]),
    ("patrol_text", &[]),
    ("patrol_table", &[]),
];

/// Those whose page to be poisoned has 2 MiB of memory of its own.
pub const APART: &[&str] = &["apart", "apart_store", "apart_fetch", "apart_copyin"];

/// The program that is there only to be unharmed.
pub const BYSTANDER: &str = "bystander";

/// A scenario whose every part has been checked.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The file's name without `.toml`.
    pub name: String,
    /// The file, as it is called in messages.
    pub file: String,
    /// The file's text: what is handed into the lab.
    pub source: String,
    /// What it shows, as a claim.
    pub title: String,
    /// A few sentences.
    pub teaches: String,
    /// Where the expected values come from.
    pub cites: Vec<String>,
    /// What Linux does with the same.
    pub linux: Option<String>,
    /// Words to select it by.
    pub tags: Vec<String>,
    /// Where it can run.
    pub platforms: Vec<Platform>,
    /// Wall-clock limit.
    pub timeout: Duration,
    /// What runs.
    pub guest: Guest,
    /// What is done to it.
    pub injections: Vec<Inject>,
    /// What of that is drawn, where anything is.
    pub random: Option<Random>,
    /// What it may meet before it is evacuated.
    pub budget: Option<Budget>,
    /// What must come of it.
    pub expect: Expect,
    /// What must come of the same in Linux, where Linux can be had to do the same.
    pub expect_linux: Option<ExpectedLinux>,
}

/// What runs.
#[derive(Clone, Debug)]
pub struct Guest {
    /// Bytes, a multiple of 2 MiB.
    pub memory_bytes: u64,
    /// Program names; the first has slot 1.
    pub tasks: Vec<String>,
    /// What is to be done with a program that met an error; where nothing is said, what the program itself says.
    pub policies: BTreeMap<String, Policy>,
    /// What is unusual about its VM.
    pub vm: VmOptions,
}

impl Guest {
    /// The slots that begin with this program.
    pub fn slots<'a>(&'a self, program: &'a str) -> impl Iterator<Item = u16> + 'a {
        (1..)
            .zip(&self.tasks)
            .filter(move |(_, task)| *task == program)
            .map(|(slot, _)| slot)
    }

    /// The program that slot begins with.
    #[must_use]
    pub fn program(&self, slot: u16) -> Option<&str> {
        self.tasks
            .get(usize::from(slot).checked_sub(1)?)
            .map(String::as_str)
    }
}

/// One injection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inject {
    /// The program whose announcement brings it; `None` is any.
    pub task: Option<String>,
    /// The checkpoint's number.
    pub checkpoint: u16,
    /// In which window.
    pub at: Window,
    /// What is done.
    pub injection: Injection,
    /// By which route, as the file has it.
    pub route: &'static str,
    /// Whether KVM is to bring the abort without any help.
    pub by_itself: bool,
    /// Announcements that pass first.
    pub skip: u32,
    /// How often it is done.
    pub times: u32,
    /// How it is called where it is drawn; `skip` is its weight then.
    pub name: Option<String>,
}

/// The word for a window of the port.
#[must_use]
pub fn window_word(window: Window) -> &'static str {
    words::word(window)
}

/// What must come of it.
#[derive(Clone, Debug)]
pub struct Expect {
    /// How the guest ends, by its own word.
    pub end: GuestEnd,
    /// What the console must contain.
    pub console: Vec<String>,
    /// Frames retired at the end.
    pub retired: u64,
    /// Pages that the host tells of before anyone touches them, where that is judged.
    pub advised: Option<u64>,
    /// How often its budget is passed, and it goes on in another process.
    pub evacuations: u32,
    /// How often the guest begins again.
    pub reboots: u32,
    /// The aborts in the journal, in order, and none beside them.
    pub aborts: Vec<ExpectedAbort>,
    /// What the guest read where it had SErrors masked, in order, and nothing beside it.
    pub pending: Vec<ExpectedPending>,
    /// What the guest read of retired frames by its own mapping of memory, in order, and nothing beside it.
    pub mapping: Vec<ExpectedMapping>,
    /// Who is told of a frame that it shared and that was lost, and what comes of touching it, in order, and nothing
    /// beside it.
    pub told: Vec<ExpectedTold>,
    /// Final states by program.
    pub tasks: BTreeMap<String, FinalState>,
    /// How often a program's tasks were started again, each; zero where nothing is said.
    pub restarts: BTreeMap<String, u32>,
}

/// What the guest found where it had SErrors masked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExpectedPending {
    /// ISR_EL1.A.
    pub serror: bool,
    /// How many memory errors it had handled by then.
    pub handled: u64,
}

/// What the guest found when it read a retired frame, and the others of its 2 MiB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExpectedMapping {
    /// ESR_EL1.
    pub esr: u64,
    /// How many of the others could be read.
    pub sound: u64,
}

/// A task that lost a page with a frame that it shared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExpectedTold {
    /// Its program.
    pub task: String,
    /// The page where it was told, or the address that it touched.
    pub address: u64,
    /// What came of the touch; `None` where it is only told.
    pub touch: Option<Decision>,
    /// How many such in a row.
    pub times: u32,
}

/// A run of equal abort records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExpectedAbort {
    /// What was drawn for it, where errors are drawn.
    pub of: Option<String>,
    /// Whose program is charged; `None`: nobody.
    pub task: Option<String>,
    /// How it came.
    pub cause: Cause,
    /// What it came out of.
    pub from: Level,
    /// ESR_EL1, or DISR_EL1 when it was deferred.
    pub syndrome: u64,
    /// DISR_EL1 where an interrupt may be taken before the SError, whose border then finds it: see [`Self::may_defer`].
    pub or_deferred: Option<u64>,
    /// What older KVMs give instead.
    pub before: Vec<Before>,
    /// FAR_EL1.
    pub far: Far,
    /// How bad it is.
    pub severity: Severity,
    /// What was decided.
    pub decision: Decision,
    /// Which frame was retired.
    pub frame: Frame,
    /// How many records in a row.
    pub times: u32,
}

impl ExpectedAbort {
    /// DISR_EL1, where it is left to the CPU whether it takes an SError or an interrupt first [Arm ARM D1.3.6]: in any
    /// replayer but KVM from Linux 6.17 on, which takes an SError in software at the instant it is pended.
    #[must_use]
    pub fn may_defer(&self, kvm: Option<(u32, u32)>) -> Option<u64> {
        self.or_deferred
            .filter(|_| kvm.is_none_or(|version| version < (6, 17)))
    }

    /// The syndrome and frame to expect under this version of Linux's KVM, and why where it is not the usual one.
    #[must_use]
    pub fn under(&self, kvm: Option<(u32, u32)>) -> (u64, Frame, Option<&str>) {
        let older = kvm.and_then(|version| {
            let applies = self.before.iter().filter(|before| version < before.linux);
            applies.min_by_key(|before| before.linux)
        });
        older.map_or((self.syndrome, self.frame, None), |before| {
            (
                before.esr,
                before.frame.unwrap_or(self.frame),
                Some(before.because.as_str()),
            )
        })
    }
}

/// What a KVM older than `linux` gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Before {
    /// The first version that does it the new way.
    pub linux: (u32, u32),
    /// ESR_EL1 before it.
    pub esr: u64,
    /// The frame, where that differs too.
    pub frame: Option<Frame>,
    /// Why.
    pub because: String,
}

/// What is expected of FAR_EL1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Far {
    /// The record says that it holds no address.
    Invalid,
    /// It holds exactly this.
    Exactly(u64),
    /// It holds an address that depends on where the kernel was loaded.
    Any,
}

#[cfg(test)]
mod serror_tests;
#[cfg(test)]
mod shape_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wrong_tests;
