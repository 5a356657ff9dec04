//! Compact ELF files: header, program headers of what is loaded and of notes, their bytes, nothing else.
//!
//! The guest's loader copies segments byte by byte, so a segment's file offset need not be congruent to its
//! address modulo the page size; `strip` keeps that congruence, and with it up to a page for each segment.

use std::ops::Range;

use anyhow::{Result, ensure};
use object::elf::{FileHeader64, ProgramHeader64};
use object::pod::bytes_of;
use object::read::elf::{FileHeader, ProgramHeader};
use object::{LittleEndian, U16, U32, U64, elf};

use crate::image::{Segment, notes, segments};

/// The guest's pages.
const PAGE: u64 = 4096;
/// Alignment of each segment's bytes in the compact file.
const SEGMENT_ALIGN: usize = 8;

/// The same program in as few bytes as the format allows.
pub(crate) fn compact(file: &[u8]) -> Result<Vec<u8>> {
    let (header, mut segments) = segments(file)?;
    segments.extend(notes(file)?);
    let table = size_of::<FileHeader64<LittleEndian>>();
    let entry = size_of::<ProgramHeader64<LittleEndian>>();
    let mut next = table + entry * segments.len();
    let mut headers = Vec::new();
    for segment in &segments {
        // Zeros around the file part are what the loader makes of the rest of its pages anyway.
        let kept = kept(segment);
        next = next.next_multiple_of(SEGMENT_ALIGN);
        let mut program = *segment.header;
        let cut = u64::try_from(kept.start)?;
        program.p_offset = U64::new(LittleEndian, u64::try_from(next)?);
        program.p_vaddr = U64::new(LittleEndian, program.p_vaddr(LittleEndian) + cut);
        program.p_paddr = U64::new(LittleEndian, program.p_paddr(LittleEndian) + cut);
        program.p_memsz = U64::new(LittleEndian, program.p_memsz(LittleEndian) - cut);
        program.p_filesz = U64::new(LittleEndian, u64::try_from(kept.len())?);
        next += kept.len();
        headers.push((program, &segment.bytes[kept]));
    }

    let mut compact_header = *header;
    compact_header.e_phoff = U64::new(LittleEndian, u64::try_from(table)?);
    compact_header.e_ehsize = U16::new(LittleEndian, u16::try_from(table)?);
    compact_header.e_phentsize = U16::new(LittleEndian, u16::try_from(entry)?);
    compact_header.e_phnum = U16::new(LittleEndian, u16::try_from(headers.len())?);
    compact_header.e_shoff = U64::new(LittleEndian, 0);
    compact_header.e_shnum = U16::new(LittleEndian, 0);
    compact_header.e_shstrndx = U16::new(LittleEndian, elf::SHN_UNDEF);
    compact_header.e_shentsize = U16::new(LittleEndian, 0);
    compact_header.e_flags = U32::new(LittleEndian, header.e_flags(LittleEndian));

    let mut written = bytes_of(&compact_header).to_vec();
    for (program, _) in &headers {
        written.extend_from_slice(bytes_of(program));
    }
    for (_, bytes) in &headers {
        written.resize(written.len().next_multiple_of(SEGMENT_ALIGN), 0);
        written.extend_from_slice(bytes);
    }
    ensure!(
        written.len() == next,
        "compact layout and what was written differ"
    );
    Ok(written)
}

/// The file part without zeros at its end, as long as the segment's memory still covers them, and without those at its
/// beginning, as long as the segment still begins in its first page.
fn kept(segment: &Segment<'_>) -> Range<usize> {
    let (bytes, memory) = (segment.bytes, segment.header.p_memsz(LittleEndian));
    let is_loaded = segment.header.p_type(LittleEndian) == elf::PT_LOAD;
    if !is_loaded || u64::try_from(bytes.len()).is_ok_and(|length| length > memory) {
        return 0..bytes.len();
    }
    let is_full = |byte: &u8| *byte != 0;
    let Some(last) = bytes.iter().rposition(is_full) else {
        return 0..0;
    };
    let zeros = bytes.iter().position(is_full).unwrap_or(0);
    let page = PAGE - segment.header.p_vaddr(LittleEndian) % PAGE;
    let within = usize::try_from(page).map_or(0, |page| page - 1);
    let first = zeros.min(within) / SEGMENT_ALIGN * SEGMENT_ALIGN;
    first..last + 1
}

#[cfg(test)]
pub(crate) mod tests {
    use object::LittleEndian;
    use object::read::elf::{FileHeader, ProgramHeader};

    use super::compact;
    use crate::image::{notes, segments};

