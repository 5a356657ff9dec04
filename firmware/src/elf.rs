//! The loader's half that reads: an EL0 program as an ELF image, checked before a byte of it is used.
//!
//! [ELF-64 object file format 1.5; ELF for the Arm 64-bit Architecture] A program is a little-endian static executable
//! of a few loadable segments. Segments lie in [`PROGRAM_FLOOR`] to [`PROGRAM_CEILING`], share no page, and are never
//! both writable and executable. One that is aligned to 2 MiB or more lies apart: nothing else is to share its 2 MiB of
//! memory, as it does not of addresses.
//!
//! A program may bring its own [policy](crate::policy) in a note. Notes of other names or types are somebody else's.

use crate::calls::{NOTE_NAME, NOTE_POLICY, PROGRAM_CEILING, PROGRAM_FLOOR};
use crate::native;
use crate::policy::Policy;

/// More loadable segments than this are refused.
pub const MAX_SEGMENTS: usize = 8;
/// More pages than this, over all segments, are refused.
pub const MAX_PAGES: u64 = 256;

const PAGE: u64 = 4096;
/// A segment of this alignment lies apart.
const APART: u64 = 2 << 20;

/// What a page of a segment may be used for; reading is always allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Only reading.
    Read,
    /// Reading and writing.
    Write,
    /// Reading and executing.
    Execute,
}

/// A checked segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment<'a> {
    /// First byte.
    pub address: u64,
    /// Length in memory; what the file does not give is zero.
    pub length: u64,
    /// The bytes the file gives.
    pub bytes: &'a [u8],
    /// How it may be used.
    pub access: Access,
    /// Its memory is to be in 2 MiB of its own.
    pub apart: bool,
}

impl Segment<'_> {
    /// First byte of its first page.
    #[must_use]
    pub const fn first_page(&self) -> u64 {
        self.address & !(PAGE - 1)
    }

    /// First byte after its last page.
    #[must_use]
    pub const fn end_page(&self) -> u64 {
        (self.address + self.length + PAGE - 1) & !(PAGE - 1)
    }
}

/// Why an image is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ElfError {
    /// Not a 64-bit little-endian ELF executable for AArch64.
    NotAnExecutable,
    /// Cut short: a header or a segment's bytes lie beyond the end.
    Cut,
    /// No loadable segment, more than 8, or more than 256 pages.
    TooMany,
    /// Segment {0} lies where programs may not be, has more bytes than length, or no alignment that there can be.
    Misplaced(usize),
    /// Segment {0} shares a page with another one.
    Overlap(usize),
    /// Segment {0} is both writable and executable.
    WritableAndExecutable(usize),
    /// The entry is not in an executable segment.
    Entry,
    /// Its own policy is none.
    Policy,
}

impl core::fmt::Display for ElfError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotAnExecutable => f.write_str("not an ELF executable for AArch64"),
            Self::Cut => f.write_str("cut short"),
            Self::TooMany => f.write_str("no segment, too many segments, or too many pages"),
            Self::Misplaced(n) => write!(f, "segment {n} is not where programs may be"),
            Self::Overlap(n) => write!(f, "segment {n} shares a page with another"),
            Self::WritableAndExecutable(n) => write!(f, "segment {n} is writable and executable"),
            Self::Entry => f.write_str("the entry is not in an executable segment"),
            Self::Policy => f.write_str("what its note says is no policy"),
        }
    }
}

/// A checked program.
#[derive(Clone, Copy, Debug)]
pub struct Elf<'a> {
    segments: [Option<Segment<'a>>; MAX_SEGMENTS],
    /// Where it starts.
    pub entry: u64,
    /// What is to become of it when it meets a memory error.
    pub policy: Option<Policy>,
}

fn array<const N: usize>(bytes: &[u8], offset: u64) -> Result<[u8; N], ElfError> {
    let start = usize::try_from(offset).map_err(|_| ElfError::Cut)?;
    let end = start.checked_add(N).ok_or(ElfError::Cut)?;
    bytes
        .get(start..end)
        .and_then(|slice| slice.try_into().ok())
        .ok_or(ElfError::Cut)
}

#[inline(never)]
fn half(bytes: &[u8], offset: u64) -> Result<u16, ElfError> {
    array(bytes, offset).map(u16::from_le_bytes)
}

