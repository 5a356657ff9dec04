//! The plan: which announcement brings which injection.
//!
//! A plan is a header of 16 bytes and up to [`MAX_STEPS`] steps of 32 bytes, little endian:
//!
//! | offset | size | header | | offset | size | step |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | 0 | 8 | `SEAWALLQ` | | 0 | 2 | task slot, 0 to 0xfff, 0xffff = any |
//! | 8 | 4 | version, 1 | | 2 | 2 | checkpoint number, 0 to 0xfff |
//! | 12 | 4 | count of steps | | 4 | 1 | window |
//! | | | | | 5 | 1 | injection: 1 hole, 2 SError, 3 abort by its registers, 4 poison, 5 read-only, 6 host abort, 7 save, 8 left, 9 SError later, 10 mend, 11 patrol, 15 draw, 16 nothing |
//! | | | | | 6 | 1 | 1 = the SError has a syndrome, the abort has a FAR, the hole an SError beside it; poison: 0 userfaultfd, 1 memory failure, 2 the same announced, 3 BUS_OBJERR, 4 the same without an address; save: 0 at the announcement, 1 once its abort is given; patrol: 1 = failing, and readable still |
//! | | | | | 7 | 1 | 1 = the abort is entered by the SError's vector |
//! | | | | | 8 | 4 | how many matching announcements pass first |
//! | | | | | 12 | 4 | how often it fires, 0 = without limit; 1 for an SError later, beside a hole, or at the start |
//! | | | | | 16 | 8 | SError, also one beside a hole: its ISS; abort: its ESR |
//! | | | | | 24 | 8 | abort: its FAR; SError later: milliseconds |
//!
//! A step that draws has its seed at 16, and at 12 how many errors it brings in all, at least one; as it speaks of no
//! announcement, its task is any, and its number, its window and its place at 8 are zero. Those behind it are what it
//! draws from: of the ones that speak of an announcement one is taken by [`crate::draw`], each as often as its weight, at
//! 8, says; their own place at 12 limits nothing. `nothing` is one of them that leaves the announcement alone.
//!
//! A place that has no meaning for a step's injection is zero, and a plan with anything else there is refused: the byte at
//! 7 of all but aborts, 16 and 24 where the table names nothing for the injection, and 24 of an abort without a FAR.

use crate::entry::Kind;
use crate::layout::{put, u32_at};
use crate::port::{Announcement, Window};
use crate::transcript::What;
use bytes::{decode_step, encode_step};

/// The first eight bytes.
pub const MAGIC: [u8; 8] = *b"SEAWALLQ";
/// The layout's version.
pub const VERSION: u32 = 1;
/// More steps than this are refused.
pub const MAX_STEPS: usize = 64;
/// Bytes before the first step.
pub const HEADER_BYTES: usize = 16;
/// Bytes of a step.
pub const STEP_BYTES: usize = 32;
/// A buffer of this many bytes holds every plan.
pub const MAX_BYTES: usize = HEADER_BYTES + MAX_STEPS * STEP_BYTES;
/// The highest task slot and checkpoint number of a step: an announcement has twelve bits for each.
pub const MOST_NUMBER: u16 = 0xfff;
/// The bits an SError's syndrome may have: ISS, ESR_ELx bits 24:0 [Arm ARM D24.2.45]. KVM refuses any other bit.
pub const SERROR_SYNDROME_MASK: u64 = 0x01ff_ffff;

