//! The handover: what the runner tells the shim, at a place both know.
//!
//! QEMU puts the block at [`ADDRESS`] before the shim starts. All addresses are IPAs, and equal to the physical ones:
//! the shim's stage 2 is the identity.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 8 | `SEAWALLH` |
//! | 8 | 4 | version, 1 |
//! | 12 | 4 | bytes of the plan |
//! | 16 | 8 | first byte of the guest's memory, 2 MiB aligned |
//! | 24 | 8 | its length in bytes, a multiple of 2 MiB |
//! | 32 | 8 | the guest's entry: first byte of its Image |
//! | 40 | 8 | its device tree |
//! | 48 | 8 | base of the replay port |
//! | 56 | 8 | the transcript |
//! | 64 | 8 | bytes for the transcript |
//! | 72 | 8 | a copy of the Image as it was, 0 = there is none, and then the guest cannot begin again |
//! | 80 | 8 | its length in bytes |
//! | 88 | 8 | a copy of the device tree |
//! | 96 | 8 | its length in bytes |
//! | 104 | 8 | where the journals go of a guest that begins again, one after the other |
//! | 112 | 8 | bytes for them |
//! | 120 | 8 | zero; the shim leaves the PSCI function here by which the guest went, as off and reset look alike from outside |
//! | 128 | | the plan |

use crate::layout::{put, u32_at, u64_at};
use crate::plan::{self, Plan, PlanError};
use crate::{port, transcript};

/// Where the block lies on QEMU `virt`: in the lowest memory, which the guest never sees.
pub const ADDRESS: u64 = 0x4300_0000;
/// The first eight bytes.
pub const MAGIC: [u8; 8] = *b"SEAWALLH";
/// The layout's version.
pub const VERSION: u32 = 1;
/// Offset of the PSCI function by which the guest went; zero until then.
pub const OUTCOME_OFFSET: usize = 120;
/// Offset of the plan.
pub const PLAN_OFFSET: usize = 128;
/// A buffer of this many bytes holds every handover.
pub const MAX_BYTES: usize = PLAN_OFFSET + plan::MAX_BYTES;
/// What lies below is the shim's own; guest memory begins here or above.
pub const GUEST_FLOOR: u64 = 0x5000_0000;

const BLOCK: u64 = 2 << 20;

/// What is handed over.
#[derive(Clone, Copy, Debug)]
pub struct Handover {
    /// First byte of the guest's memory.
    pub memory: u64,
    /// Its length in bytes.
    pub memory_bytes: u64,
    /// First byte of the guest's Image, where it is entered.
    pub entry: u64,
    /// The guest's device tree.
    pub device_tree: u64,
    /// Base of the replay port.
    pub port: u64,
    /// Where the transcript goes.
    pub transcript: u64,
    /// Bytes for the transcript.
    pub transcript_bytes: u64,
    /// What it takes to begin again, if the guest may.
    pub again: Option<Again>,
    /// The plan.
    pub plan: Plan,
}

/// What it takes to start a guest a second time. Lengths are in bytes, and all of it lies below [`GUEST_FLOOR`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Again {
    /// The Image as it was.
    pub image: u64,
    /// Its length.
    pub image_bytes: u64,
    /// The device tree as it was.
    pub device_tree: u64,
    /// Its length.
    pub device_tree_bytes: u64,
    /// Where journals go.
    pub journals: u64,
    /// Room for them.
    pub journals_bytes: u64,
}

/// Why the shim cannot begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HandoverError {
    /// The block is cut short.
    Cut,
    /// There is no handover of this version at its address.
    NotAHandover,
    /// {0} is not where it may be: unaligned, outside of the guest's memory, or over something else.
    Misplaced(&'static str),
    /// The plan is bad.
    Plan(PlanError),
}

