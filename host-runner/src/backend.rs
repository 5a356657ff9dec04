//! What every backend takes and gives, so that a scenario is judged by one piece of code wherever it ran.

use std::time::Duration;

use crate::budget::Budget;
use seawall_replay::plan::Plan;
use seawall_replay::transcript::Event;

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The guest: an arm64 Linux Image.
    pub image: &'a [u8],
    /// The guest's memory in bytes, a multiple of 2 MiB.
    pub memory_bytes: u64,
    /// `/chosen/bootargs`.
    pub boot_arguments: &'a str,
    /// Which announcement brings which injection.
    pub plan: Plan,
    /// What the guest may meet before it is evacuated from this host.
    pub budget: Option<Budget>,
    /// What ends a run that does not end by itself.
    pub limits: Limits,
}

/// Bounds that no guest can pass.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Wall-clock time.
    pub wall: Duration,
    /// Bytes on the console.
    pub console_bytes: usize,
    /// Events in the transcript.
    pub events: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(30),
            console_bytes: 256 * 1024,
            events: 16_384,
        }
    }
}

/// How a run ended, as the replayer saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// The guest switched itself off through PSCI.
    PoweredOff,
    /// The guest reset itself through PSCI.
    Reset,
    /// The guest was still running at its wall-clock limit.
    TimedOut,
    /// The guest wrote more to its console than it may.
    Flooded,
    /// The guest did something the replayer has no answer to, or the replayer's own machinery gave up: the reason.
    Stuck(String),
}

/// What a run left behind.
#[derive(Clone, Debug)]
pub struct Run {
    /// How it ended.
    pub end: RunEnd,
    /// What the guest wrote to its console, as it came: escape it before it meets a terminal.
    pub console: Vec<u8>,
    /// The journal's bytes, copied once; `None` when the guest never named one inside its memory.
    pub journal: Option<Vec<u8>>,
    /// What the replayer saw and did, in order.
    pub events: Vec<Event>,
    /// Events that found no room.
    pub events_lost: u64,
    /// Wall-clock time from start to end.
    pub wall: Duration,
}

/// A backend is missing something of its host: what, and how to get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What is missing.
    pub what: String,
    /// The one line that mends it.
    pub fix: String,
}

/// Something that can run a guest and replay aborts into it.
pub trait Backend {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// The Linux version whose KVM replays, as (major, minor); `None` where no KVM is involved. Scenarios use it where
    /// KVM's own injections have changed.
    fn kvm_version(&self) -> Option<(u32, u32)> {
        None
    }

    /// Runs one guest to its end.
    ///
    /// # Errors
    /// [`Missing`] when the host cannot run a guest this way; what a guest does is never an error but a [`Run`].
    fn run(&self, request: &Request<'_>) -> Result<Run, Missing>;
}