/// What is done to the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Injection {
    /// The announced page is taken out of stage 2, for good: every access to it becomes a synchronous external abort.
    Hole,
    /// A virtual SError is pended on the vCPU; `None` leaves the syndrome to the replayer's default (IDS = 1).
    SError {
        /// ISS of the SError, within [`SERROR_SYNDROME_MASK`].
        syndrome: Option<u32>,
    },
    /// A data or instruction abort is entered as the architecture does it, by writing the guest's registers: behind the
    /// announcement, with a syndrome that no hardware at hand would give.
    Abort {
        /// ESR_EL1, one that [`is_abort_in`] its window.
        esr: u64,
        /// FAR_EL1; `None`, which only a syndrome with FnV may have, leaves it as it was.
        far: Option<u64>,
    },
    /// The host memory behind the announced page is poisoned: every access to it becomes a SIGBUS for the replayer, and
    /// that an abort for the guest. Only a replayer on a host has such memory.
    Poison(Poison),
    /// The announced page can be read and no longer written: every store to it becomes a synchronous external abort.
    ReadOnly,
    /// The next access to the announced page is a synchronous external abort that the host takes on the guest's behalf:
    /// `KVM_EXIT_ARM_SEA`, which is then replayed into the guest. Only a replayer on a host gets one.
    HostAbort,
    /// The announced page, which was taken out or made read-only before, is as it was again. Only a replayer on a host
    /// gives pages back.
    Mend,
    /// The whole machine is saved, beside what another step does at the same announcement. Only a replayer that can be
    /// saved has such steps.
    Save(When),
    /// As [`Self::Hole`], and with the first abort that the page brings comes an SError, both at once.
    HoleBesideSError {
        /// ISS of the SError, within [`SERROR_SYNDROME_MASK`].
        syndrome: u32,
    },
    /// As [`Self::Abort`], but entered by the SError's vector, where a CPU with SCTLR2_EL1.EASE = 1 takes a synchronous
    /// external abort [Arm ARM D24.2.139].
    AbortBySErrorVector {
        /// ESR_EL1, one that [`is_abort_in`] its window.
        esr: u64,
        /// FAR_EL1, as for [`Self::Abort`].
        far: Option<u64>,
    },
    /// Nothing is done: the guest's own access to the announced page aborts by itself.
    Left,
    /// A virtual SError is pended so long after the announcement, while the task that announced runs in EL0, on a vCPU
    /// that is got out of the guest for it.
    SErrorLater {
        /// ISS, as for [`Self::SError`].
        syndrome: Option<u32>,
        /// 1 to [`MOST_MILLISECONDS`].
        milliseconds: u32,
    },
    /// The announced page is reported as a patrol scrubber reports what it finds before anyone touches it. It is taken out
    /// of stage 2 as well, unless it is only `failing`: then it can be read still.
    Patrol {
        /// Its errors were corrected so far, and are too many.
        failing: bool,
    },
    /// The steps behind this one are drawn from, until they have brought as many errors as `times` of this one says. It
    /// speaks of no announcement itself.
    Draw {
        /// What the numbers begin with.
        seed: u64,
    },
    /// Nothing is done: a sound access, drawn as an error might have been.
    Nothing,
}

/// When a machine is saved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// At the announcement, once what it brings has been done.
    Announced,
    /// As soon as the abort that the announced page brings has been given, and before the guest has taken it.
    AbortGiven,
}

/// An SError comes at most so long after its announcement.
pub const MOST_MILLISECONDS: u32 = 60_000;

/// What poisons host memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Poison {
    /// `UFFDIO_POISON`: in one address space, and gone with it.
    Userfault,
    /// `madvise(MADV_HWPOISON)`: by the host's own handling of memory failures.
    MemoryFailure,
    /// By the same, of a page that nobody is touching, and with the early-kill policy: the host tells of it at once.
    AnnouncedMemoryFailure,
    /// Nothing is lost: the page is a hole, and its accesses are told as `BUS_OBJERR`, which was proposed for SEAs that a
    /// host takes for its guest. With `KVM_EXIT_ARM_SEA` (Linux 6.19) nobody sends it any more.
    ObjectError {
        /// Whether the signal says where.
        addressed: bool,
    },
}

impl Injection {
    /// The event by which the transcript says that it was done.
    #[must_use]
    pub const fn noted_as(self) -> What {
        match self {
            Self::Hole => What::Opened,
            Self::SError { .. } => What::Pended,
            Self::Abort { .. } => What::Entered,
            Self::Poison(_) => What::Poisoned,
            Self::ReadOnly => What::Protected,
            Self::HostAbort => What::HostAbort,
            Self::Mend => What::Mended,
            Self::Save(_) => What::Saved,
            Self::HoleBesideSError { .. } => What::Opened,
            Self::AbortBySErrorVector { .. } => What::Entered,
            Self::Left => What::Left,
            Self::SErrorLater { .. } => What::Pended,
            Self::Patrol { .. } => What::Reported,
            Self::Draw { .. } | Self::Nothing => What::Announced,
        }
    }

    /// How many errors the guest gets by it.
    #[must_use]
    pub const fn errors(self) -> u32 {
        match self {
            Self::Draw { .. } | Self::Nothing | Self::Save(_) | Self::Mend => 0,
            Self::HoleBesideSError { .. } => 2,
            _ => 1,
        }
    }

