//! The bundle: all EL0 programs in one file, which the guest carries in its Image.
//!
//! Little endian: magic `SEAWALLB`, u32 version, u32 count, then for each program its name (16 bytes, zero
//! padded), u32 offset from the bundle's start and u32 length; then the ELF files, each 8-aligned.

use anyhow::{Context, Result, ensure};

const MAGIC: &[u8; 8] = b"SEAWALLB";
const VERSION: u32 = 1;
const HEADER: usize = 16;
const NAME: usize = 16;
const ENTRY: usize = NAME + 8;
const ALIGN: usize = 8;
/// The guest's table of programs has this many rows.
const PROGRAMS: usize = 128;

/// The bundle of `programs` (name, ELF file), in the order given.
pub(crate) fn bundle(programs: &[(String, Vec<u8>)]) -> Result<Vec<u8>> {
    ensure!(!programs.is_empty(), "there is no program to bundle");
    ensure!(
        programs.len() <= PROGRAMS,
        "{} programs, and room for {PROGRAMS}",
        programs.len()
    );
    let mut offset = (HEADER + ENTRY * programs.len()).next_multiple_of(ALIGN);
    let mut written = MAGIC.to_vec();
    written.extend_from_slice(&VERSION.to_le_bytes());
    written.extend_from_slice(&u32::try_from(programs.len())?.to_le_bytes());
    for (name, file) in programs {
        written.extend_from_slice(&padded(name)?);
        written.extend_from_slice(&u32::try_from(offset)?.to_le_bytes());
        written.extend_from_slice(&u32::try_from(file.len())?.to_le_bytes());
        offset = (offset + file.len()).next_multiple_of(ALIGN);
    }
    for (_, file) in programs {
        written.resize(written.len().next_multiple_of(ALIGN), 0);
        written.extend_from_slice(file);
    }
    Ok(written)
}

fn padded(name: &str) -> Result<[u8; NAME]> {
    let mut bytes = [0; NAME];
    bytes
        .get_mut(..name.len())
        .with_context(|| format!("program name `{name}` is longer than {NAME} bytes"))?
        .copy_from_slice(name.as_bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::bundle;

    fn word(bytes: &[u8], at: usize) -> usize {
        usize::try_from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())).unwrap()
    }

    #[test]
    fn every_program_is_where_its_row_says() {
        let made = bundle(&[
            ("load".into(), b"12345".to_vec()),
            ("store".into(), b"abc".to_vec()),
        ])
        .unwrap();
        assert_eq!(&made[..8], b"SEAWALLB");
        assert_eq!((word(&made, 8), word(&made, 12)), (1, 2));
        assert_eq!(&made[16..32], b"load\0\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!((word(&made, 32), word(&made, 36)), (64, 5));
        assert_eq!(&made[40..56], b"store\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!((word(&made, 56), word(&made, 60)), (72, 3));
        assert_eq!(&made[64..69], b"12345");
        assert_eq!(&made[72..], b"abc");
    }

    #[test]
    fn name_of_sixteen_bytes_fits_and_of_seventeen_does_not() {
        assert!(bundle(&[("abcdefghijklmnop".into(), vec![1])]).is_ok());
        assert!(bundle(&[("abcdefghijklmnopq".into(), vec![1])]).is_err());
    }

    #[test]
    fn none_and_too_many_are_errors() {
        assert!(bundle(&[]).is_err());
        assert!(bundle(&vec![("x".into(), vec![1]); 128]).is_ok());
        assert!(bundle(&vec![("x".into(), vec![1]); 129]).is_err());
    }
}
