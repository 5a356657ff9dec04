//! The transcript: what the replayer saw and did, in order.
//!
//! The shim writes it into memory that the runner reads; the runner on KVM keeps the same events in a list. Header and
//! events are 32 bytes each, little endian; events beyond the capacity are counted, not kept.
//!
//! | offset | size | header | | offset | size | event |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | 0 | 8 | `SEAWALLT` | | 0 | 2 | kind |
//! | 8 | 4 | version, 1 | | 2 | 2 | step, 0xffff = none |
//! | 12 | 4 | capacity in events | | 4 | 2 | task slot |
//! | 16 | 8 | events that happened | | 6 | 2 | checkpoint number |
//! | 24 | 8 | 0 | | 8 | 8 | IPA, or the journal's address, or the end's word |
//! | | | | | 16 | 8 | syndrome, or the journal's length |
//! | | | | | 24 | 8 | address: FAR as the replayer saw it |

use crate::layout::{put, u16_at, u32_at, u64_at};

/// The first eight bytes.
pub const MAGIC: [u8; 8] = *b"SEAWALLT";
/// The layout's version.
pub const VERSION: u32 = 1;
/// Bytes of the header.
pub const HEADER_BYTES: usize = 32;
/// Bytes of an event.
pub const EVENT_BYTES: usize = 32;
/// Offset of the count of events that happened.
pub const COUNT_OFFSET: usize = 16;

/// What kind of thing happened. Kinds that are not known stay representable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// The guest announced a checkpoint that no step speaks of.
    Announced,
    /// A page was taken out of stage 2 (`ipa`).
    Opened,
    /// An SError was pended (`syndrome` is ISS; bit 63 set when the replayer's default was used).
    Pended,
    /// The guest touched a hole and was given a synchronous external abort (`ipa`, `syndrome` as given, `address`).
    Delivered,
    /// The guest named its journal (`ipa`, `syndrome` is the length).
    Journal,
    /// The guest said that it is done (`ipa` is the word).
    End,
    /// An access to the port that no register takes (`ipa` is the offset, `syndrome` the value).
    Refused,
    /// The guest did what the replayer cannot answer; the run ends (`syndrome` is ESR_EL2, `address` FAR_EL2).
    Stuck,
    /// An abort was entered by its registers (`ipa` as announced, `syndrome` is ESR_EL1, `address` FAR_EL1).
    Entered,
    /// The host memory behind a page was poisoned (`ipa`).
    Poisoned,
    /// A page can no longer be written (`ipa`).
    Protected,
    /// The host told of poison that nobody has touched yet; no abort comes of it (`ipa`, `syndrome` is the length's
    /// logarithm).
    Advised,
    /// The guest's access left it as a synchronous external abort that the host took (`ipa` as the host gives it or the
    /// guest's own tables do, else 0; `syndrome` is ESR_EL2 as the host shows it; `address` is FAR_EL2, 0 where FnV is 1).
    HostAbort,
    /// The machine is saved here (`ipa` as announced).
    Saved,
    /// The machine goes on from what was saved.
    Restored,
    /// A page that was taken out or made read-only is as it was again (`ipa`).
    Mended,
    /// A page whose poison the guest has met is kept out of stage 2 from now on (`ipa`).
    KeptOut,
    /// A page was left as it is, for an access to it aborts by itself (`ipa`).
    Left,
    /// A page was reported as a patrol scrubber does (`ipa`, `syndrome` as the guest reads it).
    Reported,
    /// The guest begins again after this.
    Rebooted,
    /// The guest ends here, and never took the SError that was pended last.
    StillPending,
    /// Something newer than this reader.
    Unknown(u16),
}

impl What {
    /// The number in the layout.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Announced => 1,
            Self::Opened => 2,
            Self::Pended => 3,
            Self::Delivered => 4,
            Self::Journal => 5,
            Self::End => 6,
            Self::Refused => 7,
            Self::Stuck => 8,
            Self::Entered => 9,
            Self::Poisoned => 10,
            Self::Protected => 11,
            Self::Advised => 12,
            Self::HostAbort => 13,
            Self::Saved => 14,
            Self::Restored => 15,
            Self::Mended => 20,
            Self::KeptOut => 21,
            Self::Left => 16,
            Self::Reported => 22,
            Self::Rebooted => 23,
            Self::StillPending => 30,
            Self::Unknown(number) => number,
        }
    }

    /// The meaning of a number.
    #[must_use]
    pub const fn from_number(number: u16) -> Self {
        match number {
            1 => Self::Announced,
            2 => Self::Opened,
            3 => Self::Pended,
            4 => Self::Delivered,
            5 => Self::Journal,
            6 => Self::End,
            7 => Self::Refused,
            8 => Self::Stuck,
            9 => Self::Entered,
            10 => Self::Poisoned,
            11 => Self::Protected,
            12 => Self::Advised,
            13 => Self::HostAbort,
            14 => Self::Saved,
            15 => Self::Restored,
            20 => Self::Mended,
            21 => Self::KeptOut,
            16 => Self::Left,
            22 => Self::Reported,
            23 => Self::Rebooted,
            30 => Self::StillPending,
            other => Self::Unknown(other),
        }
    }
}

/// One event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// What happened.
    pub what: What,
    /// The step of the plan it belongs to.
    pub step: Option<u16>,
    /// The task slot of the announcement it belongs to.
    pub task: u16,
    /// The checkpoint's number.
    pub number: u16,
    /// See [`What`].
    pub ipa: u64,
    /// See [`What`].
    pub syndrome: u64,
    /// See [`What`].
    pub address: u64,
}