    /// The event by which the transcript says that what belongs to it besides was done.
    #[must_use]
    pub const fn noted_besides_as(self) -> Option<What> {
        match self {
            Self::HoleBesideSError { .. } => Some(What::Pended),
            _ => None,
        }
    }

    /// By which vector it is entered, if it is an abort by its registers.
    #[must_use]
    pub const fn vector(self) -> Kind {
        match self {
            Self::AbortBySErrorVector { .. } => Kind::SError,
            _ => Kind::Synchronous,
        }
    }
}

/// Whether `esr` is the syndrome of an abort that is taken to EL1 out of what runs in `window`: of class 0x20 or 0x24
/// from EL0, 0x21 or 0x25 from EL1, with nothing in the bits that are RES0 in all of them [Arm ARM D24.2.45].
#[must_use]
pub const fn is_abort_in(window: Window, esr: u64) -> bool {
    let class = (esr >> 26) & 0x3f;
    let fits = match window {
        Window::User => matches!(class, 0x20 | 0x24),
        Window::Checkpoint
        | Window::Border
        | Window::Kernel
        | Window::Masked
        | Window::Copy
        | Window::Handler => matches!(class, 0x21 | 0x25),
        // No code has run yet that could be aborted.
        Window::Start => false,
    };
    fits && esr >> 56 == 0
}

/// Whether FAR_EL1 holds nothing by this abort's syndrome: FnV, bit 10, which is defined for fault status 0x10 (bits 5:0)
/// alone [Arm ARM D24.2.45].
#[must_use]
pub const fn is_far_invalid(esr: u64) -> bool {
    esr & 0x3f == 0x10 && esr & (1 << 10) != 0
}

/// One rule: when this is announced, do that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// Only this task slot, 0 to [`MOST_NUMBER`], or any.
    pub task: Option<u16>,
    /// The checkpoint's number, 0 to [`MOST_NUMBER`].
    pub number: u16,
    /// In which state of the guest.
    pub window: Window,
    /// Matching announcements that pass before the first one counts.
    pub skip: u32,
    /// How often the step fires; zero is without limit. Of a step that draws, the errors that it brings in all.
    pub times: u32,
    /// What it does.
    pub injection: Injection,
}

impl Step {
    /// Whether this step speaks of that announcement.
    #[must_use]
    pub fn matches(&self, window: Window, announcement: Announcement) -> bool {
        !matches!(self.injection, Injection::Draw { .. })
            && self.window == window
            && self.number == announcement.number
            && self.task.is_none_or(|task| task == announcement.task)
    }

    /// There no task has been started and nobody announces anything: one SError, once.
    const fn is_sound_at_start(&self) -> bool {
        matches!(self.injection, Injection::SError { .. })
            && self.task.is_none()
            && self.number == 0
            && self.skip == 0
            && self.times == 1
    }

    /// What draws speaks of no announcement, and brings something.
    const fn is_sound_drawing(&self) -> bool {
        self.task.is_none()
            && self.number == 0
            && matches!(self.window, Window::Checkpoint)
            && self.skip == 0
            && self.times >= 1
    }

    /// Whether an announcement could have these numbers, and the injection's own values exist and fit the window.
    const fn is_sound(&self) -> bool {
        if matches!(self.window, Window::Start) && !self.is_sound_at_start() {
            return false;
        }
        if self.number > MOST_NUMBER || matches!(self.task, Some(task) if task > MOST_NUMBER) {
            return false;
        }
        match self.injection {
            Injection::Hole
            | Injection::SError { syndrome: None }
            | Injection::Poison(_)
            | Injection::ReadOnly
            | Injection::HostAbort
            | Injection::Mend
            | Injection::Patrol { .. }
            | Injection::Save(_) => true,
            Injection::SError { syndrome: Some(iss) } => iss as u64 & !SERROR_SYNDROME_MASK == 0,
            Injection::Abort { esr, far } | Injection::AbortBySErrorVector { esr, far } => {
                is_abort_in(self.window, esr) && (far.is_some() || is_far_invalid(esr))
            }
            // Once: the first abort of the page is the one that it comes with.
            Injection::HoleBesideSError { syndrome } => {
                syndrome as u64 & !SERROR_SYNDROME_MASK == 0 && self.times == 1
            }
            Injection::Left | Injection::Nothing => true,
            Injection::Draw { .. } => self.is_sound_drawing(),
            Injection::SErrorLater {
                syndrome,
                milliseconds,
            } => {
                let fits = match syndrome {
                    Some(iss) => iss as u64 & !SERROR_SYNDROME_MASK == 0,
                    None => true,
                };
                fits && milliseconds >= 1 && milliseconds <= MOST_MILLISECONDS && self.times == 1
            }
        }
    }
}