#[inline(never)]
fn word(bytes: &[u8], offset: u64) -> Result<u32, ElfError> {
    array(bytes, offset).map(u32::from_le_bytes)
}

#[inline(never)]
fn double(bytes: &[u8], offset: u64) -> Result<u64, ElfError> {
    array(bytes, offset).map(u64::from_le_bytes)
}

const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const PF_X: u32 = 1;
const PF_W: u32 = 2;
/// e_type ET_EXEC and e_machine EM_AARCH64.
const EXEC_AARCH64: [u8; 4] = [2, 0, 183, 0];

impl<'a> Elf<'a> {
    /// Checks an image.
    ///
    /// # Errors
    /// See [`ElfError`]; nothing is mapped from a bad one.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ElfError> {
        // EI_MAG, EI_CLASS = 2 (64-bit), EI_DATA = 1 (little endian).
        if array::<6>(bytes, 0)? != *b"\x7fELF\x02\x01" || array::<4>(bytes, 16)? != EXEC_AARCH64 {
            return Err(ElfError::NotAnExecutable);
        }
        let (table, stride, count) = (double(bytes, 32)?, half(bytes, 54)?, half(bytes, 56)?);
        if stride < 56 {
            return Err(ElfError::NotAnExecutable);
        }
        let mut elf = Self {
            segments: [None; MAX_SEGMENTS],
            entry: double(bytes, 24)?,
            policy: None,
        };
        let mut found = 0;
        for index in 0..u64::from(count) {
            let header = table
                .checked_add(index * u64::from(stride))
                .ok_or(ElfError::Cut)?;
            let kind = word(bytes, header)?;
            if kind == PT_NOTE
                && let Some(policy) = policy(bytes, header)?
            {
                elf.policy = Some(policy);
            }
            if kind != PT_LOAD || double(bytes, header + 40)? == 0 {
                continue;
            }
            let segment = segment(bytes, header, found)?;
            *elf.segments.get_mut(found).ok_or(ElfError::TooMany)? = Some(segment);
            found += 1;
        }
        elf.check()?;
        Ok(elf)
    }

    /// The segments, in the file's order.
    pub fn segments(&self) -> impl Iterator<Item = &Segment<'a>> {
        self.segments.iter().flatten()
    }

    fn check(&self) -> Result<(), ElfError> {
        let pages: u64 = self
            .segments()
            .map(|s| (s.end_page() - s.first_page()) / PAGE)
            .sum();
        if pages == 0 || pages > MAX_PAGES {
            return Err(ElfError::TooMany);
        }
        for (index, one) in self.segments().enumerate() {
            let overlaps = |other: &Segment<'_>| {
                one.first_page() < other.end_page() && other.first_page() < one.end_page()
            };
            if self.segments().take(index).any(overlaps) {
                return Err(ElfError::Overlap(index));
            }
        }
        let holds_entry = |s: &Segment<'_>| {
            s.access == Access::Execute && (s.address..s.address + s.length).contains(&self.entry)
        };
        if self.segments().any(holds_entry) {
            Ok(())
        } else {
            Err(ElfError::Entry)
        }
    }
}

/// The policy in a segment of notes, if there is one [ELF-64 object file format 1.5, note section: sizes of name and
/// content, type, name, content, the latter two padded to words]. It is the first note of its segment.
fn policy(bytes: &[u8], header: u64) -> Result<Option<Policy>, ElfError> {
    const NAME: usize = NOTE_NAME.len();
    let start = double(bytes, header + 8)?;
    let name = start.checked_add(12).ok_or(ElfError::Cut)?;
    if double(bytes, header + 32)? == 0 || word(bytes, start)? as usize != NAME {
        return Ok(None);
    }
    if word(bytes, start + 8)? != NOTE_POLICY || array::<NAME>(bytes, name)? != NOTE_NAME {
        return Ok(None);
    }
    let length = word(bytes, start + 4)? as usize;
    let text = bytes
        .get(native(name)..)
        .and_then(|rest| rest.get(NAME..)?.get(..length))
        .ok_or(ElfError::Cut)?;
    let policy = core::str::from_utf8(text).ok().and_then(Policy::parse);
    policy.map(Some).ok_or(ElfError::Policy)
}