impl Event {
    /// An event with nothing but its kind.
    #[must_use]
    pub const fn of(what: What) -> Self {
        Self {
            what,
            step: None,
            task: 0,
            number: 0,
            ipa: 0,
            syndrome: 0,
            address: 0,
        }
    }

    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; EVENT_BYTES] {
        let mut raw = [0; EVENT_BYTES];
        // The array is as long as the layout, so no field can miss.
        let _ = (|| {
            put(&mut raw, 0, &self.what.number().to_le_bytes())?;
            put(&mut raw, 2, &self.step.unwrap_or(u16::MAX).to_le_bytes())?;
            put(&mut raw, 4, &self.task.to_le_bytes())?;
            put(&mut raw, 6, &self.number.to_le_bytes())?;
            put(&mut raw, 8, &self.ipa.to_le_bytes())?;
            put(&mut raw, 16, &self.syndrome.to_le_bytes())?;
            put(&mut raw, 24, &self.address.to_le_bytes())
        })();
        raw
    }

    /// From bytes; `None` when they are too few.
    #[must_use]
    pub fn decode(raw: &[u8]) -> Option<Self> {
        Some(Self {
            what: What::from_number(u16_at(raw, 0)?),
            step: u16_at(raw, 2).filter(|step| *step != u16::MAX),
            task: u16_at(raw, 4)?,
            number: u16_at(raw, 6)?,
            ipa: u64_at(raw, 8)?,
            syndrome: u64_at(raw, 16)?,
            address: u64_at(raw, 24)?,
        })
    }
}

/// Why bytes are not a transcript.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TranscriptError {
    /// The transcript is cut short.
    Cut,
    /// The bytes are not a transcript of this version: the shim never got so far.
    NotATranscript,
}

impl core::fmt::Display for TranscriptError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Cut => "the transcript is cut short",
            Self::NotATranscript => "there is no transcript: the shim never got so far",
        })
    }
}

impl core::error::Error for TranscriptError {}

/// The header of an empty transcript.
#[must_use]
pub fn header(capacity: u32) -> [u8; HEADER_BYTES] {
    let mut raw = [0; HEADER_BYTES];
    let _ = put(&mut raw, 0, &MAGIC);
    let _ = put(&mut raw, 8, &VERSION.to_le_bytes());
    let _ = put(&mut raw, 12, &capacity.to_le_bytes());
    raw
}

/// A transcript in bytes that someone else wrote.
#[derive(Clone, Copy, Debug)]
pub struct Transcript<'a> {
    events: &'a [u8],
    happened: u64,
}

impl<'a> Transcript<'a> {
    /// Checks the header and every bound.
    ///
    /// # Errors
    /// See [`TranscriptError`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, TranscriptError> {
        if bytes.get(..8).ok_or(TranscriptError::Cut)? != MAGIC
            || u32_at(bytes, 8).ok_or(TranscriptError::Cut)? != VERSION
        {
            return Err(TranscriptError::NotATranscript);
        }
        let capacity = u32_at(bytes, 12).ok_or(TranscriptError::Cut)?;
        let happened = u64_at(bytes, COUNT_OFFSET).ok_or(TranscriptError::Cut)?;
        let kept = usize::try_from(happened.min(u64::from(capacity))).unwrap_or(usize::MAX);
        let end = kept
            .checked_mul(EVENT_BYTES)
            .and_then(|n| n.checked_add(HEADER_BYTES));
        let events = end
            .and_then(|end| bytes.get(HEADER_BYTES..end))
            .ok_or(TranscriptError::Cut)?;
        Ok(Self { events, happened })
    }

    /// The events that were kept, oldest first.
    pub fn events(&self) -> impl Iterator<Item = Event> + 'a {
        self.events.chunks_exact(EVENT_BYTES).filter_map(Event::decode)
    }

    /// How many happened and found no room.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.happened.saturating_sub(self.events().count() as u64)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    const EVENT: Event = Event {
        what: What::Delivered,
        step: Some(2),
        task: 3,
        number: 4,
        ipa: 0x8000_1000,
        syndrome: 0x9200_0010,
        address: 0x5000_0040,
    };

    fn bytes(count: u64, kept: usize) -> Vec<u8> {
        let mut all = Vec::from(header(2));
        all[COUNT_OFFSET..COUNT_OFFSET + 8].copy_from_slice(&count.to_le_bytes());
        (0..kept).for_each(|_| all.extend(EVENT.encode()));
        all
    }

    #[test]
    fn an_event_comes_back_as_it_went() {
        assert_eq!(Event::decode(&EVENT.encode()), Some(EVENT));
        let unknown = Event {
            what: What::Unknown(77),
            step: None,
            ..EVENT
        };
        assert_eq!(Event::decode(&unknown.encode()), Some(unknown));
        assert_eq!(EVENT.encode()[..8], [4, 0, 2, 0, 3, 0, 4, 0]);
    }

    #[test]
    fn what_found_no_room_is_counted() {
        let all = bytes(5, 2);
        let transcript = Transcript::decode(&all).unwrap();
        assert_eq!((transcript.events().count(), transcript.lost()), (2, 3));
    }

    #[test]
    fn cut_and_foreign_bytes_are_refused() {
        let all = bytes(2, 2);
        for length in 0..all.len() {
            assert!(Transcript::decode(&all[..length]).is_err(), "{length}");
        }
        assert_eq!(
            Transcript::decode(&[0; 96]).unwrap_err(),
            TranscriptError::NotATranscript
        );
        assert!(Transcript::decode(&bytes(u64::MAX, 1)).is_err());
    }
}