impl core::fmt::Display for HandoverError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Cut => f.write_str("the handover block is cut short"),
            Self::NotAHandover => write!(f, "there is no handover of version {VERSION} at {ADDRESS:#x}"),
            Self::Misplaced(what) => write!(f, "the handover's {what} is not where it may be"),
            Self::Plan(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for HandoverError {}

impl Handover {
    /// Writes the block; gives the bytes used, or `None` when they do not fit ([`MAX_BYTES`] always do).
    pub fn encode(&self, bytes: &mut [u8]) -> Option<usize> {
        bytes.get_mut(..PLAN_OFFSET)?.fill(0);
        let plan = self.plan.encode(bytes.get_mut(PLAN_OFFSET..)?)?;
        put(bytes, 0, &MAGIC)?;
        put(bytes, 8, &VERSION.to_le_bytes())?;
        put(bytes, 12, &u32::try_from(plan).ok()?.to_le_bytes())?;
        let words = [
            self.memory,
            self.memory_bytes,
            self.entry,
            self.device_tree,
            self.port,
            self.transcript,
            self.transcript_bytes,
        ];
        if let Some(again) = self.again {
            let words = [
                again.image,
                again.image_bytes,
                again.device_tree,
                again.device_tree_bytes,
                again.journals,
                again.journals_bytes,
            ];
            for (slot, word) in bytes.get_mut(72..120)?.chunks_exact_mut(8).zip(words) {
                slot.copy_from_slice(&word.to_le_bytes());
            }
        }
        for (slot, word) in bytes.get_mut(16..72)?.chunks_exact_mut(8).zip(words) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        PLAN_OFFSET.checked_add(plan)
    }

    /// Reads and checks the block.
    ///
    /// # Errors
    /// See [`HandoverError`]; the shim starts nothing from a bad one.
    pub fn decode(bytes: &[u8]) -> Result<Self, HandoverError> {
        use HandoverError::Cut;
        if bytes.get(..8).ok_or(Cut)? != MAGIC || u32_at(bytes, 8).ok_or(Cut)? != VERSION {
            return Err(HandoverError::NotAHandover);
        }
        let plan_bytes = usize::try_from(u32_at(bytes, 12).ok_or(Cut)?).map_err(|_| Cut)?;
        let plan = bytes
            .get(PLAN_OFFSET..)
            .and_then(|rest| rest.get(..plan_bytes))
            .ok_or(Cut)?;
        let handover = Self {
            memory: u64_at(bytes, 16).ok_or(Cut)?,
            memory_bytes: u64_at(bytes, 24).ok_or(Cut)?,
            entry: u64_at(bytes, 32).ok_or(Cut)?,
            device_tree: u64_at(bytes, 40).ok_or(Cut)?,
            port: u64_at(bytes, 48).ok_or(Cut)?,
            transcript: u64_at(bytes, 56).ok_or(Cut)?,
            transcript_bytes: u64_at(bytes, 64).ok_or(Cut)?,
            again: match u64_at(bytes, 72).ok_or(Cut)? {
                0 => None,
                image => Some(Again {
                    image,
                    image_bytes: u64_at(bytes, 80).ok_or(Cut)?,
                    device_tree: u64_at(bytes, 88).ok_or(Cut)?,
                    device_tree_bytes: u64_at(bytes, 96).ok_or(Cut)?,
                    journals: u64_at(bytes, 104).ok_or(Cut)?,
                    journals_bytes: u64_at(bytes, 112).ok_or(Cut)?,
                }),
            },
            plan: Plan::decode(plan).map_err(HandoverError::Plan)?,
        };
        handover.check()?;
        Ok(handover)
    }

    /// First byte after the guest's memory; saturated, as `check` refuses what would overflow.
    #[must_use]
    pub const fn memory_end(&self) -> u64 {
        self.memory.saturating_add(self.memory_bytes)
    }

    /// Whether what it takes to begin again lies behind the transcript and below the guest, and fits where it goes.
    fn again_is_sound(&self) -> bool {
        let Some(again) = self.again else { return true };
        let floor = self.transcript.saturating_add(self.transcript_bytes);
        let is_between = |start: u64, bytes: u64| {
            start.is_multiple_of(8)
                && start >= floor
                && start.checked_add(bytes).is_some_and(|end| end <= GUEST_FLOOR)
        };
        let fits = |at: u64, bytes: u64| at.checked_add(bytes).is_some_and(|end| end <= self.memory_end());
        is_between(again.image, again.image_bytes)
            && is_between(again.device_tree, again.device_tree_bytes)
            && is_between(again.journals, again.journals_bytes)
            && fits(self.entry, again.image_bytes)
            && fits(self.device_tree, again.device_tree_bytes)
    }

    fn check(&self) -> Result<(), HandoverError> {
        let misplaced = |what, good: bool| {
            if good {
                Ok(())
            } else {
                Err(HandoverError::Misplaced(what))
            }
        };
        let inside = |address: u64| (self.memory..self.memory_end()).contains(&address);
        let end = self.memory.checked_add(self.memory_bytes);
        misplaced(
            "guest memory",
            self.memory >= GUEST_FLOOR
                && self.memory.is_multiple_of(BLOCK)
                && self.memory_bytes >= BLOCK
                && self.memory_bytes.is_multiple_of(BLOCK)
                && end.is_some_and(|end| end <= 1 << 39),
        )?;
        misplaced("entry", inside(self.entry) && self.entry.is_multiple_of(BLOCK))?;
        misplaced(
            "device tree",
            inside(self.device_tree) && self.device_tree.is_multiple_of(8),
        )?;
        misplaced(
            "replay port",
            self.port.is_multiple_of(0x1000)
                && self
                    .port
                    .checked_add(port::SIZE)
                    .is_some_and(|end| end <= 0x4000_0000),
        )?;
        misplaced(
            "transcript",
            self.transcript.is_multiple_of(8)
                && self.transcript >= ADDRESS.saturating_add(MAX_BYTES as u64)
                && self.transcript_bytes >= (transcript::HEADER_BYTES as u64)
                && self
                    .transcript
                    .checked_add(self.transcript_bytes)
                    .is_some_and(|end| end <= GUEST_FLOOR),
        )?;
        misplaced("copy to begin again from", self.again_is_sound())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Handover = Handover {
        memory: 0x5000_0000,
        memory_bytes: 64 << 20,
        entry: 0x5020_0000,
        device_tree: 0x5000_0000,
        port: 0x0b00_0000,
        transcript: 0x4400_0000,
        transcript_bytes: 1 << 20,
        again: Some(Again {
            image: 0x4a00_0000,
            image_bytes: 0x1_0001,
            device_tree: 0x4c00_0000,
            device_tree_bytes: 0x1000,
            journals: 0x4c20_0000,
            journals_bytes: 1 << 20,
        }),
        plan: Plan::EMPTY,
    };

    fn decode(handover: Handover) -> Result<Handover, HandoverError> {
        let mut bytes = [0; MAX_BYTES];
        let used = handover.encode(&mut bytes).unwrap();
        Handover::decode(&bytes[..used])
    }

    #[test]
    fn a_good_handover_comes_back() {
        let back = decode(GOOD).unwrap();
        assert_eq!(
            (back.entry, back.memory_end(), back.port),
            (0x5020_0000, 0x5400_0000, 0x0b00_0000)
        );
        assert_eq!(back.again, GOOD.again);
        let once = decode(Handover { again: None, ..GOOD }).unwrap();
        assert_eq!(once.again, None);
    }

    #[test]
    fn a_guest_begins_again_from_what_lies_apart_from_it_and_fits() {
        let good = GOOD.again.unwrap();
        for again in [
            Again {
                image: 0x4400_0008,
                ..good
            },
            Again {
                image: 0x4a00_0004,
                ..good
            },
            Again {
                image_bytes: 64 << 20,
                ..good
            },
            Again {
                device_tree: 0x5000_0000,
                ..good
            },
            Again {
                device_tree_bytes: u64::MAX,
                ..good
            },
            Again {
                journals_bytes: 0x03e0_0001,
                ..good
            },
        ] {
            let wrong = Handover {
                again: Some(again),
                ..GOOD
            };
            assert_eq!(
                decode(wrong).unwrap_err(),
                HandoverError::Misplaced("copy to begin again from"),
                "{again:x?}"
            );
        }
    }

    #[test]
    fn each_misplaced_part_is_named() {
        for (handover, what) in [
            (
                Handover {
                    memory: 0x4000_0000,
                    ..GOOD
                },
                "guest memory",
            ),
            (
                Handover {
                    memory_bytes: 0xffff_ffff_ffe0_0000,
                    ..GOOD
                },
                "guest memory",
            ),
            (
                Handover {
                    memory_bytes: 0,
                    ..GOOD
                },
                "guest memory",
            ),
            (
                Handover {
                    entry: 0x5010_0000,
                    ..GOOD
                },
                "entry",
            ),
            (
                Handover {
                    entry: 0x5400_0000,
                    ..GOOD
                },
                "entry",
            ),
            (
                Handover {
                    device_tree: 0x4000_0000,
                    ..GOOD
                },
                "device tree",
            ),
            (
                Handover {
                    port: 0x4000_0000,
                    ..GOOD
                },
                "replay port",
            ),
            (
                Handover {
                    transcript: ADDRESS,
                    ..GOOD
                },
                "transcript",
            ),
            (
                Handover {
                    transcript_bytes: u64::MAX,
                    ..GOOD
                },
                "transcript",
            ),
        ] {
            assert_eq!(decode(handover).unwrap_err(), HandoverError::Misplaced(what));
        }
    }

    #[test]
    fn cut_and_foreign_blocks_are_refused() {
        let mut bytes = [0; MAX_BYTES];
        let used = GOOD.encode(&mut bytes).unwrap();
        for length in 0..used {
            assert!(Handover::decode(&bytes[..length]).is_err(), "{length}");
        }
        assert_eq!(
            Handover::decode(&[0; 256]).unwrap_err(),
            HandoverError::NotAHandover
        );
    }
}
