//! The `qemu` backend: the guest under the shim, on QEMU `virt` without KVM.

use std::path::{Path, PathBuf};

use crate::backend::{Backend, Missing, Request, Run};

/// QEMU and the shim.
#[derive(Clone, Debug)]
pub struct Qemu {
    /// `qemu-system-aarch64`.
    pub program: PathBuf,
    /// The shim's Image.
    pub shim: PathBuf,
}

impl Qemu {
    /// Finds QEMU on the path and the shim among the artefacts.
    ///
    /// # Errors
    /// [`Missing`], with the line that installs or builds it.
    pub fn find(artefacts: &Path) -> Result<Self, Missing> {
        Ok(Self { program: PathBuf::from("qemu-system-aarch64"), shim: artefacts.join("shim.Image") })
    }
}

impl Backend for Qemu {
    fn name(&self) -> &'static str {
        "qemu"
    }

    fn run(&self, _request: &Request<'_>) -> Result<Run, Missing> {
        Err(Missing { what: "under construction".into(), fix: String::new() })
    }
}
