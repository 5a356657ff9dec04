//! A Linux on QEMU without a shim: what is counted there is the kernel's own.

use std::io;
use std::path::Path;
use std::process::Command;

use super::process::{self, How};
use super::{ICOUNT, NOTHING_ELSE, Qemu};
use crate::backend::Limits;

/// What such a machine left.
#[derive(Debug)]
pub(crate) struct Plain {
    pub(crate) console: Vec<u8>,
    /// Why it ended otherwise than by its own word.
    pub(crate) trouble: Option<String>,
}

impl Qemu {
    /// Boots `kernel` at EL1 by QEMU's own loader, to its end.
    ///
    /// # Errors
    /// Whatever the start of QEMU says.
    pub(crate) fn boot_plain(
        &self,
        kernel: &Path,
        initrd: &Path,
        arguments: &str,
        limits: &Limits,
    ) -> io::Result<Plain> {
        let mut command = Command::new(&self.program);
        command
            .args(["-M", "virt,gic-version=3", "-cpu", &self.cpu])
            .args(["-smp", "1", "-m", "256M"])
            .args(ICOUNT)
            .args(NOTHING_ELSE)
            .arg("-kernel")
            .arg(kernel)
            .arg("-initrd")
            .arg(initrd)
            .args(["-append", arguments]);
        let ended = process::run(&mut command, limits)?;
        let trouble = match ended.how {
            How::Exited(status) if status.success() => None,
            How::Exited(status) => Some(format!("QEMU ended with {status}: {}", ended.errors)),
            How::TimedOut => Some("it stood still".into()),
            How::Flooded => Some("it did not stop to speak".into()),
        };
        Ok(Plain {
            console: ended.console,
            trouble,
        })
    }
}
