//! Which physical page lies behind an address of this process.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// [Linux `Documentation/admin-guide/mm/pagemap.rst`] 64 bits for each page: bit 63 says that it is present, bits 54:0 are its
/// frame, which reads as zero without CAP_SYS_ADMIN.
const PATH: &str = "/proc/self/pagemap";
const PRESENT: u64 = 1 << 63;
const FRAME: u64 = (1 << 55) - 1;
const PAGE: u64 = 0x1000;

/// The open file: a sandbox that opens nothing can still ask it.
#[derive(Debug)]
pub(crate) struct Pagemap(File);

impl Pagemap {
    /// Opens it.
    pub(crate) fn open() -> io::Result<Self> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{PATH}: {error}"));
        File::open(PATH).map(Self).map_err(named)
    }

    /// The physical address of the page at this address.
    pub(crate) fn physical(&self, address: usize) -> io::Result<u64> {
        let mut entry = [0; 8];
        self.0.read_exact_at(&mut entry, address as u64 / PAGE * 8)?;
        let entry = u64::from_le_bytes(entry);
        let frame = entry & FRAME;
        if entry & PRESENT == 0 || frame == 0 {
            return Err(io::Error::other(format!(
                "{PATH} does not show the page at {address:#x}"
            )));
        }
        Ok(frame * PAGE)
    }
}
