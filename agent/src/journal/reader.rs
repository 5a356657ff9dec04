//! The reader: a journal from a copy of the guest's memory, nothing in which is trusted.

use core::fmt;

use super::record::{AbortRecord, KIND_NOTE, PAYLOAD_WORDS};
use super::{HEADER_WORDS, MAGIC, RECORD_BYTES, RECORD_WORDS, VERSION};

/// Why bytes are not a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadError {
    /// A journal's header has 128 bytes; there are this many.
    TooShort(usize),
    /// A journal begins with `SEAWALLJ`; this begins with this word instead.
    Magic(u64),
    /// The journal's format has this version; this reader knows version 1.
    Version(u64),
    /// The journal's records have this many bytes; in version 1 they have 128.
    RecordSize(u64),
    /// The journal says that it holds this many records: none, or more than there are bytes for.
    Capacity(u64),
}

impl fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort(bytes) => write!(formatter, "a journal's header has 128 bytes; there are {bytes}"),
            Self::Magic(word) => write!(
                formatter,
                "a journal begins with SEAWALLJ; this begins with {word:#018x}"
            ),
            Self::Version(version) => {
                write!(
                    formatter,
                    "the journal's format has version {version}; this reader knows version {VERSION}"
                )
            }
            Self::RecordSize(bytes) => {
                write!(
                    formatter,
                    "the journal's records have {bytes} bytes; in version {VERSION} they have 128"
                )
            }
            Self::Capacity(records) => write!(
                formatter,
                "the journal says that it holds {records} records: none, or more than there are bytes for"
            ),
        }
    }
}

impl core::error::Error for ReadError {}

/// What one place in the journal holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// An abort.
    Abort(AbortRecord),
    /// A note of the embedding kernel's.
    Note {
        /// Its kind, 0x80 or above.
        kind: u8,
        /// What it says.
        payload: [u64; 13],
    },
    /// The record was being written, or had been overwritten, when the memory was copied.
    Torn,
    /// A kind, or a value in an abort, that this reader does not know.
    Unknown {
        /// The kind.
        kind: u8,
        /// Words 1 to 14 of the record: all but its number.
        words: [u64; 14],
    },
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1 on.
    pub sequence: u64,
    /// What it holds.
    pub kind: EntryKind,
}

/// A journal that has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    records: &'a [[[u8; 8]; RECORD_WORDS]],
    written: u64,
}

/// Checks `bytes` and makes them readable. Bytes after the journal's end are ignored.
///
/// # Errors
///
/// When the header is cut, is not a journal's, is of another version, or promises more than there is.
pub fn read(bytes: &[u8]) -> Result<Reader<'_>, ReadError> {
    let (words, _) = bytes.as_chunks::<8>();
    let Some((header, rest)) = words.split_first_chunk::<HEADER_WORDS>() else {
        return Err(ReadError::TooShort(bytes.len()));
    };
    let [magic, version, record_bytes, capacity, written, ..] = header.map(u64::from_le_bytes);
    if magic != MAGIC {
        return Err(ReadError::Magic(magic));
    }
    if version != VERSION {
        return Err(ReadError::Version(version));
    }
    if record_bytes != RECORD_BYTES {
        return Err(ReadError::RecordSize(record_bytes));
    }
    let (records, _) = rest.as_chunks::<RECORD_WORDS>();
    match usize::try_from(capacity)
        .ok()
        .and_then(|capacity| records.get(..capacity))
    {
        Some(records) if !records.is_empty() => Ok(Reader { records, written }),
        _ => Err(ReadError::Capacity(capacity)),
    }
}

impl<'a> Reader<'a> {
    /// How many records were ever written.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// How many records the journal has room for.
    #[must_use]
    pub const fn capacity(&self) -> u64 {
        // A slice never has more elements than a u64 can count.
        self.records.len() as u64
    }

    /// How many of them were overwritten by later ones.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.written.saturating_sub(self.capacity())
    }

    /// The records that are left, oldest first: never more than the journal's capacity, whatever the header says.
    #[must_use]
    pub const fn entries(&self) -> Entries<'a> {
        Entries {
            reader: *self,
            next: self.lost().saturating_add(1),
        }
    }

    fn entry(&self, sequence: u64) -> Entry {
        let slot = sequence
            .checked_sub(1)
            .and_then(|index| index.checked_rem(self.capacity()))
            .and_then(|index| usize::try_from(index).ok())
            .and_then(|index| self.records.get(index));
        let kind = match slot.map(|record| record.map(u64::from_le_bytes)) {
            Some([found, words @ .., again]) if found == sequence && again == sequence => interpret(&words),
            _ => EntryKind::Torn,
        };
        Entry { sequence, kind }
    }
}

impl<'a> IntoIterator for Reader<'a> {
    type Item = Entry;
    type IntoIter = Entries<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries()
    }
}

impl<'a> IntoIterator for &Reader<'a> {
    type Item = Entry;
    type IntoIter = Entries<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries()
    }
}

fn interpret(words: &[u64; 14]) -> EntryKind {
    let [head, payload @ ..] = words;
    let payload: &[u64; PAYLOAD_WORDS] = payload;
    let [kind, ..] = head.to_le_bytes();
    if kind >= KIND_NOTE {
        return EntryKind::Note {
            kind,
            payload: *payload,
        };
    }
    match AbortRecord::decode(*head, payload) {
        Some(record) => EntryKind::Abort(record),
        None => EntryKind::Unknown { kind, words: *words },
    }
}

/// The records of a journal in the order in which they were written.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    reader: Reader<'a>,
    next: u64,
}

impl Iterator for Entries<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        // The last number there can be is left out: the count has no room for one after it.
        if self.next > self.reader.written || self.next == u64::MAX {
            return None;
        }
        let entry = self.reader.entry(self.next);
        self.next = self.next.saturating_add(1);
        Some(entry)
    }
}
