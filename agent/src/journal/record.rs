//! What a record says, and how it lies in sixteen words.

use crate::engine::{Cause, Level, Running};
use crate::{Decision, FrameNumber, Origin, Severity, TaskId, VirtualAddress};

/// What a record says in single bits. Bits that have no name yet are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(
    /// The bits.
    pub u16,
);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// The syndrome says that the FAR is valid.
    pub const FAR_VALID: Self = Self(1 << 0);
    /// The frame is known.
    pub const FRAME_VALID: Self = Self(1 << 1);
    /// The syndrome says that the PFAR is valid, and it was read.
    pub const PFAR_VALID: Self = Self(1 << 2);
    /// The frame was not in the ledger before.
    pub const NEW_FRAME: Self = Self(1 << 3);
    /// The FAR is said to be valid, but the charged task does not reach memory of its own there: it may be stale.
    pub const FAR_NOT_BELIEVED: Self = Self(1 << 4);
    /// The ledger had no room for the frame.
    pub const LEDGER_FULL: Self = Self(1 << 5);
    /// The page was to be healed, and could not be.
    pub const HEAL_FAILED: Self = Self(1 << 6);
    /// The frame was found by the PFAR, for there was no FAR, or it was not believed.
    pub const FRAME_BY_PFAR: Self = Self(1 << 7);
    /// The PFAR is said to be valid, but it names no memory of the charged task's.
    pub const PFAR_NOT_BELIEVED: Self = Self(1 << 8);
    /// Several tasks map the frame.
    pub const SHARED: Self = Self(1 << 9);
    /// The frame was to be moved while it could be read, and could not be.
    pub const MIGRATION_FAILED: Self = Self(1 << 12);
    /// A task is charged. Set by the encoder.
    pub(crate) const CHARGED: Self = Self(1 << 14);
    /// A task was running. Set by the encoder.
    pub(crate) const RUNNING: Self = Self(1 << 15);

    /// These flags and those of `other`.
    #[inline]
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[inline]
    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all flags of `other` are set.
    #[inline]
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Words of a record but for its kind and its number, which stands at both ends.
pub(crate) const PAYLOAD_WORDS: usize = 13;

/// `kind` of an abort.
pub(crate) const KIND_ABORT: u8 = 1;
/// The lowest `kind` of a note.
pub(crate) const KIND_NOTE: u8 = 0x80;

/// One abort: what came, what was decided, what it cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortRecord {
    /// How it was reported.
    pub cause: Cause,
    /// What was interrupted.
    pub from: Level,
    /// How bad it was.
    pub severity: Severity,
    /// Where it struck, and to which task it was charged.
    pub origin: Origin,
    /// What the PE was doing.
    pub running: Running,
    /// What was decided.
    pub decision: Decision,
    /// What else is to be said.
    pub flags: Flags,
    /// `ESR_EL1`.
    pub esr: u64,
    /// `FAR_EL1` as read, valid or not: see [`valid_far`](Self::valid_far).
    pub far: u64,
    /// `ELR_EL1`.
    pub elr: u64,
    /// `SPSR_EL1`.
    pub spsr: u64,
    /// `DISR_EL1`.
    pub disr: u64,
    /// `PFAR_EL1`, 0 where there is none; see [`Flags::PFAR_VALID`].
    pub pfar: u64,
    /// The poisoned frame.
    pub frame: Option<FrameNumber>,
    /// `CNTVCT_EL0`, in its own ticks.
    pub time: u64,
    /// From the vector to the end of the remedy, after which this record is written (at once, or by
    /// [`book`](crate::engine::book) where a handler is told first), in the units of the kernel's counter; 0 when not
    /// measured.
    pub cost: u64,
}

impl AbortRecord {
    /// The task that it was charged to.
    #[inline]
    #[must_use]
    pub const fn charged(&self) -> Option<TaskId> {
        self.origin.task()
    }

    /// The FAR, if the syndrome said that it is valid.
    #[must_use]
    pub const fn valid_far(&self) -> Option<VirtualAddress> {
        if self.flags.contains(Flags::FAR_VALID) {
            Some(VirtualAddress(self.far))
        } else {
            None
        }
    }

    /// Word 1, and words 2 to 14.
    #[inline(always)]
    pub(crate) fn encode(&self) -> (u64, [u64; PAYLOAD_WORDS]) {
        let (charged, charged_flag) = match self.charged() {
            Some(TaskId(task)) => (task, Flags::CHARGED),
            None => (0, Flags::NONE),
        };
        let (running, running_flag) = match self.running {
            Running::Task(TaskId(task)) => (task, Flags::RUNNING),
            Running::Idle => (0, Flags::NONE),
        };
        let (frame, frame_flag) = match self.frame {
            Some(FrameNumber(frame)) => (frame, Flags::FRAME_VALID),
            None => (0, Flags::NONE),
        };
        let plain = self
            .flags
            .without(Flags::CHARGED.with(Flags::RUNNING).with(Flags::FRAME_VALID));
        let flags = plain.with(charged_flag).with(running_flag).with(frame_flag);
        let [flags_low, flags_high] = flags.0.to_le_bytes();
        let head = u64::from_le_bytes([
            KIND_ABORT,
            self.cause as u8,
            self.from as u8,
            self.severity as u8,
            self.origin.code(),
            self.decision as u8,
            flags_low,
            flags_high,
        ]);
        let tasks = u64::from(charged) | u64::from(running) << 16;
        let payload = [
            tasks, self.esr, self.far, self.elr, self.spsr, self.disr, self.pfar, frame, self.time,
            self.cost, 0, 0, 0,
        ];
        (head, payload)
    }

    /// The record in these words; `None` when it is not an abort, or when a value in it has no meaning.
    pub(crate) const fn decode(head: u64, payload: &[u64; PAYLOAD_WORDS]) -> Option<Self> {
        let [
            kind,
            cause,
            from,
            severity,
            origin,
            decision,
            flags_low,
            flags_high,
        ] = head.to_le_bytes();
        let [tasks, esr, far, elr, spsr, disr, pfar, frame, time, cost, ..] = *payload;
        let [charged_low, charged_high, running_low, running_high, ..] = tasks.to_le_bytes();

        let flags = Flags(u16::from_le_bytes([flags_low, flags_high]));
        let charged = match flags.contains(Flags::CHARGED) {
            true => Some(TaskId(u16::from_le_bytes([charged_low, charged_high]))),
            false => None,
        };
        let (KIND_ABORT, Some(cause), Some(from), Some(severity), Some(origin), Some(decision)) = (
            kind,
            Cause::from_code(cause),
            Level::from_code(from),
            Severity::from_code(severity),
            Origin::from_code(origin, charged),
            Decision::from_code(decision),
        ) else {
            return None;
        };
        let running = match flags.contains(Flags::RUNNING) {
            true => Running::Task(TaskId(u16::from_le_bytes([running_low, running_high]))),
            false => Running::Idle,
        };
        let frame = match flags.contains(Flags::FRAME_VALID) {
            true => Some(FrameNumber(frame)),
            false => None,
        };
        let flags = flags.without(Flags::CHARGED.with(Flags::RUNNING));
        Some(Self {
            cause,
            from,
            severity,
            origin,
            running,
            decision,
            flags,
            esr,
            far,
            elr,
            spsr,
            disr,
            pfar,
            frame,
            time,
            cost,
        })
    }
}
