//! The words of the scenario language, each with its meaning.

use seawall_replay::entry::Kind;
use seawall_replay::plan::When;
use seawall_replay::port::{End, Window};

/// A value that a scenario names with a word.
pub(crate) trait Word: Copy + PartialEq + 'static {
    /// All words, in the order in which help lists them.
    const WORDS: &'static [(&'static str, Self)];
}

/// The word for a value.
pub(crate) fn word<T: Word>(value: T) -> &'static str {
    T::WORDS
        .iter()
        .find(|(_, known)| *known == value)
        .map_or("?", |(word, _)| word)
}

/// All words of a kind, for help.
pub(crate) fn listed<T: Word>() -> String {
    let words = T::WORDS.iter().map(|(word, _)| *word);
    words.collect::<Vec<_>>().join(", ")
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl Word for $name {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant)),*];
        }

        impl $name {
            /// The word that scenarios and reports use.
            #[must_use]
            pub fn word(self) -> &'static str {
                word(self)
            }
        }
    };
}

words! {
    /// Where a scenario can run. The lab is KVM too.
    Platform {
        /// The shim under plain QEMU.
        Qemu = "qemu",
        /// Real KVM.
        Kvm = "kvm",
    }
}

impl Platform {
    /// What a backend of this name runs on.
    #[must_use]
    pub fn of_backend(name: &str) -> Self {
        if name == "qemu" { Self::Qemu } else { Self::Kvm }
    }
}

words! {
    /// How the guest ends, by its own word.
    GuestEnd {
        /// All tasks that were waited for have ended.
        Done = "done",
        /// It halted with an epitaph.
        Halted = "halted",
        /// It stopped for a reason of its own.
        Failed = "failed",
        /// It says nothing: KVM_RUN gives ENOSYS.
        Enosys = "enosys",
        /// It says nothing: it did what the replayer has no answer to, and the run was ended.
        Stuck = "stuck",
    }
}

impl GuestEnd {
    /// What the port is told, if anything is.
    #[must_use]
    pub const fn end(self) -> Option<End> {
        match self {
            Self::Done => Some(End::Done),
            Self::Halted => Some(End::Halted),
            Self::Failed => Some(End::Failed),
            Self::Enosys | Self::Stuck => None,
        }
    }
}

words! {
    /// A CPU that QEMU emulates.
    Cpu {
        /// Armv8.0, without FEAT_RAS: no ESB, no DISR_EL1, no VSESR_EL2.
        CortexA57 = "cortex-a57",
        /// Armv8.0 too.
        CortexA72 = "cortex-a72",
        /// Armv8.2, with FEAT_RAS and without FEAT_IESB.
        NeoverseN1 = "neoverse-n1",
    }
}

words! {
    /// How an abort came.
    Cause {
        /// A synchronous external abort.
        Synchronous = "synchronous",
        /// An SError that was taken.
        SError = "serror",
        /// An SError that ESB found pending, read from DISR_EL1.
        Deferred = "deferred",
        /// A patrol scrubber's report: nobody consumed it.
        Patrol = "patrol",
    }
}

words! {
    /// What an abort came out of.
    Level {
        /// A program.
        El0 = "el0",
        /// The kernel.
        El1 = "el1",
    }
}

words! {
    /// How bad an error is, mildest first.
    Severity {
        /// Corrected: nothing is lost.
        Corrected = "corrected",
        /// Nothing is lost, the software may go on.
        Restartable = "restartable",
        /// The state is exact; what was asked for is lost.
        Recoverable = "recoverable",
        /// Contained, but the state is not exact.
        Unrecoverable = "unrecoverable",
        /// It may have spread anywhere.
        Uncontainable = "uncontainable",
    }
}

