//! arm64 Linux Images: told from everything else by their header, and asked for their version.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Result, bail};

/// `ARM\x64`, at this offset of every arm64 Image [Linux Documentation/arch/arm64/booting.rst].
const MAGIC: [u8; 4] = [0x41, 0x52, 0x4d, 0x64];
const MAGIC_OFFSET: usize = 56;
/// The oldest kernel whose KVM the scenarios were written for.
pub(crate) const OLDEST: (u32, u32) = (6, 12);

pub(crate) fn is_gzip(path: &Path) -> Result<bool> {
    let mut start = [0; 2];
    Ok(fs::File::open(path)?.read_exact(&mut start).is_ok() && start == [0x1f, 0x8b])
}

/// Accepts a plain arm64 Image, with or without an EFI stub; says what else the file is.
pub(crate) fn check_header(path: &Path) -> Result<()> {
    let mut start = Vec::new();
    fs::File::open(path)?.take(64).read_to_end(&mut start)?;
    check_start(&start)
}

/// The same for the first bytes of a file.
pub(crate) fn check_start(start: &[u8]) -> Result<()> {
    if start.get(MAGIC_OFFSET..MAGIC_OFFSET + MAGIC.len()) == Some(&MAGIC) {
        return Ok(());
    }
    if start.starts_with(&[0x1f, 0x8b]) {
        bail!("this is a gzip'ed file; unpack it first: gzip -dc FILE > Image");
    }
    if start.get(4..8) == Some(b"zimg") {
        bail!("this is a compressed EFI image (zboot); name the plain arch/arm64/boot/Image instead");
    }
    if start.starts_with(b"\x7fELF") {
        bail!("this is an ELF file (vmlinux); name arch/arm64/boot/Image instead");
    }
    bail!("this is no arm64 Linux Image: no magic 0x644d5241 at offset 56");
}

/// The release in the kernel's own banner.
pub(crate) fn version_of(image: &Path) -> Result<String> {
    let mut reader = BufReader::with_capacity(1 << 20, fs::File::open(image)?);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        if let Some(release) = banner(&line) {
            return Ok(release);
        }
        line.clear();
    }
    bail!("the Image has no `Linux version` banner");
}

/// The release, if what is printable at the end of `line` holds the banner.
fn banner(line: &[u8]) -> Option<String> {
    let text = line.strip_suffix(b"\n")?;
    let start = text
        .iter()
        .rposition(|byte| !(b' '..=b'~').contains(byte))
        .map_or(0, |last| last + 1);
    let (_, rest) = std::str::from_utf8(text.get(start..)?)
        .ok()?
        .split_once("Linux version ")?;
    let release = rest.split(' ').next()?;
    let is_release = release.starts_with(|first: char| first.is_ascii_digit())
        && release
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".+-~_".contains(c));
    is_release.then(|| release.to_owned())
}

/// Major and minor number, from a release or from a package's name.
pub(crate) fn numbers(text: &str) -> Option<(u32, u32)> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let mut parts = text[start..].split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{banner, check_start, numbers};

    fn check_refused(start: &[u8], reason: &str) {
        let message = check_start(start).unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
    }

    #[test]
    fn image_is_known_by_its_magic_and_others_by_name() {
        let mut image = vec![0; 64];
        image[56..60].copy_from_slice(&0x644d_5241_u32.to_le_bytes());
        assert!(check_start(&image).is_ok());
        image[..2].copy_from_slice(b"MZ");
        assert!(check_start(&image).is_ok());
        check_refused(&[0x1f, 0x8b, 8, 0], "gzip -dc");
        check_refused(b"MZ\0\0zimg", "zboot");
        check_refused(b"\x7fELF", "vmlinux");
        check_refused(b"", "offset 56");
    }

    #[test]
    fn version_is_taken_from_the_banner() {
        let release = Some("7.2.13+deb14-arm64".to_owned());
        assert_eq!(
            banner(b"\0\xffzLinux version 7.2.13+deb14-arm64 (debian) #1\n"),
            release
        );
        assert_eq!(banner(b"Linux version %s (%s)\n"), None);
        assert_eq!(banner(b"Linux version 7.2.13 \0 other\n"), None);
        assert_eq!(banner(b"\n"), None);
    }

    #[test]
    fn numbers_are_found_in_releases_and_package_names() {
        assert_eq!(numbers("6.1.0-30-arm64"), Some((6, 1)));
        assert_eq!(numbers("linux-binary-7.2.13+deb14-arm64"), Some((7, 2)));
        assert_eq!(numbers("none"), None);
    }
}