fn segment(bytes: &[u8], header: u64, index: usize) -> Result<Segment<'_>, ElfError> {
    let flags = word(bytes, header + 4)?;
    let offset = usize::try_from(double(bytes, header + 8)?).map_err(|_| ElfError::Cut)?;
    let address = double(bytes, header + 16)?;
    let in_file = double(bytes, header + 32)?;
    let length = double(bytes, header + 40)?;
    let end = address.checked_add(length).ok_or(ElfError::Misplaced(index))?;
    // 0 and 1 are both none [ELF-64 object file format 1.5, table 7].
    let align = double(bytes, header + 48)?;
    let is_aligned = align == 0 || align.is_power_of_two();
    if address < PROGRAM_FLOOR || end > PROGRAM_CEILING || in_file > length || !is_aligned {
        return Err(ElfError::Misplaced(index));
    }
    let in_file = usize::try_from(in_file).map_err(|_| ElfError::Cut)?;
    let contents = offset
        .checked_add(in_file)
        .and_then(|end| bytes.get(offset..end))
        .ok_or(ElfError::Cut)?;
    let access = match (flags & PF_W != 0, flags & PF_X != 0) {
        (true, true) => return Err(ElfError::WritableAndExecutable(index)),
        (true, false) => Access::Write,
        (false, true) => Access::Execute,
        (false, false) => Access::Read,
    };
    Ok(Segment {
        address,
        length,
        bytes: contents,
        access,
        apart: align >= APART,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) struct Header {
        pub(crate) flags: u32,
        pub(crate) address: u64,
        pub(crate) in_file: u64,
        pub(crate) length: u64,
        pub(crate) align: u64,
    }

    const TEXT: Header = Header {
        flags: 5,
        address: 0x40_0000,
        in_file: 8,
        length: 8,
        align: 0x1000,
    };
    const DATA: Header = Header {
        flags: 6,
        address: 0x40_1000,
        in_file: 0,
        length: 0x2000,
        align: 0x1000,
    };

    pub(crate) fn image(entry: u64, headers: &[Header]) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0\x01\0\0\0".to_vec();
        bytes.extend(entry.to_le_bytes());
        bytes.extend(64_u64.to_le_bytes());
        bytes.extend([0; 12]);
        bytes.extend([
            64,
            0,
            56,
            0,
            u8::try_from(headers.len()).unwrap(),
            0,
            0,
            0,
            0,
            0,
            0,
            0,
        ]);
        let contents = 64 + 56 * headers.len() as u64;
        for h in headers {
            bytes.extend(1_u32.to_le_bytes());
            bytes.extend(h.flags.to_le_bytes());
            for field in [contents, h.address, 0, h.in_file, h.length, h.align] {
                bytes.extend(field.to_le_bytes());
            }
        }
        bytes.extend(*b"contents");
        bytes
    }

    fn error(entry: u64, headers: &[Header]) -> ElfError {
        Elf::parse(&image(entry, headers)).unwrap_err()
    }

    #[test]
    fn a_good_program_gives_its_segments() {
        let bytes = image(0x40_0004, &[TEXT, DATA]);
        let elf = Elf::parse(&bytes).unwrap();
        let segments: Vec<_> = elf
            .segments()
            .map(|s| (s.first_page(), s.end_page(), s.access, s.bytes.len()))
            .collect();
        assert_eq!(
            segments,
            [
                (0x40_0000, 0x40_1000, Access::Execute, 8),
                (0x40_1000, 0x40_3000, Access::Write, 0)
            ]
        );
    }

    #[test]
    fn a_segment_of_a_large_alignment_lies_apart() {
        for (align, apart) in [
            (0, false),
            (1, false),
            (0x10_0000, false),
            (0x20_0000, true),
            (1 << 63, true),
        ] {
            let bytes = image(0x40_0004, &[TEXT, Header { align, ..DATA }]);
            let found: Vec<_> = Elf::parse(&bytes).unwrap().segments().map(|s| s.apart).collect();
            assert_eq!(found, [false, apart], "{align:#x}");
        }
    }

    #[test]
    fn each_way_to_be_wrong_has_its_own_error() {
        for (headers, wrong) in [
            (
                vec![TEXT, Header { flags: 7, ..DATA }],
                ElfError::WritableAndExecutable(1),
            ),
            (
                vec![
                    TEXT,
                    Header {
                        address: 0x40_0800,
                        ..DATA
                    },
                ],
                ElfError::Overlap(1),
            ),
            (
                vec![
                    TEXT,
                    Header {
                        address: 0x1000,
                        ..DATA
                    },
                ],
                ElfError::Misplaced(1),
            ),
            (
                vec![
                    TEXT,
                    Header {
                        address: 0x7fc0_0000,
                        ..DATA
                    },
                ],
                ElfError::Misplaced(1),
            ),
            (
                vec![
                    TEXT,
                    Header {
                        address: u64::MAX,
                        ..DATA
                    },
                ],
                ElfError::Misplaced(1),
            ),
            (
                vec![
                    TEXT,
                    Header {
                        in_file: 0x2001,
                        ..DATA
                    },
                ],
                ElfError::Misplaced(1),
            ),
            (
                vec![
                    TEXT,
                    Header {
                        align: 0x3000,
                        ..DATA
                    },
                ],
                ElfError::Misplaced(1),
            ),
            (vec![TEXT, Header { in_file: 9, ..DATA }], ElfError::Cut),
            (
                vec![
                    TEXT,
                    Header {
                        length: 0x20_0000,
                        ..DATA
                    },
                ],
                ElfError::TooMany,
            ),
            (vec![DATA], ElfError::Entry),
            (vec![], ElfError::TooMany),
        ] {
            assert_eq!(error(0x40_0004, &headers), wrong);
        }
        assert_eq!(error(0x40_0008, &[TEXT]), ElfError::Entry);
        let many: Vec<_> = (0..9)
            .map(|n| Header {
                address: 0x40_0000 + n * 0x1000,
                ..TEXT
            })
            .collect();
        assert_eq!(error(0x40_0000, &many), ElfError::TooMany);
    }

    /// A program of text and a note.
    fn noted(name: &[u8; 8], kind: u32, text: &[u8]) -> Vec<u8> {
        let mut bytes = image(0x40_0004, &[TEXT, DATA]);
        // The second header becomes the note's, whose bytes follow the others.
        let (header, at) = (64 + 56, bytes.len());
        bytes[header..header + 4].copy_from_slice(&PT_NOTE.to_le_bytes());
        bytes[header + 8..header + 16].copy_from_slice(&(at as u64).to_le_bytes());
        bytes[header + 32..header + 40].copy_from_slice(&(20 + text.len() as u64).to_le_bytes());
        for word in [8, u32::try_from(text.len()).unwrap(), kind] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(name);
        bytes.extend(text);
        bytes
    }

    #[test]
    fn a_programs_own_policy_is_in_its_note() {
        let policy = |bytes: &[u8]| Elf::parse(bytes).map(|elf| elf.policy);
        assert_eq!(policy(&image(0x40_0004, &[TEXT])), Ok(None));
        let own = noted(b"Seawall\0", 1, b"restart:3/10s");
        assert_eq!(policy(&own), Ok(Policy::parse("restart:3/10s")));
        assert_eq!(policy(&noted(b"GNU-GNU\0", 1, b"restart:3")), Ok(None));
        assert_eq!(policy(&noted(b"Seawall\0", 2, b"restart:3")), Ok(None));
        assert_eq!(policy(&noted(b"Seawall\0", 1, b"heal")), Err(ElfError::Policy));
        assert_eq!(policy(&noted(b"Seawall\0", 1, b"\xff")), Err(ElfError::Policy));
        for length in 0..own.len() {
            assert!(Elf::parse(&own[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn an_image_cut_anywhere_is_refused_and_no_flipped_byte_runs_wild() {
        let bytes = image(0x40_0004, &[TEXT, DATA]);
        for length in 0..bytes.len() {
            assert!(Elf::parse(&bytes[..length]).is_err(), "{length}");
        }
        for (index, value) in (0..bytes.len()).flat_map(|i| [0, 0x7f, 0x80, 0xff].map(|v| (i, v))) {
            let mut altered = bytes.clone();
            altered[index] = value;
            if let Ok(elf) = Elf::parse(&altered) {
                assert!(
                    elf.segments()
                        .all(|s| s.first_page() >= PROGRAM_FLOOR && s.end_page() <= PROGRAM_CEILING)
                );
            }
        }
    }
}
