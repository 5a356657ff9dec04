//! Numbers and layouts of KVM's interface that kvm-bindings 0.14.2 lacks or gives only on arm64.
//!
//! [Linux 7.2 `include/uapi/linux/kvm.h`, `arch/arm64/include/uapi/asm/kvm.h`] kvm-bindings stops at exit 39 and
//! capability 239. What stands here is plain numbers, so that it is tested on every host.

/// Capability: how many memory slots a VM may have.
pub(crate) const KVM_CAP_NR_MEMSLOTS: u32 = 10;
/// Capability: writes to an address are gathered without an exit for each.
pub(crate) const KVM_CAP_COALESCED_MMIO: u32 = 15;
/// Capability: memory slots that are read-only.
pub(crate) const KVM_CAP_READONLY_MEM: u32 = 81;
/// Capability: a PMUv3 for the guest.
pub(crate) const KVM_CAP_ARM_PMU_V3: u32 = 126;
/// Capability: an SError's syndrome can be chosen; only where the host's CPUs have FEAT_RAS.
pub(crate) const KVM_CAP_ARM_INJECT_SERROR_ESR: u32 = 158;
/// Capability: bits of an IPA that a VM may have at most.
pub(crate) const KVM_CAP_ARM_VM_IPA_SIZE: u32 = 165;
/// Capability: an access without a syndrome leaves for user space instead of failing `KVM_RUN` with ENOSYS.
pub(crate) const KVM_CAP_ARM_NISV_TO_USER: u32 = 177;
/// Capability: user space can inject a synchronous external data abort.
pub(crate) const KVM_CAP_ARM_INJECT_EXT_DABT: u32 = 178;
/// Capability: a VM's guest may begin at EL2 (Linux 6.16).
pub(crate) const KVM_CAP_ARM_EL2: u32 = 240;
/// Capability: synchronous external aborts that the host takes leave for user space (Linux 6.19).
pub(crate) const KVM_CAP_ARM_SEA_TO_USER: u32 = 245;

/// Exit: an access with no valid syndrome; [`ArmNisv`].
pub(crate) const KVM_EXIT_ARM_NISV: u32 = 28;
/// Exit: the host took a synchronous external abort on the guest's behalf; [`ArmSea`].
pub(crate) const KVM_EXIT_ARM_SEA: u32 = 41;
/// Exit: a 64-byte load or store; carries an [`ArmNisv`] too.
pub(crate) const KVM_EXIT_ARM_LDST64B: u32 = 42;

// Ioctls: `_IO`, `_IOW` and `_IOR` of 0xae with the size of what follows.
/// Runs the vCPU.
pub(crate) const KVM_RUN: u32 = 0xae80;
/// A memory slot, `struct kvm_userspace_memory_region`.
pub(crate) const KVM_SET_USER_MEMORY_REGION: u32 = 0x4020_ae46;
/// `struct kvm_one_reg`.
pub(crate) const KVM_GET_ONE_REG: u32 = 0x4010_aeab;
/// `struct kvm_one_reg`.
pub(crate) const KVM_SET_ONE_REG: u32 = 0x4010_aeac;
/// `struct kvm_reg_list`, whose length follows from its first word.
pub(crate) const KVM_GET_REG_LIST: u32 = 0xc008_aeb0;
/// [`VcpuEvents`].
pub(crate) const KVM_GET_VCPU_EVENTS: u32 = 0x8040_ae9f;
/// [`VcpuEvents`].
pub(crate) const KVM_SET_VCPU_EVENTS: u32 = 0x4040_aea0;

// [Linux `include/uapi/linux/userfaultfd.h`] Ioctls: `_IOWR(0xaa, n, size)`.
/// `struct uffdio_api`.
pub(crate) const UFFDIO_API: u32 = 0xc018_aa3f;
/// `struct uffdio_register`.
pub(crate) const UFFDIO_REGISTER: u32 = 0xc020_aa00;
/// `struct uffdio_poison`.
pub(crate) const UFFDIO_POISON: u32 = 0xc020_aa08;

/// Flag of a memory slot: stores leave for user space.
pub(crate) const KVM_MEM_READONLY: u32 = 1 << 1;

/// System event: PSCI SYSTEM_OFF.
pub(crate) const KVM_SYSTEM_EVENT_SHUTDOWN: u32 = 1;
/// System event: PSCI SYSTEM_RESET.
pub(crate) const KVM_SYSTEM_EVENT_RESET: u32 = 2;

/// `kvm_run.arm_nisv`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct ArmNisv {
    /// ISS of ESR_EL2, as much of it as KVM shows.
    pub(crate) esr_iss: u64,
    /// The IPA, with the offset in its page.
    pub(crate) fault_ipa: u64,
}

impl ArmNisv {
    /// From the union's first words.
    pub(crate) const fn from_words([esr_iss, fault_ipa]: [u64; 2]) -> Self {
        Self { esr_iss, fault_ipa }
    }
}

/// `kvm_run.arm_sea`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct ArmSea {
    /// ESR_EL2, as much of it as KVM shows.
    pub(crate) esr: u64,
    /// The guest's virtual address, where the syndrome's FnV is 0.
    pub(crate) gva: Option<u64>,
    /// The guest's physical address, page aligned, where KVM flags it.
    pub(crate) gpa: Option<u64>,
}

impl ArmSea {
    /// From the union's first words: flags, ESR, GVA, GPA.
    pub(crate) const fn from_words([flags, esr, gva, gpa]: [u64; 4]) -> Self {
        // KVM_EXIT_ARM_SEA_FLAG_GPA_VALID; FnV is bit 10 [Arm ARM D24.2.45].
        Self {
            esr,
            gva: if esr & (1 << 10) == 0 { Some(gva) } else { None },
            gpa: if flags & 1 == 1 { Some(gpa) } else { None },
        }
    }
}

