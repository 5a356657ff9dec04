//! The plan: which announcement brings which injection.
//!
//! A plan is a header of 16 bytes and up to [`MAX_STEPS`] steps of 32 bytes, little endian:
//!
//! | offset | size | header | | offset | size | step |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | 0 | 8 | `SEAWALLQ` | | 0 | 2 | task slot, 0xffff = any |
//! | 8 | 4 | version, 1 | | 2 | 2 | checkpoint number |
//! | 12 | 4 | count of steps | | 4 | 1 | window |
//! | | | | | 5 | 1 | injection: 1 hole, 2 SError, 3 abort by its registers, 4 poison, 5 read-only, 6 host abort |
//! | | | | | 6 | 1 | 1 = the SError has a syndrome, the abort has a FAR; poison: 0 userfaultfd, 1 memory failure |
//! | | | | | 8 | 4 | how many matching announcements pass first |
//! | | | | | 12 | 4 | how often it fires, 0 = without limit |
//! | | | | | 16 | 8 | SError: its ISS; abort: its ESR |
//! | | | | | 24 | 8 | abort: its FAR |

use crate::layout::{put, u16_at, u32_at, u64_at};
use crate::port::{Announcement, Window};
use crate::transcript::What;

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
}

/// What poisons host memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Poison {
    /// `UFFDIO_POISON`: in one address space, and gone with it.
    Userfault,
    /// `madvise(MADV_HWPOISON)`: by the host's own handling of memory failures.
    MemoryFailure,
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
            Self::HostAbort => What::Left,
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
        Window::Checkpoint | Window::Border | Window::Kernel => matches!(class, 0x21 | 0x25),
    };
    fits && esr >> 56 == 0
}

/// Whether FAR_EL1 holds nothing by this syndrome: FnV, bit 10 [Arm ARM D24.2.45].
#[must_use]
pub const fn is_far_invalid(esr: u64) -> bool {
    esr & (1 << 10) != 0
}

/// One rule: when this is announced, do that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// Only this task slot, or any.
    pub task: Option<u16>,
    /// The checkpoint's number.
    pub number: u16,
    /// In which state of the guest.
    pub window: Window,
    /// Matching announcements that pass before the first one counts.
    pub skip: u32,
    /// How often the step fires; zero is without limit.
    pub times: u32,
    /// What it does.
    pub injection: Injection,
}

impl Step {
    /// Whether this step speaks of that announcement.
    #[must_use]
    pub fn matches(&self, window: Window, announcement: Announcement) -> bool {
        self.window == window
            && self.number == announcement.number
            && self.task.is_none_or(|task| task == announcement.task)
    }

