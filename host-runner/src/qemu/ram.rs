//! The machine's memory: a sparse file that QEMU maps, which the runner fills before and reads after.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::layout::{Layout, RAM};

/// Memory in which nothing is ever written back to a disk.
const SHARED_MEMORY: &str = "/dev/shm";
/// What the runner and other runs beside this one may need there too.
const MARGIN: u64 = 256 << 20;

/// The RAM: a file without a name, so that nothing stays behind however the runner ends.
#[derive(Debug)]
pub(super) struct Ram {
    file: File,
}

impl Ram {
    /// Makes the RAM, with everything of `layout` in its place.
    pub(super) fn new(layout: &Layout, image: &[u8], initrd: &[u8]) -> io::Result<Self> {
        let bytes = layout.ram_bytes();
        let file = match shared_memory_has(bytes.saturating_add(MARGIN)) {
            true => tempfile::tempfile_in(SHARED_MEMORY).or_else(|_| tempfile::tempfile())?,
            false => tempfile::tempfile()?,
        };
        // Sparse: memory that the guest does not write costs nothing.
        file.set_len(bytes)?;
        for (address, content) in layout.contents(image, initrd) {
            file.write_all_at(content, address - RAM)?;
        }
        Ok(Self { file })
    }

    /// Where QEMU finds the file: among the runner's open ones [proc(5), `/proc/pid/fd`].
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            self.file.as_raw_fd()
        ))
    }

    /// Copies `length` bytes from `address`, once.
    pub(super) fn read(&self, address: u64, length: u64) -> io::Result<Vec<u8>> {
        let offset = address.checked_sub(RAM).ok_or(io::ErrorKind::InvalidInput)?;
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }
}

/// Whether that much is free there: a guest that fills a file system too small for its RAM takes QEMU down with it, by
/// SIGBUS. `df` is asked, as `statvfs` has no safe interface in std.
fn shared_memory_has(bytes: u64) -> bool {
    let asked = Command::new("df")
        .args(["-Pk", SHARED_MEMORY])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    asked.is_ok_and(|output| {
        output.status.success()
            && free(&String::from_utf8_lossy(&output.stdout)).is_some_and(|free| free >= bytes)
    })
}

/// The bytes available by POSIX `df -Pk`: the fourth column of its second line, in KiB.
fn free(table: &str) -> Option<u64> {
    table
        .lines()
        .nth(1)?
        .split_whitespace()
        .nth(3)?
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::free;

    #[test]
    fn free_space_is_the_fourth_column() {
        let table = "Filesystem     1024-blocks  Used Available Capacity Mounted on\ntmpfs 65536 1 64000 1% /dev/shm\n";
        assert_eq!(free(table), Some(64_000 << 10));
        assert_eq!(free("df: /dev/shm: No such file"), None);
        assert_eq!(free("a\nb c d"), None);
    }
}
