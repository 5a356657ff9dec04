//! A host as it was found: plain answers, nothing judged.

use std::path::PathBuf;

use crate::backend::Missing;
use crate::kvm::needs::Need;

/// What was found of a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Host {
    /// The architecture, such as `aarch64`.
    pub architecture: String,
    /// The running kernel's release, such as `7.2.13+deb14-arm64`.
    pub release: Option<String>,
    /// Bytes of a page.
    pub page_size: Option<u64>,
    /// `/dev/kvm`.
    pub device: Device,
    /// What KVM answered; `None` where it was not asked: no access, or the KVM of another architecture.
    pub kvm: Option<Answers>,
    /// `/proc/sys/vm/memory_failure_*`; `None`: they are not there.
    pub memory_failure: Option<MemoryFailure>,
    /// userfaultfd; `None`: this kernel has none.
    pub userfaultfd: Option<Userfaultfd>,
    /// Whether this process has CAP_SYS_ADMIN.
    pub sys_admin: Option<bool>,
    /// The sandbox of a vCPU's thread, tried: what it let through that it must not; or why it could not be tried.
    pub sandbox: Result<Sandbox, String>,
    /// QEMU for arm64.
    pub qemu: Option<Qemu>,
    /// The Linux Image that the lab boots.
    pub lab_kernel: Option<LabKernel>,
    /// The guest's Image: where it lies, or where it was looked for.
    pub guest: Artefact,
    /// The shim's Image.
    pub shim: Artefact,
    /// The static arm64 build of this command, which is the lab's init.
    pub init: Artefact,
    /// What each backend says when it is asked to start.
    pub backends: Backends,
    /// Whether this is the inside of a lab, where aborts that the host takes can be brought about.
    pub is_lab: bool,
    /// The routes that built-in scenarios use, of those that a runner need not have.
    pub offers: Vec<Offer>,
}

/// A route that this command has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// Its word in scenarios.
    pub route: String,
    /// A scenario with it runs on qemu too.
    pub on_qemu: bool,
}

/// `/dev/kvm`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Device {
    /// It opens.
    Opens,
    /// It is not there.
    Absent,
    /// It is there, and not for this user.
    Denied,
    /// It does not open, for another reason.
    Fails(String),
}

/// What an arm64 KVM answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answers {
    /// `KVM_CAP_ARM_NISV_TO_USER`, 177.
    pub nisv_to_user: bool,
    /// `KVM_CAP_ARM_INJECT_EXT_DABT`, 178.
    pub inject_ext_dabt: bool,
    /// `KVM_CAP_ARM_SEA_TO_USER`, 245.
    pub sea_to_user: bool,
    /// `KVM_CAP_ARM_INJECT_SERROR_ESR`, 158.
    pub inject_serror_esr: bool,
    /// `KVM_CAP_SET_GUEST_DEBUG`, 23.
    pub guest_debug: bool,
    /// `KVM_SET_VCPU_EVENTS` with bad arguments; or why it could not be tried.
    pub events: Result<Events, String>,
    /// What the runner would skip scenarios for, as it would say it.
    pub lacks: Vec<(Need, Missing)>,
    /// What a VM, made for the question and dropped again, says; or why there is none.
    pub machine: Result<Machine, String>,
}

/// What came of arguments to `KVM_SET_VCPU_EVENTS`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Events {
    /// Argument errors that were tried.
    pub errors: usize,
    /// Good arguments that were tried.
    pub good: usize,
    /// Those that this kernel takes all the same; this command refuses them.
    pub taken: Vec<String>,
    /// This kernel refuses a bad syndrome when it has given the data abort beside it.
    pub half_done: bool,
    /// Where this command and this kernel differ besides, or either from what is documented.
    pub differences: Vec<String>,
}

/// What only a VM can tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Machine {
    /// `ID_AA64PFR0_EL1.RAS` of a fresh vCPU; or why it cannot be read.
    pub ras: Result<u8, String>,
    /// A GICv3 can be made.
    pub gic_v3: bool,
    /// A GICv2 can be made.
    pub gic_v2: bool,
}

/// Memory failure, as sysctl shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MemoryFailure {
    /// `memory_failure_early_kill`.
    pub early_kill: Option<bool>,
    /// `memory_failure_recovery`.
    pub recovery: Option<bool>,
}

/// The sandbox, tried.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sandbox {
    /// How many forbidden things were tried.
    pub tried: usize,
    /// Those that did not end the process.
    pub let_through: Vec<String>,
}

/// userfaultfd, as far as it can be told without making one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Userfaultfd {
    /// `/proc/sys/vm/unprivileged_userfaultfd`.
    pub unprivileged: bool,
    /// `/dev/userfaultfd` is there.
    pub device: bool,
}

/// QEMU for arm64.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Qemu {
    /// The program.
    pub program: PathBuf,
    /// The first line of what it says of its version; or why it says nothing.
    pub version: Result<String, String>,
}

/// The lab's kernel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LabKernel {
    /// The Image.
    pub path: PathBuf,
    /// Its release, if its banner was found.
    pub release: Option<String>,
}

/// A file that the build makes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Artefact {
    /// Where it is looked for.
    pub path: PathBuf,
    /// Whether it is there.
    pub exists: bool,
}

/// The backends' own words. The guest's Image is not their business and not in here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Backends {
    /// This host's KVM.
    pub kvm: Result<(), Missing>,
    /// The lab.
    pub lab: Result<(), Missing>,
    /// The shim on plain QEMU.
    pub qemu: Result<(), Missing>,
}

impl Host {
    /// Whether this is a host whose own KVM could run the guest.
    #[must_use]
    pub fn is_arm64(&self) -> bool {
        self.architecture == "aarch64"
    }

    /// The running kernel's version.
    #[must_use]
    pub fn version(&self) -> Option<(u32, u32)> {
        version(self.release.as_deref()?)
    }
}

/// Major and minor number of a release.
#[must_use]
pub fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
