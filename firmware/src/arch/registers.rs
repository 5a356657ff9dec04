#![expect(
    unsafe_code,
    reason = "system registers are read and written by instructions of their own"
)]
//! System registers that the register crate does not have, and the few that the abort path reads.

use aarch64_cpu::registers::{ESR_EL1, FAR_EL1, ID_AA64PFR0_EL1, TTBR0_EL1};
use tock_registers::interfaces::{Readable, Writeable};

/// Reads a register by its name in the assembler.
macro_rules! read {
    ($name:literal) => {{
        let value: u64;
        // SAFETY: the register exists wherever this is reached, and reading it changes nothing.
        unsafe {
            core::arch::asm!(concat!("mrs {}, ", $name), out(reg) value, options(nomem, nostack, preserves_flags))
        };
        value
    }};
}
pub(crate) use read;

/// ESR_EL1.
#[inline]
pub(crate) fn syndrome() -> u64 {
    ESR_EL1.get()
}

/// FAR_EL1.
#[inline]
pub(crate) fn fault_address() -> u64 {
    FAR_EL1.get()
}

/// ELR_EL1.
pub(crate) fn return_address() -> u64 {
    read!("elr_el1")
}

/// Whether implicit error synchronisation stands at each entry to EL1 and each return: SCTLR_EL1.IESB, bit 21, which the
/// boot sets where there is FEAT_IESB [Arm ARM D24.2.138].
pub(crate) fn synchronises_implicitly() -> bool {
    read!("sctlr_el1") & (1 << 21) != 0
}

/// Whether FEAT_RAS is there: DISR_EL1 exists, and ESB is more than a hint [Arm ARM D24.2.73, RAS bits 31:28].
pub(crate) fn has_ras() -> bool {
    (ID_AA64PFR0_EL1.get() >> 28) & 0xf != 0
}

/// Whether PFAR_EL1 is there: ID_AA64PFR1_EL1.PFAR, bits 63:60.
pub(crate) fn has_pfar() -> bool {
    read!("id_aa64pfr1_el1") >> 60 != 0
}

/// PFAR_EL1; only where [`has_pfar`].
#[inline]
pub(crate) fn physical_fault_address() -> u64 {
    read!("S3_0_C6_C0_5")
}

/// Synchronises errors, and gives and clears what was deferred: ESB, then DISR_EL1 [Arm ARM A2.2.8, D24.2.37]. Only
/// with FEAT_RAS.
#[inline(always)]
pub(crate) fn synchronise_errors() -> u64 {
    let deferred: u64;
    // SAFETY: ESB is `hint #16`; DISR_EL1 exists with FEAT_RAS. No memory clobber is wanted: what an error
    // touches is not Rust's.
    unsafe {
        core::arch::asm!("hint #16", "mrs {}, S3_0_C12_C1_1", out(reg) deferred, options(nomem, nostack, preserves_flags));
    }
    deferred
}

/// Synchronises errors; what that defers stays in DISR_EL1. Without FEAT_RAS it does nothing.
pub(crate) fn defer_errors() {
    // SAFETY: ESB is a hint.
    unsafe { core::arch::asm!("hint #16", options(nomem, nostack, preserves_flags)) }
}

/// Clears DISR_EL1. Only with FEAT_RAS.
pub(crate) fn clear_deferred() {
    // SAFETY: the deferred error has been read and is being handled.
    unsafe { core::arch::asm!("msr S3_0_C12_C1_1, xzr", options(nomem, nostack, preserves_flags)) }
}

/// Whether an SError is pending: ISR_EL1.A, bit 8 [Arm ARM D24.2.86].
pub(crate) fn serror_is_pending() -> bool {
    read!("isr_el1") & (1 << 8) != 0
}

/// Whether the CPU has physical addresses of 41 bits: ID_AA64MMFR0_EL1.PARange, bits 3:0, from 42 bits on.
pub(crate) fn has_41_bits() -> bool {
    read!("id_aa64mmfr0_el1") & 0xf >= 3
}

