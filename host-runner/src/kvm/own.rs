//! This process's own memory, read so that poison in it is an error and no signal.
//!
//! A load that meets poison brings SIGBUS, which no loader of pages can live through; the kernel's own copy, by
//! `/proc/self/mem`, just fails there.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// The way to it.
#[derive(Debug)]
pub(crate) struct OwnMemory(File);

impl OwnMemory {
    /// Opens it: to be done before anything is forbidden to this thread.
    pub(crate) fn open() -> io::Result<Self> {
        File::open("/proc/self/mem").map(Self)
    }

    /// Copies what is at this address.
    ///
    /// # Errors
    /// Where nothing is mapped, or poison is met.
    pub(crate) fn read(&self, address: u64, to: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(to, address)
    }
}
