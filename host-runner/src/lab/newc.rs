//! The initramfs: a cpio archive in the "newc" form [Linux `Documentation/driver-api/early-userspace/buffer-format.rst`].

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;

/// An archive that is being written.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
    directories: Vec<String>,
}

/// A file that newc cannot hold: {0}.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TooLarge(String);

impl core::fmt::Display for TooLarge {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} is too large for the lab's file system", self.0)
    }
}

impl Archive {
    /// An archive with nothing in it.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds an empty directory, and those above it, once each.
    pub(crate) fn directory(&mut self, path: &str) -> Result<(), TooLarge> {
        let path = relative(path);
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for part in ends
            .filter_map(|end| path.get(..end))
            .filter(|part| !part.is_empty())
        {
            if !self.directories.iter().any(|known| known == part) {
                self.directories.push(part.to_owned());
                self.entry(part, DIRECTORY, &[])?;
            }
        }
        Ok(())
    }

    /// Adds a program.
    pub(crate) fn program(&mut self, path: &str, contents: &[u8]) -> Result<(), TooLarge> {
        self.placed(path, PROGRAM, contents)
    }

    /// Adds a file.
    pub(crate) fn file(&mut self, path: &str, contents: &[u8]) -> Result<(), TooLarge> {
        self.placed(path, FILE, contents)
    }

    /// The whole archive.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>, TooLarge> {
        self.entry("TRAILER!!!", 0, &[])?;
        Ok(self.bytes)
    }

    fn placed(&mut self, path: &str, mode: u32, contents: &[u8]) -> Result<(), TooLarge> {
        if let Some((above, _)) = relative(path).rsplit_once('/') {
            self.directory(above)?;
        }
        self.entry(relative(path), mode, contents)
    }

    fn entry(&mut self, name: &str, mode: u32, contents: &[u8]) -> Result<(), TooLarge> {
        let too_large = |_| TooLarge(name.to_owned());
        let size = u32::try_from(contents.len()).map_err(too_large)?;
        let name_size = u32::try_from(name.len() + 1).map_err(too_large)?;
        self.entries += 1;
        // inode, mode, uid, gid, links, mtime, size, device, rdevice (each device in two numbers), name size, check.
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(contents);
        self.pad();
        Ok(())
    }

    /// Names and contents end at a multiple of four.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

fn relative(path: &str) -> &str {
    path.trim_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_laid_out_as_the_kernel_reads_it() {
        let mut archive = Archive::new();
        archive.program("/init", b"ELF..").unwrap();
        let bytes = archive.finish().unwrap();
        let header = "070701\
            00000001000081ed0000000000000000000000010000000000000005\
            00000000000000000000000000000000\
            0000000500000000";
        assert_eq!(&bytes[..110], header.as_bytes());
        assert_eq!(&bytes[110..116], b"init\0\0");
        assert_eq!(&bytes[116..124], b"ELF..\0\0\0");
        assert_eq!(&bytes[124..130], b"070701");
        assert!(bytes.len().is_multiple_of(4));
        assert!(bytes.windows(11).any(|window| window == b"TRAILER!!!\0"));
    }

    #[test]
    fn directories_come_before_what_is_in_them_and_once() {
        let mut archive = Archive::new();
        archive.file("/a/b/one", b"1").unwrap();
        archive.file("/a/b/two", b"2").unwrap();
        archive.directory("/a/").unwrap();
        let bytes = archive.finish().unwrap();
        let names: Vec<String> = bytes
            .windows(6)
            .enumerate()
            .filter(|(_, window)| *window == b"070701")
            .map(|(at, _)| bytes[at + 110..].split(|b| *b == 0).next().unwrap().to_vec())
            .map(|name| String::from_utf8(name).unwrap())
            .collect();
        assert_eq!(names, ["a", "a/b", "a/b/one", "a/b/two", "TRAILER!!!"]);
    }
}
