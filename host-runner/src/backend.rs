//! What every backend takes and gives, so that a scenario is judged by one piece of code wherever it ran.

use std::time::Duration;

use crate::budget::{Budget, Passed};
use seawall_replay::plan::Plan;
use seawall_replay::transcript::Event;

use crate::saved::{Saved, ScenarioId};
use crate::scenario::Cpu;

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
    /// What saving and restoring need; a run without them can leave it at its default.
    pub state: State<'a>,
    /// What the VM is to be like.
    pub vm: VmOptions,
}

/// What saving and restoring need.
#[derive(Clone, Copy, Debug, Default)]
pub struct State<'a> {
    /// Which scenario this is: a VM is saved under it.
    pub scenario: Option<&'a ScenarioId>,
    /// The VM to go on with, in place of a new one. Image and boot arguments mean nothing then: they are in its memory.
    pub saved: Option<&'a Saved>,
}

/// What is unusual about a VM. The default is a VM as every scenario gets it that does not ask for more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VmOptions {
    /// `KVM_CAP_ARM_NISV_TO_USER` is not enabled: an access without a syndrome ends the run with ENOSYS.
    pub without_nisv_exits: bool,
    /// The guest sets SCTLR2_EL1.EASE: its CPU needs FEAT_DoubleFault2.
    pub ease: bool,
    /// The guest begins at EL2: KVM has to nest.
    pub el2: bool,
    /// The CPU that QEMU is to emulate under the shim, where not the newest that it has.
    pub cpu: Option<Cpu>,
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

impl Limits {
    /// With room in the transcript for all that this plan brings: each injection is announced, done, answered with an
    /// abort, and its page kept out.
    #[must_use]
    pub fn for_plan(self, plan: &Plan) -> Self {
        /// 16 MiB of them; no plan of the scenarios at hand brings so many.
        const MOST: u32 = 1 << 19;
        let injections = plan
            .steps()
            .fold(0_u32, |sum, step| sum.saturating_add(step.times));
        Self {
            events: self
                .events
                .saturating_add(injections.saturating_mul(4))
                .min(MOST.max(self.events)),
            ..self
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
    /// The VM was saved and ended: the file's bytes. Nothing is to be judged yet.
    Saved(Vec<u8>),
    /// The VM's budget is overdrawn. It was saved and ended, to go on elsewhere.
    Evacuated {
        /// By what.
        passed: Passed,
        /// The file's bytes.
        file: Vec<u8>,
    },
    /// KVM had no answer to an access without a syndrome, because nobody had asked it for the exit, and gave ENOSYS.
    Enosys,
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
    /// Those of the lives before, of a guest that began again, first to last; one without bytes could not be read.
    pub earlier: Vec<Vec<u8>>,
    /// What the replayer saw and did, in order.
    pub events: Vec<Event>,
    /// Events that found no room.
    pub events_lost: u64,
    /// Wall-clock time from start to end.
    pub wall: Duration,
    /// What the runner itself held before the guest's first instruction and after its last; `None` where the guest is a
    /// process of its own, or the host does not say.
    pub usage: Option<(Usage, Usage)>,
}

/// What this process holds of its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes in memory, without the guest's.
    pub bytes: u64,
    /// Open descriptors.
    pub descriptors: u64,
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
