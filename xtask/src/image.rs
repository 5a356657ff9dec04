//! Flat images: what a boot loader copies to memory, made from an ELF's loadable segments.

use anyhow::{Context, Result, ensure};
use object::elf::{FileHeader64, PT_LOAD, PT_NOTE, ProgramHeader64, ProgramType};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{LittleEndian, elf};

/// A flat image larger than this is a linker script gone wrong, not a guest.
const SIZE_LIMIT: usize = 64 << 20;

/// One loadable segment of an ELF file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment<'data> {
    pub(crate) header: &'data ProgramHeader64<LittleEndian>,
    /// The part that comes from the file; what the header's `p_memsz` has beyond it is zero.
    pub(crate) bytes: &'data [u8],
}

/// The file header and the loadable segments of a little-endian 64-bit arm64 ELF, in file order.
pub(crate) fn segments(file: &[u8]) -> Result<(&FileHeader64<LittleEndian>, Vec<Segment<'_>>)> {
    let (header, segments) = segments_of(file, PT_LOAD)?;
    ensure!(!segments.is_empty(), "the ELF has no loadable segment");
    Ok((header, segments))
}

/// The segments of notes that have any.
pub(crate) fn notes(file: &[u8]) -> Result<Vec<Segment<'_>>> {
    let (_, mut notes) = segments_of(file, PT_NOTE)?;
    notes.retain(|note| !note.bytes.is_empty());
    Ok(notes)
}

fn segments_of(file: &[u8], kind: ProgramType) -> Result<(&FileHeader64<LittleEndian>, Vec<Segment<'_>>)> {
    let header = FileHeader64::<LittleEndian>::parse(file).context("not a 64-bit ELF")?;
    let endian = header.endian().context("not a little-endian ELF")?;
    ensure!(header.e_machine(endian) == elf::EM_AARCH64, "not an arm64 ELF");
    let segments = header
        .program_headers(endian, file)?
        .iter()
        .filter(|program| program.p_type(endian) == kind)
        .map(|program| {
            let bytes = program
                .data(endian, file)
                .ok()
                .context("a segment lies outside of the file")?;
            Ok(Segment {
                header: program,
                bytes,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok((header, segments))
}

/// Every segment's file part at its physical address less the lowest one, gaps filled with zeros.
pub(crate) fn flat(file: &[u8]) -> Result<Vec<u8>> {
    let (_, segments) = segments(file)?;
    let mut placed: Vec<(u64, &[u8])> = segments
        .iter()
        .filter(|segment| !segment.bytes.is_empty())
        .map(|segment| (segment.header.p_paddr(LittleEndian), segment.bytes))
        .collect();
    placed.sort_by_key(|(address, _)| *address);
    let base = placed.first().context("no segment has a byte in the file")?.0;
    let mut image = Vec::new();
    for (address, bytes) in placed {
        let start = usize::try_from(address - base)?;
        ensure!(
            start >= image.len(),
            "segments overlap at physical address {address:#x}"
        );
        ensure!(
            start.saturating_add(bytes.len()) <= SIZE_LIMIT,
            "the image would be larger than {SIZE_LIMIT} bytes"
        );
        image.resize(start, 0);
        image.extend_from_slice(bytes);
    }
    Ok(image)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::flat;
    use crate::compact::tests::tiny_elf;

    #[test]
    fn segments_lie_at_their_physical_distance() {
        let file = tiny_elf(&[(0x4020_1000, b"data", 0x2000), (0x4020_0000, b"text", 4)]);
        let image = flat(&file).unwrap();
        assert_eq!(image.len(), 0x1004);
        assert_eq!(&image[..8], b"text\0\0\0\0");
        assert_eq!(&image[0x1000..], b"data");
    }

    #[test]
    fn bss_takes_no_room() {
        let file = tiny_elf(&[(0x1000, b"text", 4), (0x8000, b"", 0x10_0000)]);
        assert_eq!(flat(&file).unwrap(), b"text");
    }

    #[test]
    fn overlap_is_an_error() {
        let file = tiny_elf(&[(0x1000, b"text", 4), (0x1002, b"data", 4)]);
        assert!(flat(&file).unwrap_err().to_string().contains("overlap"));
    }

    #[test]
    fn distance_beyond_reason_is_an_error() {
        let file = tiny_elf(&[(0, b"text", 4), (0xffff_0000_0000_0000, b"data", 4)]);
        assert!(flat(&file).is_err());
    }

    #[test]
    fn what_is_no_elf_is_an_error() {
        assert!(flat(b"").is_err());
        assert!(flat(&[0x7f; 200]).is_err());
    }
}