    /// Whether the injection's own values exist, and fit the window.
    const fn is_sound(&self) -> bool {
        match self.injection {
            Injection::Hole
            | Injection::SError { syndrome: None }
            | Injection::Poison(_)
            | Injection::ReadOnly
            | Injection::HostAbort => true,
            Injection::SError { syndrome: Some(iss) } => iss as u64 & !SERROR_SYNDROME_MASK == 0,
            Injection::Abort { esr, far } => {
                is_abort_in(self.window, esr) && (far.is_some() || is_far_invalid(esr))
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
    /// Step {step} has a value that does not exist in its field.
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

const ANY_TASK: u16 = 0xffff;

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
    /// [`PlanError::TooManySteps`], and [`PlanError::BadStep`] for an SError syndrome with bits outside ISS, and for an
    /// abort that cannot be taken in its window or has no FAR where its syndrome says so.
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

fn decode_step(raw: &[u8]) -> Option<Step> {
    let task = u16_at(raw, 0)?;
    let syndrome = u64_at(raw, 16)?;
    let injection = match (raw.get(5)?, raw.get(6)?) {
        (1, 0) => Injection::Hole,
        (2, 0) => Injection::SError { syndrome: None },
        (2, 1) if syndrome & !SERROR_SYNDROME_MASK == 0 => Injection::SError {
            syndrome: Some(u32::try_from(syndrome).ok()?),
        },
        (3, has_far @ (0 | 1)) => Injection::Abort {
            esr: syndrome,
            far: (*has_far == 1).then_some(u64_at(raw, 24)?),
        },
        (4, 0) => Injection::Poison(Poison::Userfault),
        (4, 1) => Injection::Poison(Poison::MemoryFailure),
        (5, 0) => Injection::ReadOnly,
        (6, 0) => Injection::HostAbort,
        _ => return None,
    };
    let step = Step {
        task: (task != ANY_TASK).then_some(task),
        number: u16_at(raw, 2).filter(|number| *number <= 0xfff)?,
        window: Window::from_number(*raw.get(4)?)?,
        skip: u32_at(raw, 8)?,
        times: u32_at(raw, 12)?,
        injection,
    };
    step.is_sound().then_some(step)
}

fn encode_step(step: &Step, raw: &mut [u8]) -> Option<()> {
    raw.fill(0);
    let (kind, has_more, syndrome, far) = match step.injection {
        Injection::Hole => (1, 0, 0, 0),
        Injection::SError { syndrome: None } => (2, 0, 0, 0),
        Injection::SError { syndrome: Some(iss) } => (2, 1, u64::from(iss), 0),
        Injection::Abort { esr, far: None } => (3, 0, esr, 0),
        Injection::Abort { esr, far: Some(far) } => (3, 1, esr, far),
        Injection::Poison(Poison::Userfault) => (4, 0, 0, 0),
        Injection::Poison(Poison::MemoryFailure) => (4, 1, 0, 0),
        Injection::ReadOnly => (5, 0, 0, 0),
        Injection::HostAbort => (6, 0, 0, 0),
    };
    put(raw, 0, &step.task.unwrap_or(ANY_TASK).to_le_bytes())?;
    put(raw, 2, &step.number.to_le_bytes())?;
    put(raw, 4, &[step.window as u8, kind, has_more])?;
    put(raw, 8, &step.skip.to_le_bytes())?;
    put(raw, 12, &step.times.to_le_bytes())?;
    put(raw, 16, &syndrome.to_le_bytes())?;
    put(raw, 24, &far.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLE: Step = Step {
        task: Some(1),
        number: 1,
        window: Window::Checkpoint,
        skip: 0,
        times: 1,
        injection: Injection::Hole,
    };
    const SERROR: Step = Step {
        task: None,
        number: 2,
        window: Window::User,
        skip: 3,
        times: 0,
        injection: Injection::SError {
            syndrome: Some(0x1811),
        },
    };

    const ABORT: Step = Step {
        window: Window::User,
        injection: Injection::Abort {
            esr: 0x9200_1810,
            far: Some(0xffff_0000_5000_0040),
        },
        ..HOLE
    };
    const ABORT_WITHOUT_ADDRESS: Step = Step {
        window: Window::Kernel,
        injection: Injection::Abort {
            esr: 0x0005_0000_9600_0410,
            far: None,
        },
        ..HOLE
    };

    /// The bytes of a plan with `HOLE` and `SERROR`, typed in from the module's table.
    fn bytes() -> [u8; 80] {
        let mut b = [0; 80];
        b[..8].copy_from_slice(b"SEAWALLQ");
        b[8] = 1;
        b[12] = 2;
        b[16..22].copy_from_slice(&[1, 0, 1, 0, 0, 1]);
        b[28] = 1;
        b[48..55].copy_from_slice(&[0xff, 0xff, 2, 0, 3, 2, 1]);
        b[56] = 3;
        b[64..66].copy_from_slice(&[0x11, 0x18]);
        b
    }

    #[test]
    fn a_plan_is_written_and_read_as_its_table_says() {
        let mut buffer = [0xaa; MAX_BYTES];
        let used = Plan::new(&[HOLE, SERROR]).unwrap().encode(&mut buffer).unwrap();
        assert_eq!(&buffer[..used], &bytes());
        assert!(Plan::decode(&bytes()).unwrap().steps().eq([HOLE, SERROR]));
    }

    #[test]
    fn an_abort_is_written_and_read_as_the_table_says() {
        let mut b = [0; 80];
        b[..8].copy_from_slice(b"SEAWALLQ");
        b[8] = 1;
        b[12] = 2;
        b[16..23].copy_from_slice(&[1, 0, 1, 0, 3, 3, 1]);
        b[28] = 1;
        b[32..36].copy_from_slice(&[0x10, 0x18, 0, 0x92]);
        b[40..48].copy_from_slice(&[0x40, 0, 0, 0x50, 0, 0, 0xff, 0xff]);
        b[48..55].copy_from_slice(&[1, 0, 1, 0, 2, 3, 0]);
        b[60] = 1;
        b[64..71].copy_from_slice(&[0x10, 4, 0, 0x96, 0, 0, 5]);
        let mut buffer = [0xaa; MAX_BYTES];
        let plan = Plan::new(&[ABORT, ABORT_WITHOUT_ADDRESS]).unwrap();
        let used = plan.encode(&mut buffer).unwrap();
        assert_eq!(&buffer[..used], &b);
        assert!(
            Plan::decode(&b)
                .unwrap()
                .steps()
                .eq([ABORT, ABORT_WITHOUT_ADDRESS])
        );
    }

    #[test]
    fn what_is_done_to_a_page_is_written_and_read_as_the_table_says() {
        for (injection, bytes) in [
            (Injection::Hole, [1, 0]),
            (Injection::Poison(Poison::Userfault), [4, 0]),
            (Injection::Poison(Poison::MemoryFailure), [4, 1]),
            (Injection::ReadOnly, [5, 0]),
            (Injection::HostAbort, [6, 0]),
        ] {
            let step = Step { injection, ..HOLE };
            let mut buffer = [0xaa; MAX_BYTES];
            let used = Plan::new(&[step]).unwrap().encode(&mut buffer).unwrap();
            assert_eq!(buffer[20..24], [0, bytes[0], bytes[1], 0], "{injection:?}");
            assert!(Plan::decode(&buffer[..used]).unwrap().steps().eq([step]));
        }
    }

    #[test]
    fn an_abort_must_fit_its_window_and_have_a_far_unless_its_syndrome_denies_it() {
        let abort = |window, esr, far| {
            let step = Step {
                window,
                injection: Injection::Abort { esr, far },
                ..HOLE
            };
            let made = Plan::new(&[step]).map(drop);
            // What cannot be made cannot be read either.
            let mut b = [0; HEADER_BYTES + STEP_BYTES];
            put(&mut b, 0, &MAGIC).unwrap();
            put(&mut b, 8, &VERSION.to_le_bytes()).unwrap();
            put(&mut b, 12, &1_u32.to_le_bytes()).unwrap();
            encode_step(&step, &mut b[HEADER_BYTES..]).unwrap();
            assert_eq!(Plan::decode(&b).map(drop), made, "{esr:#x}");
            made.is_ok()
        };
        let far = Some(0x5000_0040);
        for window in [Window::Checkpoint, Window::Border, Window::Kernel] {
            assert!(abort(window, 0x9600_0010, far) && abort(window, 0x8600_0010, far));
            assert!(!abort(window, 0x9200_0010, far) && !abort(window, 0x8200_0010, far));
        }
        let user = |esr, far| abort(Window::User, esr, far);
        assert!(user(0x9200_0010, far) && user(0x8200_0010, far) && user(0x00ff_ffff_93ff_ffff, far));
        assert!(!user(0x9600_0010, far), "from EL1");
        assert!(!user(0xbe00_0011, far), "an SError");
        assert!(!user(0x5600_0000, far), "a call");
        assert!(!user(0x0100_0000_9200_0010, far), "bit 56 is RES0");
        assert!(!user(0x9200_0010, None), "FnV = 0");
        assert!(user(0x9200_0410, None) && user(0x9200_0410, far));
    }

    #[test]
    fn a_plan_cut_anywhere_is_refused() {
        for length in 0..80 {
            assert!(Plan::decode(&bytes()[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn values_that_do_not_exist_are_refused_with_their_step() {
        for (offset, value) in [(20, 4), (21, 3), (21, 11), (21, 0), (22, 1), (19, 0x10)] {
            let mut b = bytes();
            b[offset] = value;
            assert_eq!(
                Plan::decode(&b).unwrap_err(),
                PlanError::BadStep { step: 0 },
                "{offset}"
            );
        }
        let mut b = bytes();
        b[67] = 2; // bit 25 of the syndrome: IL, not ISS
        assert_eq!(Plan::decode(&b).unwrap_err(), PlanError::BadStep { step: 1 });
        b = bytes();
        b[12] = 65;
        assert_eq!(Plan::decode(&b).unwrap_err(), PlanError::TooManySteps(65));
        b[0] = b'X';
        assert_eq!(Plan::decode(&b).unwrap_err(), PlanError::NotAPlan);
    }
}