    /// An ELF made by hand: header, one program header for each row (address, file bytes, memory size), then
    /// the bytes at page-aligned offsets, then a made-up section header offset.
    pub(crate) fn tiny_elf(rows: &[(u64, &[u8], u64)]) -> Vec<u8> {
        let count = u16::try_from(rows.len()).unwrap();
        let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        file.extend_from_slice(&2_u16.to_le_bytes()); // ET_EXEC
        file.extend_from_slice(&183_u16.to_le_bytes()); // EM_AARCH64
        file.extend_from_slice(&1_u32.to_le_bytes());
        file.extend_from_slice(&rows[0].0.to_le_bytes()); // entry
        file.extend_from_slice(&64_u64.to_le_bytes()); // program headers
        file.extend_from_slice(&0x7_7777_u64.to_le_bytes()); // section headers: nowhere
        file.extend_from_slice(&0_u32.to_le_bytes());
        for half in [64_u16, 56, count, 64, 9, 8] {
            file.extend_from_slice(&half.to_le_bytes());
        }
        for (index, (address, bytes, memory)) in rows.iter().enumerate() {
            file.extend_from_slice(&1_u32.to_le_bytes()); // PT_LOAD
            file.extend_from_slice(&5_u32.to_le_bytes()); // R+X
            let offset = u64::try_from((index + 1) * 0x1000).unwrap();
            let length = u64::try_from(bytes.len()).unwrap();
            for word in [offset, *address, *address, length, *memory, 0x1000] {
                file.extend_from_slice(&word.to_le_bytes());
            }
        }
        for (index, (_, bytes, _)) in rows.iter().enumerate() {
            file.resize((index + 1) * 0x1000, 0);
            file.extend_from_slice(bytes);
        }
        file
    }

    #[test]
    fn compact_file_has_headers_and_bytes_alone() {
        let file = tiny_elf(&[(0x40_0000, b"text!", 5), (0x40_1000, b"data", 0x100)]);
        let small = compact(&file).unwrap();
        assert_eq!(small.len(), 64 + 2 * 56 + 8 + 4);
        let (header, found) = segments(&small).unwrap();
        assert_eq!(header.e_shoff(LittleEndian), 0);
        assert_eq!(header.e_shnum.get(LittleEndian), 0);
        assert_eq!(header.e_entry(LittleEndian), 0x40_0000);
        let rows: Vec<_> = found
            .iter()
            .map(|segment| {
                let memory = segment.header.p_memsz(LittleEndian);
                (segment.header.p_vaddr(LittleEndian), segment.bytes, memory)
            })
            .collect();
        assert_eq!(
            rows,
            [(0x40_0000, &b"text!"[..], 5), (0x40_1000, &b"data"[..], 0x100)]
        );
    }

    #[test]
    fn trailing_zeros_become_bss() {
        let small = compact(&tiny_elf(&[(0x1000, b"a\0b\0\0\0", 6)])).unwrap();
        let (_, found) = segments(&small).unwrap();
        assert_eq!(found[0].bytes, b"a\0b");
        assert_eq!(found[0].header.p_memsz(LittleEndian), 6);
    }

    #[test]
    fn zeros_before_are_left_to_the_page_they_are_in() {
        let mut page = [0; 4096 + 16];
        page[0x40] = 0xea;
        let small = compact(&tiny_elf(&[(0x1000, &page, 0x2000)])).unwrap();
        let (_, found) = segments(&small).unwrap();
        assert_eq!(found[0].bytes, [0xea]);
        let placed = |at: usize| {
            let header = found[at].header;
            (header.p_vaddr(LittleEndian), header.p_memsz(LittleEndian))
        };
        assert_eq!(placed(0), (0x1040, 0x1fc0));
        // A page of nothing but zeros is still a page of the segment.
        page[0x40] = 0;
        page[4096 + 8] = 1;
        let small = compact(&tiny_elf(&[(0x1000, &page, 0x2000)])).unwrap();
        let (_, found) = segments(&small).unwrap();
        assert_eq!(found[0].header.p_vaddr(LittleEndian), 0x1ff8);
        assert_eq!(found[0].bytes, [&[0; 16][..], &[1]].concat());
    }

    #[test]
    fn notes_are_kept_as_they_are() {
        let mut file = tiny_elf(&[(0x1000, b"text", 4), (0x2000, b"\0note\0", 6), (0x3000, b"", 0)]);
        file[64 + 56..64 + 60].copy_from_slice(&4_u32.to_le_bytes());
        file[64 + 112..64 + 116].copy_from_slice(&4_u32.to_le_bytes());
        let small = compact(&file).unwrap();
        let found = notes(&small).unwrap();
        assert_eq!(found.len(), 1, "an empty one is none");
        assert_eq!(found[0].bytes, b"\0note\0");
        assert_eq!(segments(&small).unwrap().1.len(), 1);
    }

    #[test]
    fn file_part_longer_than_memory_stays_for_the_loader_to_refuse() {
        let small = compact(&tiny_elf(&[(0x1000, b"a\0\0", 1)])).unwrap();
        assert_eq!(segments(&small).unwrap().1[0].bytes, b"a\0\0");
    }

    #[test]
    fn compacting_twice_changes_nothing() {
        let once = compact(&tiny_elf(&[(0x1000, b"text", 4), (0x2000, b"", 64)])).unwrap();
        assert_eq!(compact(&once).unwrap(), once);
    }

    #[test]
    fn cut_file_is_an_error() {
        let file = tiny_elf(&[(0x1000, b"text", 4)]);
        assert!(compact(&file[..0x1002]).is_err());
        assert!(compact(&file[..100]).is_err());
    }
}
