//! The `kvm` backend: the guest under real KVM on an arm64 host.

use crate::backend::{Backend, Missing, Request, Run};

/// An arm64 host's KVM.
#[derive(Debug)]
pub struct Kvm {}

impl Kvm {
    /// Opens `/dev/kvm` and asks for what the runner needs.
    ///
    /// # Errors
    /// [`Missing`] on another architecture, without the device, without permission, or without a capability.
    pub fn open() -> Result<Self, Missing> {
        Err(Missing { what: "under construction".into(), fix: String::new() })
    }
}

impl Backend for Kvm {
    fn name(&self) -> &'static str {
        "kvm"
    }

    fn run(&self, _request: &Request<'_>) -> Result<Run, Missing> {
        Err(Missing { what: "under construction".into(), fix: String::new() })
    }
}
