//! The journal: a ring of fixed-size records in fixed memory, written by the guest and read by whoever can see its
//! memory.
//!
//! It never blocks and never allocates; when it is full it overwrites the oldest record, and says how many were lost.
//! A reader may look at any time, with no lock: it copies the bytes, lowest address first, and calls [`read`]. Records
//! that were being written meanwhile show as torn.
//!
//! # Format, version 1
//!
//! All words are 64 bits, little-endian. The format is stable: a change of meaning changes the version; bits and words
//! that are said to be 0 may get a meaning without.
//!
//! | word of the header | content |
//! | --- | --- |
//! | 0 | magic: the bytes `SEAWALLJ` |
//! | 1 | version: 1 |
//! | 2 | size of a record in bytes: 128 |
//! | 3 | capacity: number of records |
//! | 4 | how many records were ever written |
//! | 5 | how many of them were overwritten: what word 4 exceeds word 3 by |
//! | 6–15 | 0 |
//!
//! The records follow. Number *n* (from 1 on) lies in place (*n* − 1) mod capacity.
//!
//! | word of a record | content |
//! | --- | --- |
//! | 0 | the record's number; 0 while it is being written. Cleared first, stored last |
//! | 1 | byte 0: kind. 1 = abort, 0x80 and above = note of the embedding kernel's. The rest of a note's word is 0 |
//! | | byte 1: cause. 0 synchronous, 1 SError, 2 deferred, 3 patrol: reported and not met |
//! | | byte 2: interrupted level. 0 EL0, 1 EL1 |
//! | | byte 3: severity. 0 corrected, 1 restartable, 2 recoverable, 3 unrecoverable, 4 uncontainable |
//! | | byte 4: origin. 0 task, 1 kernel copy, 2 kernel, 3 walk, 4 border, 5 idle, 6 fresh frame |
//! | | byte 5: decision. 0 carry on, 1 heal, 2 fail copy, 3 signal, 4 restart, 5 kill, 6 isolate, 7 halt |
//! | | bytes 6, 7: flags. Bit 0 FAR valid, 1 frame known, 2 PFAR valid, 3 frame new, 4 FAR not believed, |
//! | | 5 ledger full, 6 healing failed, 7 frame found by PFAR, 8 PFAR not believed, 9 frame shared, |
//! | | 12 migration failed, 14 a task is charged, 15 a task was running |
//! | 2 | bits 15:0 the charged task, 31:16 the running task; the rest 0 |
//! | 3 | `ESR_EL1` |
//! | 4 | `FAR_EL1` |
//! | 5 | `ELR_EL1` |
//! | 6 | `SPSR_EL1` |
//! | 7 | `DISR_EL1` |
//! | 8 | `PFAR_EL1` |
//! | 9 | the frame: intermediate physical address >> 12 |
//! | 10 | `CNTVCT_EL0` |
//! | 11 | cost, in the units of the guest's counter, from the vector to the remedy; 0 = not measured |
//! | 12–14 | 0 |
//! | 15 | the record's number again, stored before words 1 to 14: a copy that mixes two records has two numbers |
//!
//! Words 2 to 14 of a note are its 13 words.

mod reader;
mod record;

pub use reader::{Entries, Entry, EntryKind, ReadError, Reader, read};
pub use record::{AbortRecord, Flags};

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering, fence};

use crate::TaskId;
use record::{KIND_NOTE, PAYLOAD_WORDS};

/// Words of the header.
pub const HEADER_WORDS: usize = 16;
/// Words of a record.
pub const RECORD_WORDS: usize = 16;

const MAGIC: u64 = u64::from_le_bytes(*b"SEAWALLJ");
const VERSION: u64 = 1;
const RECORD_BYTES: u64 = 128;

/// Why memory cannot hold a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JournalError {
    /// A journal needs 16 words and 16 more for each record, at least one; there are this many words.
    TooSmall(usize),
}

impl fmt::Display for JournalError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall(words) => {
                write!(formatter, "a journal needs 32 words at least; there are {words}")
            }
        }
    }
}

impl core::error::Error for JournalError {}

/// The writer. There is one for each journal; readers need none.
#[derive(Debug)]
pub struct Journal<'a> {
    written_word: &'a AtomicU64,
    lost_word: &'a AtomicU64,
    records: &'a [[AtomicU64; RECORD_WORDS]],
    /// The place that is written next: what (written mod capacity) would be, without a division.
    next: usize,
    written: u64,
}

