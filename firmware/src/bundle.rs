//! The bundle: all programs in one block, as the build puts them into the guest.
//!
//! `SEAWALLB`, version (u32, 1), count (u32), then for each program its name (16 bytes, zero padded), offset and length
//! (u32 each) from the bundle's start. All little endian.

/// More programs than this are refused.
pub const MAX_PROGRAMS: usize = 128;

const HEADER: usize = 16;
const ENTRY: usize = 24;

/// A program's name, padded with zeros.
pub type Name = [u8; 16];

/// A checked bundle.
#[derive(Clone, Copy, Debug)]
pub struct Bundle<'a> {
    bytes: &'a [u8],
    count: usize,
}

/// One program.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Its name.
    pub name: Name,
    /// Its ELF image.
    pub elf: &'a [u8],
}

/// Why bytes are not a bundle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BundleError {
    /// Not a bundle, or of another version.
    NotABundle,
    /// It says that it has {0} programs.
    TooManyPrograms(u32),
    /// Program {0} lies outside of it.
    Outside(usize),
}

impl core::fmt::Display for BundleError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotABundle => f.write_str("the programs are not a bundle of version 1"),
            Self::TooManyPrograms(n) => write!(f, "the bundle has {n} programs, at most {MAX_PROGRAMS} fit"),
            Self::Outside(n) => write!(f, "program {n} lies outside of the bundle"),
        }
    }
}

fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(
        bytes.get(offset..offset.checked_add(4)?)?.try_into().ok()?,
    ))
}

impl<'a> Bundle<'a> {
    /// Checks a bundle.
    ///
    /// # Errors
    /// See [`BundleError`].
    pub fn new(bytes: &'a [u8]) -> Result<Self, BundleError> {
        if bytes.get(..8) != Some(b"SEAWALLB") || word(bytes, 8) != Some(1) {
            return Err(BundleError::NotABundle);
        }
        let count = word(bytes, 12).ok_or(BundleError::NotABundle)?;
        let bundle = Self {
            bytes,
            count: count as usize,
        };
        if bundle.count > MAX_PROGRAMS {
            return Err(BundleError::TooManyPrograms(count));
        }
        match (0..bundle.count).find(|index| bundle.get(*index).is_none()) {
            Some(index) => Err(BundleError::Outside(index)),
            None => Ok(bundle),
        }
    }

    /// All of it.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The program at this place.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Program<'a>> {
        if index >= self.count {
            return None;
        }
        let entry = HEADER + index * ENTRY;
        let name = self.bytes.get(entry..entry + 16)?.try_into().ok()?;
        let start = word(self.bytes, entry + 16)? as usize;
        let length = word(self.bytes, entry + 20)? as usize;
        Some(Program {
            name,
            elf: self.bytes.get(start..start.checked_add(length)?)?,
        })
    }

    /// All programs, in order.
    pub fn programs(&self) -> impl Iterator<Item = Program<'a>> + '_ {
        (0..self.count).filter_map(|index| self.get(index))
    }

    /// The place of the program with this name.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<usize> {
        self.programs().position(|program| trimmed(&program.name) == name)
    }
}

/// A name without its padding.
#[must_use]
pub fn trimmed(name: &Name) -> &[u8] {
    let length = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    &name[..length]
}

/// A name as text; what is not UTF-8 becomes a question mark.
#[must_use]
pub fn text(name: &Name) -> &str {
    core::str::from_utf8(trimmed(name)).unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(offset: u32, length: u32) -> Vec<u8> {
        let mut bytes = b"SEAWALLB\x01\0\0\0\x01\0\0\0load\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        bytes.extend(offset.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(b"ELF!");
        bytes
    }

    #[test]
    fn a_program_is_found_by_its_name() {
        let bytes = bundle(40, 4);
        let bundle = Bundle::new(&bytes).unwrap();
        assert_eq!(bundle.find(b"load"), Some(0));
        assert_eq!(bundle.find(b"loa"), None);
        assert_eq!(bundle.get(0).unwrap().elf, b"ELF!");
        assert!(bundle.get(1).is_none());
    }

    #[test]
    fn a_program_outside_of_the_bundle_is_refused() {
        for (offset, length) in [(41, 4), (u32::MAX, 4), (40, 5), (40, u32::MAX)] {
            assert_eq!(
                Bundle::new(&bundle(offset, length)).unwrap_err(),
                BundleError::Outside(0)
            );
        }
    }

    #[test]
    fn a_cut_bundle_is_refused() {
        let bytes = bundle(40, 4);
        for length in 0..bytes.len() {
            assert!(Bundle::new(&bytes[..length]).is_err(), "{length}");
        }
    }
}
