//! What a page of a program held before the program wrote to it, and where in the bundle that still is.
//!
//! A page that is to be had again is looked up here and not in the program's ELF headers: they may lie in the very page of
//! the Image that is poisoned, and this table does not.

use crate::elf::{Elf, MAX_SEGMENTS, Segment};

const PAGE: u64 = 4096;

/// One segment: its pages, and its bytes in the bundle.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// Its first page, and the first after its last.
    first: u64,
    end: u64,
    /// Its first byte's address.
    address: u64,
    /// Where its bytes begin in the bundle, and how many there are; what follows them is zero.
    start: usize,
    length: usize,
}

/// A program's pages.
#[derive(Clone, Copy, Debug)]
pub struct Image {
    parts: [Part; MAX_SEGMENTS],
}

/// The bytes of one page: zeros, then these from the bundle, then zeros.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Source {
    /// Where in the page they begin.
    pub offset: usize,
    /// Where in the bundle they begin.
    pub start: usize,
    /// How many there are.
    pub length: usize,
}

impl Source {
    /// A page of zeros.
    pub const ZEROS: Self = Self {
        offset: 0,
        start: 0,
        length: 0,
    };
}

impl Part {
    const NONE: Self = Self {
        first: 0,
        end: 0,
        address: 0,
        start: 0,
        length: 0,
    };

    fn of(segment: &Segment<'_>, bundle: &[u8]) -> Self {
        // The bytes are a part of the bundle, so their place is that of their first byte in there.
        let start = segment.bytes.as_ptr().addr().wrapping_sub(bundle.as_ptr().addr());
        if bundle
            .get(start..)
            .is_none_or(|rest| segment.bytes.len() > rest.len())
        {
            // Not from here: of such a page it is not known what it held.
            return Self::NONE;
        }
        Self {
            first: segment.first_page(),
            end: segment.end_page(),
            address: segment.address,
            start,
            length: segment.bytes.len(),
        }
    }

    /// What of the part's bytes falls into the page at `page`, one of its own.
    #[inline]
    fn source(&self, page: u64) -> Source {
        // Exactly one of the two is not zero, or neither: a segment begins in its first page.
        let skip = page.saturating_sub(self.address);
        let offset = self.address.saturating_sub(page);
        let left = (self.length as u64).saturating_sub(skip);
        let length = left.min(PAGE.saturating_sub(offset));
        if length == 0 {
            return Source::ZEROS;
        }
        // All three are less than the bundle's length or a page.
        Source {
            offset: crate::native(offset),
            start: self.start.wrapping_add(crate::native(skip)),
            length: crate::native(length),
        }
    }
}

impl Image {
    /// Without pages.
    pub const EMPTY: Self = Self {
        parts: [Part::NONE; MAX_SEGMENTS],
    };

    /// The pages of a program whose bytes are a part of `bundle`.
    #[must_use]
    pub fn new(elf: &Elf<'_>, bundle: &[u8]) -> Self {
        let mut image = Self::EMPTY;
        for (part, segment) in image.parts.iter_mut().zip(elf.segments()) {
            *part = Part::of(segment, bundle);
        }
        image
    }

    /// Where the bytes of the page with `address` in it are; `None` when the program has no such page.
    #[inline]
    #[must_use]
    pub fn source(&self, address: u64) -> Option<Source> {
        let page = address & !(PAGE - 1);
        let part = self
            .parts
            .iter()
            .find(|part| part.first <= page && page < part.end)?;
        Some(part.source(page))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::tests::{Header, image};

    /// A bundle: something, and then a program of three segments whose bytes are numbered from the file's first.
    fn program() -> (Vec<u8>, usize) {
        let header = |flags, address, in_file, length| Header {
            flags,
            address,
            in_file,
            length,
            align: 0x1000,
        };
        let elf = image(
            0x40_0010,
            &[
                header(5, 0x40_0000, 0x1008, 0x1008),
                header(6, 0x40_2f00, 0x180, 0x3000),
                header(6, 0x40_7000, 0, 0x1000),
            ],
        );
        let start = 24;
        let mut bundle = vec![0xee; start];
        bundle.extend(&elf);
        bundle.resize(start + elf.len() + 0x2000, 0x77);
        (bundle, start)
    }

    #[test]
    fn each_page_has_its_bytes_between_zeros() {
        let (bundle, start) = program();
        let elf = Elf::parse(&bundle[start..]).unwrap();
        let image = Image::new(&elf, &bundle);
        // The helper puts the contents behind the headers: 64 bytes, and 56 for each of three segments.
        let contents = start + 64 + 3 * 56;
        let source = |offset, skip, length| {
            Some(Source {
                offset,
                start: contents + skip,
                length,
            })
        };
        assert_eq!(image.source(0x40_0000), source(0, 0, 0x1000));
        assert_eq!(image.source(0x40_0fff), source(0, 0, 0x1000));
        assert_eq!(image.source(0x40_1000), source(0, 0x1000, 8));
        assert_eq!(image.source(0x40_2000), source(0xf00, 0, 0x100));
        assert_eq!(image.source(0x40_3000), source(0, 0x100, 0x80));
        assert_eq!(image.source(0x40_4000), Some(Source::ZEROS));
        assert_eq!(image.source(0x40_5fff), Some(Source::ZEROS));
        assert_eq!(image.source(0x40_7004), Some(Source::ZEROS));
        for nothing in [0, 0x3f_ffff, 0x40_6000, 0x40_8000, u64::MAX] {
            assert_eq!(image.source(nothing), None, "{nothing:#x}");
        }
        assert_eq!(Image::EMPTY.source(0), None);
    }

    #[test]
    fn what_a_page_is_loaded_with_is_what_it_is_healed_with() {
        let (bundle, start) = program();
        let elf = Elf::parse(&bundle[start..]).unwrap();
        let image = Image::new(&elf, &bundle);
        for segment in elf.segments() {
            for page in (segment.first_page()..segment.end_page()).step_by(4096) {
                let mut expected = [0; 4096];
                for (index, byte) in segment.bytes.iter().enumerate() {
                    let at = segment.address + index as u64;
                    if at & !0xfff == page {
                        expected[usize::try_from(at & 0xfff).unwrap()] = *byte;
                    }
                }
                let source = image.source(page).unwrap();
                let mut found = [0; 4096];
                found[source.offset..source.offset + source.length]
                    .copy_from_slice(&bundle[source.start..source.start + source.length]);
                assert_eq!(found, expected, "{page:#x}");
            }
        }
    }

    #[test]
    fn bytes_that_are_no_part_of_the_bundle_are_none() {
        let (bundle, start) = program();
        let (other, _) = program();
        let elf = Elf::parse(&bundle[start..]).unwrap();
        let image = Image::new(&elf, &other[..16]);
        assert_eq!(image.source(0x40_0000), None, "not taken for zeros");
    }
}
