//! The lab: real arm64 KVM on any host, under QEMU's emulation of EL2.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::backend::Missing;

/// QEMU, an arm64 Linux kernel, and this command built for arm64 to be its init.
#[derive(Clone, Debug)]
pub struct Lab {
    /// `qemu-system-aarch64`.
    pub program: PathBuf,
    /// The arm64 Linux Image.
    pub kernel: PathBuf,
    /// The static arm64 build of this command.
    pub init: PathBuf,
    /// The guest's Image.
    pub image: PathBuf,
}

/// What a session in the lab said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line<'a> {
    /// A line of the inner command's standard output.
    Out(&'a str),
    /// A line of its standard error.
    Err(&'a str),
    /// A line of the lab kernel's own.
    Kernel(&'a str),
}

/// How a session ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SessionEnd {
    /// The inner command's exit code.
    Exited(i32),
    /// The lab went down or stood still before the inner command ended: what was last seen.
    Lost(String),
}

impl Lab {
    /// Finds all parts. `kernel` names an Image by hand; else it is the one among the artefacts.
    ///
    /// # Errors
    /// [`Missing`], with the line that gets it.
    pub fn find(_artefacts: &Path, _kernel: Option<&Path>) -> Result<Self, Missing> {
        Err(Missing { what: "under construction".into(), fix: String::new() })
    }

    /// Boots the lab and runs this command inside with `arguments`; `files` are put into its file system first, at the
    /// absolute paths given. Lines come as they are printed.
    ///
    /// # Errors
    /// [`Missing`] when QEMU cannot be started.
    pub fn session(
        &self,
        _arguments: &[String],
        _files: &[(String, Vec<u8>)],
        _wall: Duration,
        _line: &mut dyn FnMut(Line<'_>),
    ) -> Result<SessionEnd, Missing> {
        Err(Missing { what: "under construction".into(), fix: String::new() })
    }
}

/// Whether this process is the init of a lab.
#[must_use]
pub fn is_init() -> bool {
    false
}

/// Does init's work and switches the machine off; never returns.
pub fn init() -> ! {
    std::process::exit(70)
}
