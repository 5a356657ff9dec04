//! What this host's KVM can do.

use std::io;

use kvm_ioctls::Kvm;

use super::uapi::{
    KVM_CAP_ARM_INJECT_EXT_DABT, KVM_CAP_ARM_INJECT_SERROR_ESR, KVM_CAP_ARM_NISV_TO_USER, KVM_CAP_ARM_PMU_V3,
    KVM_CAP_ARM_SEA_TO_USER, KVM_CAP_ARM_VM_IPA_SIZE, KVM_CAP_COALESCED_MMIO, KVM_CAP_NR_MEMSLOTS,
    KVM_CAP_READONLY_MEM,
};
use crate::backend::Missing;

/// The only one that ever was [Linux `Documentation/virt/kvm/api.rst` §4.1].
const API_VERSION: i32 = 12;

/// What was asked for once, at the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Abilities {
    /// `KVM_CAP_ARM_INJECT_SERROR_ESR`.
    pub(super) syndromes: bool,
    /// `KVM_CAP_ARM_PMU_V3`.
    pub(super) pmu: bool,
    /// `KVM_CAP_COALESCED_MMIO`.
    pub(super) coalesced: bool,
    /// `KVM_CAP_READONLY_MEM`.
    pub(super) read_only: bool,
    /// `KVM_CAP_ARM_SEA_TO_USER`.
    pub(super) sea_to_user: bool,
    /// `KVM_CAP_NR_MEMSLOTS`.
    pub(super) slots: u32,
    /// `KVM_CAP_ARM_VM_IPA_SIZE`.
    pub(super) ipa_bits: u32,
}

/// Opens `/dev/kvm`.
///
/// # Errors
/// [`Missing`], with what mends it.
pub(super) fn open() -> Result<(Kvm, Abilities), Missing> {
    let kvm = Kvm::new().map_err(|error| no_device(&error.into()))?;
    if kvm.get_api_version() != API_VERSION {
        return Err(Missing {
            what: "/dev/kvm is not KVM, or not of API version 12".into(),
            fix: "boot the host so that Linux starts at EL2 with CONFIG_KVM, or use --backend lab".into(),
        });
    }
    let ask = |capability: u32| u32::try_from(kvm.check_extension_raw(capability.into())).unwrap_or(0);
    for (capability, name) in [
        (KVM_CAP_ARM_NISV_TO_USER, "KVM_CAP_ARM_NISV_TO_USER"),
        (KVM_CAP_ARM_INJECT_EXT_DABT, "KVM_CAP_ARM_INJECT_EXT_DABT"),
    ] {
        if ask(capability) == 0 {
            return Err(Missing {
                what: format!("{name} (capability {capability}): this host's KVM cannot give a guest aborts"),
                fix: "boot the host with Linux 5.5 or later, or use --backend lab".into(),
            });
        }
    }
    let abilities = Abilities {
        syndromes: ask(KVM_CAP_ARM_INJECT_SERROR_ESR) != 0,
        pmu: ask(KVM_CAP_ARM_PMU_V3) != 0,
        read_only: ask(KVM_CAP_READONLY_MEM) != 0,
        sea_to_user: ask(KVM_CAP_ARM_SEA_TO_USER) != 0,
        coalesced: ask(KVM_CAP_COALESCED_MMIO) != 0,
        // [Linux Documentation/virt/kvm/api.rst §4.4] a host that does not say has 32.
        slots: Some(ask(KVM_CAP_NR_MEMSLOTS))
            .filter(|slots| *slots != 0)
            .unwrap_or(32),
        ipa_bits: Some(ask(KVM_CAP_ARM_VM_IPA_SIZE))
            .filter(|bits| *bits != 0)
            .unwrap_or(40),
    };
    Ok((kvm, abilities))
}

fn no_device(error: &io::Error) -> Missing {
    let (what, fix) = match error.kind() {
        io::ErrorKind::NotFound => (
            "/dev/kvm does not exist".to_owned(),
            "boot the host so that Linux starts at EL2 with CONFIG_KVM, or use --backend lab",
        ),
        io::ErrorKind::PermissionDenied => (
            "no permission to open /dev/kvm".to_owned(),
            "sudo usermod -aG kvm $USER   (then log in again)",
        ),
        _ => (format!("/dev/kvm cannot be opened: {error}"), "use --backend lab"),
    };
    Missing {
        what,
        fix: fix.to_owned(),
    }
}

/// What an SError with a syndrome needs and this host lacks.
pub(super) fn no_syndromes() -> Missing {
    Missing {
        what: format!(
            "KVM_CAP_ARM_INJECT_SERROR_ESR (capability {KVM_CAP_ARM_INJECT_SERROR_ESR}): this host's CPUs have no \
             FEAT_RAS, so an SError's syndrome cannot be chosen"
        ),
        fix: "use a host whose CPUs have FEAT_RAS, or --backend lab".into(),
    }
}

/// What a read-only slot needs and this host lacks.
pub(super) fn no_read_only_slots() -> Missing {
    Missing {
        what: format!("KVM_CAP_READONLY_MEM (capability {KVM_CAP_READONLY_MEM}): no read-only memory slots"),
        fix: "boot the host with a newer Linux, or use --backend lab".into(),
    }
}

/// What taking single pages out of a memory slot needs and this host lacks, if it lacks anything.
pub(super) fn large_pages() -> Option<Missing> {
    /// The guest's page.
    const PAGE: u64 = 4096;
    let bytes = super::needs::page_bytes()?;
    (bytes > PAGE).then(|| Missing {
        what: format!("a memory slot is made of this host's pages, which are {bytes} bytes"),
        fix: "boot a kernel with CONFIG_ARM64_4K_PAGES, or use --backend lab".into(),
    })
}

/// What KVM needs so as not to keep such an abort to itself, and this host lacks; the capability tells of it.
pub(super) fn no_ras() -> Missing {
    Missing {
        what: "FEAT_RAS: without it KVM keeps a synchronous external abort that the host takes to itself"
            .into(),
        fix: "use a host whose CPUs have FEAT_RAS, or --backend lab".into(),
    }
}

/// What an abort that the host takes needs, to be the runner's, and this host lacks.
pub(super) fn no_sea_exit() -> Missing {
    Missing {
        what: format!(
            "KVM_CAP_ARM_SEA_TO_USER (capability {KVM_CAP_ARM_SEA_TO_USER}): this host's KVM makes an SError of a \
             synchronous external abort that it takes"
        ),
        fix: "boot the host with Linux 6.19 or later; for the lab, name one with --kernel".into(),
    }
}

/// The running kernel's version, as (major, minor).
pub(super) fn linux_version() -> Option<(u32, u32)> {
    // The first line of this file is what uname(2) gives as release.
    parse_version(&std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?)
}

fn parse_version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_releases() {
        for (release, version) in [
            ("7.2.13+deb14-arm64\n", Some((7, 2))),
            ("6.12.95+deb12-arm64", Some((6, 12))),
            ("5.10-rc1", Some((5, 10))),
            ("", None),
            ("seven", None),
            ("7", None),
        ] {
            assert_eq!(parse_version(release), version, "{release}");
        }
    }
}