impl<'a> Journal<'a> {
    /// An empty journal in `words`. The records' words are not cleared, because a reader looks at no more of them than
    /// the header counts; words beyond the last whole record are left alone.
    ///
    /// # Errors
    ///
    /// When there is no room for the header and one record.
    pub fn new(words: &'a [AtomicU64]) -> Result<Self, JournalError> {
        let too_small = JournalError::TooSmall(words.len());
        let (header, rest) = words.split_first_chunk::<HEADER_WORDS>().ok_or(too_small)?;
        let (records, _) = rest.as_chunks::<RECORD_WORDS>();
        if records.is_empty() {
            return Err(too_small);
        }
        let [
            magic,
            version,
            record_bytes,
            capacity,
            written_word,
            lost_word,
            zeros @ ..,
        ] = header;
        // Not a journal until it is whole: the magic goes last.
        magic.store(0, Ordering::Relaxed);
        fence(Ordering::Release);
        for zero in zeros {
            zero.store(0, Ordering::Relaxed);
        }
        version.store(VERSION, Ordering::Relaxed);
        record_bytes.store(RECORD_BYTES, Ordering::Relaxed);
        capacity.store(records.len() as u64, Ordering::Relaxed);
        written_word.store(0, Ordering::Relaxed);
        lost_word.store(0, Ordering::Relaxed);
        magic.store(MAGIC, Ordering::Release);
        Ok(Self {
            written_word,
            lost_word,
            records,
            next: 0,
            written: 0,
        })
    }

    /// Adds the record of an abort.
    #[inline(always)]
    pub fn append_abort(&mut self, record: &AbortRecord) {
        let (head, payload) = record.encode();
        self.append(head, &payload);
    }

    /// Adds a note of the embedding kernel's, which the agent gives no meaning: that it booted, say, or that a task was
    /// started. `kind` is 0x80 or above; below that its top bit is set, so that a note is never taken for an abort.
    #[inline]
    pub fn append_note(&mut self, kind: u8, payload: &[u64; 13]) {
        self.append(u64::from(kind | KIND_NOTE), payload);
    }

    /// How many records were ever written.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// Where the next record goes, in bytes from the journal's beginning.
    #[must_use]
    pub const fn next_offset(&self) -> u64 {
        let words = (self.next as u64).saturating_mul(RECORD_WORDS as u64);
        (HEADER_WORDS as u64).saturating_add(words).saturating_mul(8)
    }

    /// How many records there is room for.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.records.len()
    }

    /// The newest record of an abort that is charged to `task`, if it has not been overwritten: for whoever looks at
    /// what a task was stopped for. It goes through the records one by one.
    #[must_use]
    pub fn last_charged(&self, task: TaskId) -> Option<AbortRecord> {
        let (newer, older) = self.records.split_at_checked(self.next)?;
        let is_written = |record: &&[AtomicU64; RECORD_WORDS]| {
            let [sequence, ..] = record;
            (1..=self.written).contains(&sequence.load(Ordering::Relaxed))
        };
        // Nothing of the upper part has been written before the journal is full once; what lies there may look like
        // anything.
        let older = if self.written > self.next as u64 {
            older
        } else {
            &[]
        };
        let mut records = newer.iter().rev().chain(older.iter().rev()).filter(is_written);
        records.find_map(|[_, head, words @ .., _]| {
            let payload = words.each_ref().map(|word| word.load(Ordering::Relaxed));
            AbortRecord::decode(head.load(Ordering::Relaxed), &payload)
                .filter(|record| record.charged() == Some(task))
        })
    }

    #[inline(always)]
    fn append(&mut self, head: u64, payload: &[u64; PAYLOAD_WORDS]) {
        // `next` stays below the length, so there always is a record; the compiler cannot know.
        let Some([sequence, head_word, words @ .., again]) = self.records.get(self.next) else {
            return;
        };
        let number = self.written.wrapping_add(1);
        sequence.store(0, Ordering::Relaxed);
        again.store(number, Ordering::Relaxed);
        // A reader that sees any of the new words must see that the numbers differ. Release stores would order what
        // came before them, not what comes after.
        fence(Ordering::Release);
        head_word.store(head, Ordering::Relaxed);
        // Word by word, not in a loop: a kernel built for size would keep the loop, at three times the instructions.
        let [a, b, c, d, e, f, g, h, i, j, k, l, m] = words;
        let [va, vb, vc, vd, ve, vf, vg, vh, vi, vj, vk, vl, vm] = *payload;
        a.store(va, Ordering::Relaxed);
        b.store(vb, Ordering::Relaxed);
        c.store(vc, Ordering::Relaxed);
        d.store(vd, Ordering::Relaxed);
        e.store(ve, Ordering::Relaxed);
        f.store(vf, Ordering::Relaxed);
        g.store(vg, Ordering::Relaxed);
        h.store(vh, Ordering::Relaxed);
        i.store(vi, Ordering::Relaxed);
        j.store(vj, Ordering::Relaxed);
        k.store(vk, Ordering::Relaxed);
        l.store(vl, Ordering::Relaxed);
        m.store(vm, Ordering::Relaxed);
        sequence.store(number, Ordering::Release);
        self.written = number;
        self.lost_word.store(
            number.saturating_sub(self.records.len() as u64),
            Ordering::Relaxed,
        );
        self.written_word.store(number, Ordering::Release);
        let next = self.next.wrapping_add(1);
        self.next = if next < self.records.len() { next } else { 0 };
    }
}