/// Whether ASIDs have 16 bits: ID_AA64MMFR0_EL1.ASIDBits, bits 7:4. The boot has set TCR_EL1.AS by the same field.
pub(crate) fn has_wide_asids() -> bool {
    (read!("id_aa64mmfr0_el1") >> 4) & 0xf == 2
}

/// Has synchronous external aborts taken to the SError vector, by SCTLR2_EL1.EASE; false without FEAT_DoubleFault2
/// (ID_AA64PFR1_EL1.DF2, bits 59:56) and without the register (ID_AA64MMFR3_EL1.SCTLRX, bits 7:4).
pub(crate) fn take_aborts_as_serrors() -> bool {
    const EASE: u64 = 1 << 5;
    let pfr1 = read!("id_aa64pfr1_el1");
    let mmfr3 = read!("S3_0_C0_C7_3");
    if (pfr1 >> 56) & 0xf == 0 || (mmfr3 >> 4) & 0xf == 0 {
        return false;
    }
    let control = read!("S3_0_C1_C0_3") | EASE;
    // SAFETY: the register exists, and both vectors tell an abort by its class.
    unsafe {
        core::arch::asm!("msr S3_0_C1_C0_3, {}", "isb", in(reg) control, options(nomem, nostack, preserves_flags));
    }
    true
}

/// The main ID of the CPU.
pub(crate) fn cpu_id() -> u64 {
    read!("midr_el1")
}

/// Uses these vectors from now on.
pub(crate) fn use_vectors(ras: bool) {
    unsafe extern "C" {
        static vectors_plain: u8;
        static vectors_ras: u8;
    }
    let table = if ras {
        &raw const vectors_ras
    } else {
        &raw const vectors_plain
    };
    aarch64_cpu::registers::VBAR_EL1.set(table as u64);
    aarch64_cpu::asm::barrier::isb(aarch64_cpu::asm::barrier::SY);
}

/// Where an exception from EL1 enters: the second group of VBAR_EL1's table [Arm ARM D1.3.5].
pub(crate) fn vectors() -> u64 {
    aarch64_cpu::registers::VBAR_EL1.get() + 0x200
}

/// SP_EL0, the interrupted task's stack pointer.
#[inline]
pub(crate) fn task_stack() -> u64 {
    read!("sp_el0")
}

/// Sets SP_EL0.
#[inline]
pub(crate) fn set_task_stack(stack: u64) {
    // SAFETY: the kernel runs on SP_EL1 and never uses SP_EL0 itself.
    unsafe { core::arch::asm!("msr sp_el0, {}", in(reg) stack, options(nomem, nostack, preserves_flags)) }
}

/// Sets TTBR0_EL1: another address space, with its ASID.
#[inline]
pub(crate) fn set_address_space(ttbr0: u64) {
    TTBR0_EL1.set(ttbr0);
    aarch64_cpu::asm::barrier::isb(aarch64_cpu::asm::barrier::SY);
}

/// Forgets every translation of one address space [Arm ARM D8.17.5]. No table of it is read.
#[inline]
pub(crate) fn forget_address_space(asid: u16) {
    let operand = u64::from(asid) << 48;
    // SAFETY: invalidation drops cached translations, which changes no value.
    unsafe {
        core::arch::asm!("dsb ishst", "tlbi aside1is, {}", "dsb ish", "isb", in(reg) operand, options(nostack, preserves_flags));
    }
}

/// Forgets the translation of one page of an address space [Arm ARM D8.17.5].
#[inline]
pub(crate) fn forget_page(asid: u16, address: u64) {
    let operand = u64::from(asid) << 48 | (address >> 12) & 0x0fff_ffff_ffff;
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("dsb ishst", "tlbi vae1is, {}", "dsb ish", "isb", in(reg) operand, options(nostack, preserves_flags));
    }
}

/// Forgets every translation.
pub(crate) fn forget_all() {
    // SAFETY: as above.
    unsafe {
        core::arch::asm!(
            "dsb ishst",
            "tlbi vmalle1is",
            "dsb ish",
            "isb",
            options(nostack, preserves_flags)
        )
    }
}

/// Waits for an interrupt, masked or not.
pub(crate) fn wait() {
    aarch64_cpu::asm::wfi();
}
