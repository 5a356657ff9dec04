//! The ledger: every frame that was found poisoned, known once and never forgotten.

use core::fmt;

use crate::FrameNumber;

/// What became of a frame that was reported.
#[must_use = "a new frame is to be retired"]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Recorded {
    /// It was not known, and is now.
    New,
    /// It was known.
    Known,
    /// It was not known, and there is no room for it. It is counted ([`Ledger::overflowed`]).
    Full,
}

/// Why memory cannot hold a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LedgerError {
    /// A ledger needs at least 4 slots; there are this many.
    TooSmall(usize),
    /// A ledger needs a power of two of slots; there are this many.
    NotPowerOfTwo(usize),
}

impl fmt::Display for LedgerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall(slots) => write!(formatter, "a ledger needs at least 4 slots; there are {slots}"),
            Self::NotPowerOfTwo(slots) => {
                write!(
                    formatter,
                    "a ledger needs a power of two of slots; there are {slots}"
                )
            }
        }
    }
}

impl core::error::Error for LedgerError {}

/// Probes before the search is given up. With three slots in four taken, frames at random take some thirty at most, and
/// no regular distance that was tried more than 768, which is one that fits the multiplier worst. If more were needed the frame
/// would count as [`Recorded::Full`], which is safe.
const PROBES: usize = 1_024;

/// 2^64 / φ: Fibonacci hashing spreads the runs of neighbouring frames that one failing DIMM gives.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// The set of poisoned frames, in memory of the caller's: open addressing, no deletion, so that a look-up is bounded
/// and the order of events does not matter.
///
/// It takes frames up to three quarters of its slots; what comes after that is counted, not kept.
#[derive(Debug)]
pub struct Ledger<'a> {
    /// Frame number + 1; 0 is empty.
    slots: &'a mut [u64],
    /// Keeps the top bits of the hash: 64 − log2(slots).
    shift: u32,
    taken: usize,
    limit: usize,
    overflowed: u64,
    threshold: Option<usize>,
}

impl<'a> Ledger<'a> {
    /// An empty ledger in `slots`, which are cleared.
    ///
    /// # Errors
    ///
    /// When there are fewer than 4 slots, or not a power of two.
    pub fn new(slots: &'a mut [u64]) -> Result<Self, LedgerError> {
        slots.fill(0);
        Self::in_cleared(slots)
    }

    /// The same in slots that the caller has cleared, by whatever clears memory fastest on its machine. A slot that is
    /// not zero is taken for a frame that is known already.
    ///
    /// # Errors
    ///
    /// As for [`Ledger::new`].
    pub fn in_cleared(slots: &'a mut [u64]) -> Result<Self, LedgerError> {
        let count = slots.len();
        if count < 4 {
            return Err(LedgerError::TooSmall(count));
        }
        if !count.is_power_of_two() {
            return Err(LedgerError::NotPowerOfTwo(count));
        }
        let shift = 64_u32.saturating_sub(count.trailing_zeros());
        let limit = count.saturating_sub(count >> 2);
        Ok(Self {
            slots,
            shift,
            taken: 0,
            limit,
            overflowed: 0,
            threshold: None,
        })
    }

    /// The same ledger, with a number of frames from which on [`threshold_reached`](Self::threshold_reached) is true.
    #[must_use]
    pub fn with_threshold(self, frames: usize) -> Self {
        Self {
            threshold: Some(frames),
            ..self
        }
    }

    /// Looks for a frame: its slot, or the empty one where it belongs; `None` when the probes run out.
    #[inline]
    fn slot(&self, stored: u64) -> Option<usize> {
        let mask = self.slots.len().wrapping_sub(1);
        let hash = stored.wrapping_mul(MULTIPLIER).wrapping_shr(self.shift);
        // The hash has as many bits as an index, so nothing is lost on hosts with a smaller usize.
        let mut index = usize::try_from(hash).unwrap_or(0) & mask;
        // Steps that grow by one reach every slot of a power of two, and leave a run of taken ones soon.
        for step in 1..=PROBES {
            match self.slots.get(index) {
                Some(&found) if found == stored || found == 0 => return Some(index),
                _ => index = index.wrapping_add(step) & mask,
            }
        }
        None
    }

    /// Takes a frame in.
    #[inline]
    pub fn record(&mut self, frame: FrameNumber) -> Recorded {
        let stored = frame.0.wrapping_add(1);
        // 0 stands for empty; a frame that wraps to it is beyond every address there is.
        let found = if stored == 0 { None } else { self.slot(stored) };
        let full = self.taken >= self.limit;
        match found.and_then(|index| self.slots.get_mut(index)) {
            Some(slot) if *slot == stored => Recorded::Known,
            Some(slot) if !full => {
                *slot = stored;
                self.taken = self.taken.saturating_add(1);
                Recorded::New
            }
            _ => {
                self.overflowed = self.overflowed.saturating_add(1);
                Recorded::Full
            }
        }
    }

    /// Whether a frame is known to be poisoned.
    #[inline]
    #[must_use]
    pub fn contains(&self, frame: FrameNumber) -> bool {
        let stored = frame.0.wrapping_add(1);
        stored != 0 && self.slot(stored).and_then(|index| self.slots.get(index)) == Some(&stored)
    }

    /// How many frames are known.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.taken
    }

    /// Whether none is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// How many frames can be known: three quarters of the slots.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.limit
    }

    /// How many reports found no room. A frame that comes again counts again.
    #[must_use]
    pub const fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Whether as many frames are known as [`with_threshold`](Self::with_threshold) says, or more were reported than
    /// there is room for: time to evacuate. Never without a threshold.
    #[must_use]
    pub fn threshold_reached(&self) -> bool {
        self.threshold
            .is_some_and(|threshold| self.taken >= threshold || self.overflowed > 0)
    }
}