/// `struct kvm_vcpu_events`, 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub(crate) struct VcpuEvents {
    /// An SError is pending, or is to be.
    pub(crate) serror_pending: u8,
    /// `serror_esr` counts.
    pub(crate) serror_has_esr: u8,
    /// A synchronous external data abort is to be taken now.
    pub(crate) ext_dabt_pending: u8,
    /// Zero.
    pub(crate) pad: [u8; 5],
    /// The SError's ISS.
    pub(crate) serror_esr: u64,
    /// Zero.
    pub(crate) reserved: [u32; 12],
}

const _: () = assert!(size_of::<VcpuEvents>() == 64 && align_of::<VcpuEvents>() == 8);

/// A vCPU's registers by the id that ONE_REG takes [Linux `Documentation/virt/kvm/api.rst` §4.68].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Register {
    /// The first general register: where the boot protocol puts the device tree.
    X0,
    /// PC.
    Pc,
    /// PSTATE, in SPSR's layout.
    Pstate,
    /// ELR_EL1.
    ElrEl1,
    /// SPSR_EL1.
    SpsrEl1,
    /// ESR_EL1.
    EsrEl1,
    /// FAR_EL1.
    FarEl1,
    /// TTBR0_EL1.
    Ttbr0El1,
    /// TTBR1_EL1.
    Ttbr1El1,
    /// TCR_EL1.
    TcrEl1,
    /// VBAR_EL1.
    VbarEl1,
    /// SCTLR_EL1.
    SctlrEl1,
    /// ID_AA64PFR1_EL1, as the guest sees it.
    IdAa64Pfr1El1,
    /// ID_AA64MMFR1_EL1, as the guest sees it.
    IdAa64Mmfr1El1,
    /// KVM_REG_ARM_PSCI_VERSION: major above bit 16, minor below.
    PsciVersion,
}

impl Register {
    /// The id.
    pub(crate) const fn id(self) -> u64 {
        // KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE, and the field's offset in `kvm_regs` over four.
        const CORE: u64 = 0x6030_0000_0010_0000;
        // KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG, and op0:op1:CRn:CRm:op2.
        const SYSTEM: u64 = 0x6030_0000_0013_0000;
        // KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_FW, and the register's number.
        const FIRMWARE: u64 = 0x6030_0000_0014_0000;
        match self {
            Self::X0 => CORE,
            Self::Pc => CORE | 0x40,
            Self::Pstate => CORE | 0x42,
            Self::ElrEl1 => CORE | 0x46,
            Self::SpsrEl1 => CORE | 0x48,
            Self::EsrEl1 => SYSTEM | system(0, 5, 2, 0),
            Self::FarEl1 => SYSTEM | system(0, 6, 0, 0),
            Self::Ttbr0El1 => SYSTEM | system(0, 2, 0, 0),
            Self::Ttbr1El1 => SYSTEM | system(0, 2, 0, 1),
            Self::TcrEl1 => SYSTEM | system(0, 2, 0, 2),
            Self::VbarEl1 => SYSTEM | system(0, 12, 0, 0),
            Self::SctlrEl1 => SYSTEM | system(0, 1, 0, 0),
            Self::IdAa64Pfr1El1 => SYSTEM | system(0, 0, 4, 1),
            Self::IdAa64Mmfr1El1 => SYSTEM | system(0, 0, 7, 1),
            Self::PsciVersion => FIRMWARE,
        }
    }
}

/// A system register with op0 = 3.
const fn system(op1: u64, crn: u64, crm: u64, op2: u64) -> u64 {
    (3 << 14) | (op1 << 11) | (crn << 7) | (crm << 3) | op2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_counts_only_where_kvm_says_so() {
        let sea = |flags, esr| {
            let ArmSea { gva, gpa, .. } = ArmSea::from_words([flags, esr, 0x5000, 0x8000_0000]);
            (gva, gpa)
        };
        assert_eq!(sea(0, 0x9200_0017), (Some(0x5000), None));
        assert_eq!(sea(1, 0x9200_0010), (Some(0x5000), Some(0x8000_0000)));
        assert_eq!(sea(u64::MAX - 1, 0x9200_0410), (None, None));
    }

    #[test]
    fn register_ids_are_the_ones_that_linux_lists() {
        for (register, id) in [
            (Register::X0, 0x6030_0000_0010_0000),
            (Register::Pc, 0x6030_0000_0010_0040),
            (Register::Pstate, 0x6030_0000_0010_0042),
            (Register::ElrEl1, 0x6030_0000_0010_0046),
            (Register::SpsrEl1, 0x6030_0000_0010_0048),
            (Register::EsrEl1, 0x6030_0000_0013_c290),
            (Register::FarEl1, 0x6030_0000_0013_c300),
            (Register::Ttbr0El1, 0x6030_0000_0013_c100),
            (Register::Ttbr1El1, 0x6030_0000_0013_c101),
            (Register::TcrEl1, 0x6030_0000_0013_c102),
            (Register::VbarEl1, 0x6030_0000_0013_c600),
            (Register::SctlrEl1, 0x6030_0000_0013_c080),
            (Register::IdAa64Pfr1El1, 0x6030_0000_0013_c021),
            (Register::IdAa64Mmfr1El1, 0x6030_0000_0013_c039),
            (Register::PsciVersion, 0x6030_0000_0014_0000),
        ] {
            assert_eq!(register.id(), id, "{register:?}");
        }
    }
}