words! {
    /// What the guest's kernel decided, mildest first.
    Decision {
        /// Carry on.
        CarryOn = "carry-on",
        /// Have the page again in another frame, and carry on.
        Heal = "heal",
        /// Let the kernel's copy end with an error.
        FailCopy = "fail-copy",
        /// Tell the task's own handler.
        Signal = "signal",
        /// Start the task again.
        Restart = "restart",
        /// Kill the task.
        Kill = "kill",
        /// Stop the task and keep it.
        Isolate = "isolate",
        /// Halt the guest.
        Halt = "halt",
    }
}

words! {
    /// Which frame an abort takes out of use.
    Frame {
        /// The page announced at the injection.
        Announced = "announced",
        /// None.
        None = "none",
        /// Some frame; which one is not judged.
        Any = "any",
    }
}

words! {
    /// How a task stands at the end.
    FinalState {
        /// Ready, running or asleep.
        Alive = "alive",
        /// Left by its own exit, with code 0.
        Exited = "exited",
        /// Killed for a memory error.
        Killed = "killed",
        /// Stopped for a memory error and kept.
        Isolated = "isolated",
        /// Killed for a fault of its own.
        Faulted = "faulted",
    }
}

/// How an error gets into the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Route {
    Hole,
    SError,
    Registers,
    Uffd,
    HwPoison,
    HwPoisonEarly,
    BusObjErr,
    BusObjErrBare,
    ReadOnly,
    Mend,
    Patrol,
    Save,
    /// KVM aborts the access without any help.
    Itself,
    SeaExit,
    /// A sound access, drawn as an error might have been.
    Nothing,
}

impl Route {
    /// Whether it does something to the announced page.
    pub(crate) const fn needs_page(self) -> bool {
        matches!(self, Self::Hole | Self::ReadOnly | Self::Patrol | Self::Itself)
            || (self.needs_host() && !matches!(self, Self::Save))
    }

    /// Whether it needs a host behind the guest, which the shim does not have.
    pub(crate) const fn needs_host(self) -> bool {
        matches!(
            self,
            Self::Uffd
                | Self::HwPoison
                | Self::HwPoisonEarly
                | Self::BusObjErr
                | Self::BusObjErrBare
                | Self::Mend
                | Self::Save
                | Self::SeaExit
        )
    }
}

impl Word for Route {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("hole", Self::Hole),
        ("serror", Self::SError),
        ("registers", Self::Registers),
        ("uffd", Self::Uffd),
        ("hwpoison", Self::HwPoison),
        ("hwpoison-early", Self::HwPoisonEarly),
        ("bus-objerr", Self::BusObjErr),
        ("bus-objerr-bare", Self::BusObjErrBare),
        ("read-only", Self::ReadOnly),
        ("mend", Self::Mend),
        ("patrol", Self::Patrol),
        ("save", Self::Save),
        ("self", Self::Itself),
        ("sea-exit", Self::SeaExit),
        ("nothing", Self::Nothing),
    ];
}

impl Word for When {
    const WORDS: &'static [(&'static str, Self)] =
        &[("announcement", Self::Announced), ("abort", Self::AbortGiven)];
}

/// What KVM aborts by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ByItself {
    /// An instruction fetch from a hole.
    Fetch,
    /// A stage-1 walk into a hole.
    Walk,
    /// Any access above the VM's IPAs and inside the CPU's range.
    AboveIpa,
}

impl Word for ByItself {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("fetch", Self::Fetch),
        ("walk", Self::Walk),
        ("above-ipa", Self::AboveIpa),
    ];
}

/// By which vector an abort is entered.
impl Word for Kind {
    const WORDS: &'static [(&'static str, Self)] =
        &[("synchronous", Self::Synchronous), ("serror", Self::SError)];
}

impl Word for Window {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("checkpoint", Self::Checkpoint),
        ("border", Self::Border),
        ("kernel", Self::Kernel),
        ("user", Self::User),
        ("masked", Self::Masked),
        ("start", Self::Start),
        ("copy", Self::Copy),
        ("handler", Self::Handler),
    ];
}

/// The candidate that was probably meant.
pub(crate) fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(wrong, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
