//! What an injection or a VM needs of its host beside what every run needs. The runner skips a scenario for it, and
//! `seawall doctor` says by the same which routes a host has.

#[cfg(any(test, all(target_arch = "aarch64", target_os = "linux")))]
use {
    crate::backend::VmOptions,
    seawall_replay::plan::{Injection, Poison},
};

/// Something that a host may lack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// Pages of 4 KiB: a memory slot is made of the host's.
    SmallPages,
    /// `KVM_CAP_ARM_INJECT_SERROR_ESR`.
    Syndromes,
    /// `KVM_CAP_READONLY_MEM`.
    ReadOnlySlots,
    /// `KVM_CAP_ARM_VM_IPA_SIZE` above that of a usual VM.
    Range,
    /// `madvise(MADV_HWPOISON)`.
    MemoryFailure,
    /// Pages that are taken offline by the host.
    HardOffline,
    /// `UFFDIO_POISON`.
    Userfault,
    /// `KVM_CAP_ARM_SEA_TO_USER`.
    SeaExit,
    /// FEAT_RAS, without which KVM keeps to itself the aborts that the host takes.
    Ras,
    /// Something that brings about an abort that the host takes.
    Outside,
    /// `KVM_CAP_ARM_EL2`.
    Nesting,
    /// FEAT_DoubleFault2, which a vCPU says.
    DoubleFault2,
}

impl Need {
    /// All that can be asked for without a vCPU.
    #[cfg(all(target_arch = "aarch64", target_os = "linux"))]
    pub(crate) const OF_THE_HOST: [Self; 11] = [
        Self::SmallPages,
        Self::Syndromes,
        Self::ReadOnlySlots,
        Self::Range,
        Self::MemoryFailure,
        Self::HardOffline,
        Self::Userfault,
        Self::SeaExit,
        Self::Ras,
        Self::Outside,
        Self::Nesting,
    ];

    /// What an injection needs, in the order in which it is asked for.
    #[cfg(any(test, all(target_arch = "aarch64", target_os = "linux")))]
    pub(crate) const fn of(injection: Injection) -> &'static [Self] {
        match injection {
            Injection::SError { syndrome: Some(_) }
            | Injection::SErrorLater {
                syndrome: Some(_), ..
            } => &[Self::Syndromes],
            Injection::HoleBesideSError { .. } => &[Self::SmallPages, Self::Syndromes],
            Injection::ReadOnly => &[Self::SmallPages, Self::ReadOnlySlots],
            Injection::Left => &[Self::Range],
            Injection::Poison(Poison::MemoryFailure) => &[Self::SmallPages, Self::MemoryFailure],
            Injection::Poison(Poison::AnnouncedMemoryFailure) => {
                &[Self::SmallPages, Self::MemoryFailure, Self::HardOffline]
            }
            Injection::Poison(Poison::Userfault) => &[Self::SmallPages, Self::Userfault],
            Injection::HostAbort => &[Self::SmallPages, Self::SeaExit, Self::Ras, Self::Outside],
            Injection::Hole
            | Injection::Mend
            | Injection::Patrol { .. }
            | Injection::Poison(Poison::ObjectError { .. }) => &[Self::SmallPages],
            Injection::SError { syndrome: None }
            | Injection::SErrorLater { syndrome: None, .. }
            | Injection::Abort { .. }
            | Injection::AbortBySErrorVector { .. }
            | Injection::Save(_)
            | Injection::Draw { .. }
            | Injection::Nothing => &[],
        }
    }

    /// What a VM needs.
    #[cfg(any(test, all(target_arch = "aarch64", target_os = "linux")))]
    pub(crate) const fn of_vm(vm: VmOptions) -> &'static [Self] {
        match (vm.el2, vm.ease) {
            (true, true) => &[Self::Nesting, Self::DoubleFault2],
            (true, false) => &[Self::Nesting],
            (false, true) => &[Self::DoubleFault2],
            (false, false) => &[],
        }
    }
}

/// Bytes of this host's pages.
pub(crate) fn page_bytes() -> Option<u64> {
    std::fs::read("/proc/self/auxv")
        .ok()
        .and_then(|auxv| page_size(&auxv))
}

/// [Linux `include/uapi/linux/auxvec.h`] pairs of words; AT_PAGESZ is 6.
fn page_size(auxv: &[u8]) -> Option<u64> {
    const WORD: usize = size_of::<usize>();
    let word = |bytes: &[u8]| bytes.try_into().ok().map(usize::from_ne_bytes);
    auxv.chunks_exact(2 * WORD)
        .find_map(|pair| {
            let (kind, value) = pair.split_at(WORD);
            (word(kind)? == 6).then(|| word(value))?
        })
        .and_then(|bytes| u64::try_from(bytes).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_size_is_read_from_what_the_kernel_writes() {
        let auxv: Vec<u8> = [33_usize, 0x7fff_0000, 6, 0x1_0000, 0, 0]
            .into_iter()
            .flat_map(usize::to_ne_bytes)
            .collect();
        assert_eq!(page_size(&auxv), Some(0x1_0000));
        assert_eq!(page_size(auxv.get(..20).unwrap()), None);
        assert_eq!(page_size(&[]), None);
    }
}
