//! What a vCPU's thread may ask the kernel for once its guest runs, and why. Everything else ends the process.
//!
//! A call that is in here several times is allowed where any of its rows holds. To add one: a row, with its reason. The
//! scenarios show that nothing is missing, and `seawall doctor` that what is not in here ends the process.

use super::super::uapi::{
    KVM_GET_ONE_REG, KVM_GET_VCPU_EVENTS, KVM_RUN, KVM_SET_ONE_REG, KVM_SET_USER_MEMORY_REGION,
    KVM_SET_VCPU_EVENTS, UFFDIO_POISON, UFFDIO_REGISTER,
};

/// A call, and what its arguments must be like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowed {
    pub(super) call: libc::c_long,
    /// All of them.
    pub(super) only: &'static [Only],
}

/// What one argument must be like; counted from zero.
#[derive(Clone, Copy, Debug)]
pub(super) enum Only {
    /// A 32-bit argument is this.
    Is(u8, u32),
    /// Bits of a flag word are clear.
    Without(u8, u64),
    /// Bits of a flag word are set.
    With(u8, u64),
    /// It is this thread's id.
    ThisThread(u8),
    /// It is this process's id.
    ThisProcess(u8),
}

const fn may(call: libc::c_long, only: &'static [Only], because: &'static str) -> Allowed {
    // For whoever reads the table; the kernel does not ask.
    assert!(!because.is_empty());
    Allowed { call, only }
}

/// The number of an ioctl, or the advice of a madvise, or a signal.
const fn is(argument: u8, value: u32) -> Only {
    Only::Is(argument, value)
}

const EXECUTABLE: u64 = libc::PROT_EXEC as u64;
const ANONYMOUS: u64 = libc::MAP_ANONYMOUS as u64;
const BUS: u32 = libc::SIGBUS as u32;
const ABORT: u32 = libc::SIGABRT as u32;
const DONTNEED: u32 = libc::MADV_DONTNEED as u32;
const NOHUGEPAGE: u32 = libc::MADV_NOHUGEPAGE as u32;
const HWPOISON: u32 = libc::MADV_HWPOISON as u32;
const STANDARD_ERROR: u32 = libc::STDERR_FILENO as u32;

/// The list.
#[rustfmt::skip]
pub(super) const LIST: &[Allowed] = &[
    // The guest.
    may(libc::SYS_ioctl, &[is(1, KVM_RUN)], "the guest runs"),
    may(libc::SYS_ioctl, &[is(1, KVM_GET_ONE_REG)], "an abort is entered by the registers, and what came of it is read"),
    may(libc::SYS_ioctl, &[is(1, KVM_SET_ONE_REG)], "an abort is entered by the registers"),
    may(libc::SYS_ioctl, &[is(1, KVM_GET_VCPU_EVENTS)], "what is pending is read back"),
    may(libc::SYS_ioctl, &[is(1, KVM_SET_VCPU_EVENTS)], "an abort or an SError is given"),
    may(libc::SYS_ioctl, &[is(1, KVM_SET_USER_MEMORY_REGION)], "a page becomes a hole or read-only, or is given back"),
    // Poison.
    may(libc::SYS_ioctl, &[is(1, UFFDIO_REGISTER)], "a page is watched, so that it can be poisoned"),
    may(libc::SYS_ioctl, &[is(1, UFFDIO_POISON)], "a page is poisoned; the descriptor was opened before"),
    may(libc::SYS_madvise, &[is(2, NOHUGEPAGE)], "a page is poisoned alone"),
    may(libc::SYS_madvise, &[is(2, HWPOISON)], "a page is poisoned by memory_failure()"),
    may(libc::SYS_madvise, &[is(2, DONTNEED)], "a page is emptied before it is poisoned; the allocator gives memory back"),
    // Signals: a kick, a SIGBUS of the guest's, and one that is passed on.
    may(libc::SYS_rt_sigreturn, &[], "a handler returns"),
    may(libc::SYS_rt_sigprocmask, &[], "raise() and the end of a thread hold signals off"),
    may(libc::SYS_rt_sigaction, &[is(0, BUS)], "a SIGBUS that is not the guest's gets its default action back"),
    may(libc::SYS_tkill, &[Only::ThisThread(0), is(1, BUS)], "and is raised again"),
    may(libc::SYS_tgkill, &[Only::ThisProcess(0), Only::ThisThread(1), is(2, BUS)], "the same, by glibc"),
    may(libc::SYS_tkill, &[Only::ThisThread(0), is(1, ABORT)], "abort() says what it is, and not SIGSYS"),
    may(libc::SYS_tgkill, &[Only::ThisProcess(0), Only::ThisThread(1), is(2, ABORT)], "the same, by glibc"),
    may(libc::SYS_rt_tgsigqueueinfo, &[Only::ThisProcess(0), Only::ThisThread(1), is(2, BUS)], "BUS_OBJERR is sent as a host would"),
    may(libc::SYS_getpid, &[], "glibc's raise() asks whom"),
    may(libc::SYS_gettid, &[], "glibc's raise() asks whom"),
    may(libc::SYS_sigaltstack, &[], "the stack of the SIGBUS handler is taken back"),
    // The allocator.
    may(libc::SYS_brk, &[], "the transcript and the slots grow"),
    may(libc::SYS_mmap, &[Only::Without(2, EXECUTABLE), Only::With(3, ANONYMOUS)], "the same"),
    may(libc::SYS_mprotect, &[Only::Without(2, EXECUTABLE)], "glibc's heaps of a thread grow so"),
    may(libc::SYS_mremap, &[], "a list is moved as it grows"),
    may(libc::SYS_munmap, &[], "memory is given back"),
    // Threads.
    may(libc::SYS_clock_gettime, &[], "the time is read where the vDSO does not tell it"),
    may(libc::SYS_futex, &[], "what waits for this thread is woken"),
    may(libc::SYS_sched_yield, &[], "a channel whose other end is busy is tried again"),
    may(libc::SYS_restart_syscall, &[], "the kernel goes on with a wait after SIGSTOP and SIGCONT"),
    may(libc::SYS_exit, &[], "the thread ends"),
    // A panic costs its scenario and not the runner.
    may(libc::SYS_write, &[is(0, STANDARD_ERROR)], "a panic says why"),
    may(libc::SYS_close, &[], "a panic drops the VM here"),
];