/// Why bytes are not a plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlanError {
    /// The plan is cut short.
    Cut,
    /// The bytes are not a plan, or one of another version.
    NotAPlan,
    /// The plan has more steps than fit.
    TooManySteps(u32),
    /// Step {step} has a value that does not exist in its field, or is not zero where nothing has a meaning.
    BadStep {
        /// Counted from zero.
        step: usize,
    },
}

impl core::fmt::Display for PlanError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Cut => write!(f, "the plan is cut short"),
            Self::NotAPlan => write!(f, "the bytes are not a plan of version {VERSION}"),
            Self::TooManySteps(n) => write!(f, "the plan has {n} steps, at most {MAX_STEPS} fit"),
            Self::BadStep { step } => write!(f, "step {step} has a value that does not exist in its field"),
        }
    }
}

impl core::error::Error for PlanError {}

/// A plan whose every step has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    steps: [Option<Step>; MAX_STEPS],
}

impl Plan {
    /// A plan that injects nothing.
    pub const EMPTY: Self = Self {
        steps: [None; MAX_STEPS],
    };

    /// A plan of these steps.
    ///
    /// # Errors
    /// [`PlanError::TooManySteps`], and [`PlanError::BadStep`] for a step that [`Self::decode`] would refuse: a task or a
    /// number above [`MOST_NUMBER`], an SError syndrome with bits outside ISS, an abort that cannot be taken in its window
    /// or has no FAR where its syndrome says so, and what else the module's table leaves no place for.
    pub fn new(steps: &[Step]) -> Result<Self, PlanError> {
        if steps.len() > MAX_STEPS {
            return Err(PlanError::TooManySteps(
                u32::try_from(steps.len()).unwrap_or(u32::MAX),
            ));
        }
        let mut plan = Self::EMPTY;
        for (index, (slot, step)) in plan.steps.iter_mut().zip(steps).enumerate() {
            if !step.is_sound() {
                return Err(PlanError::BadStep { step: index });
            }
            *slot = Some(*step);
        }
        Ok(plan)
    }

    /// Reads and checks a whole plan.
    ///
    /// # Errors
    /// See [`PlanError`]; no part of a bad plan is used.
    pub fn decode(bytes: &[u8]) -> Result<Self, PlanError> {
        if bytes.get(..8).ok_or(PlanError::Cut)? != MAGIC
            || u32_at(bytes, 8).ok_or(PlanError::Cut)? != VERSION
        {
            return Err(PlanError::NotAPlan);
        }
        let count = u32_at(bytes, 12).ok_or(PlanError::Cut)?;
        let length = usize::try_from(count).unwrap_or(usize::MAX);
        if length > MAX_STEPS {
            return Err(PlanError::TooManySteps(count));
        }
        let body = bytes.get(HEADER_BYTES..).ok_or(PlanError::Cut)?;
        let mut plan = Self::EMPTY;
        for (step, slot) in plan.steps.iter_mut().take(length).enumerate() {
            let start = step.saturating_mul(STEP_BYTES);
            let raw = body
                .get(start..start.saturating_add(STEP_BYTES))
                .ok_or(PlanError::Cut)?;
            *slot = Some(decode_step(raw).ok_or(PlanError::BadStep { step })?);
        }
        Ok(plan)
    }

    /// Writes the plan; gives the bytes used, or `None` when they do not fit ([`MAX_BYTES`] always do).
    pub fn encode(&self, bytes: &mut [u8]) -> Option<usize> {
        let mut end = HEADER_BYTES;
        for step in self.steps() {
            let next = end.checked_add(STEP_BYTES)?;
            encode_step(&step, bytes.get_mut(end..next)?)?;
            end = next;
        }
        put(bytes, 0, &MAGIC)?;
        put(bytes, 8, &VERSION.to_le_bytes())?;
        put(
            bytes,
            12,
            &u32::try_from(self.steps().count()).ok()?.to_le_bytes(),
        )?;
        Some(end)
    }

    /// The steps, in order.
    pub fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        self.steps.iter().map_while(|step| *step)
    }
}

mod bytes;

#[cfg(test)]
mod tests;
