//! What poisons memory of this process.
#![expect(
    unsafe_code,
    reason = "madvise, userfaultfd and its ioctls have no safe form in std"
)]
#![cfg_attr(
    not(target_arch = "aarch64"),
    expect(dead_code, reason = "memory is poisoned where KVM is")
)]

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use super::slots::PAGE;
use super::uapi::{UFFDIO_API, UFFDIO_POISON, UFFDIO_REGISTER};
use crate::backend::Missing;
use crate::pagemap::Pagemap;

// [Linux `include/uapi/linux/userfaultfd.h`]
const UFFD_API: u64 = 0xaa;
const UFFD_FEATURE_POISON: u64 = 1 << 14;
const UFFDIO_REGISTER_MODE_MISSING: u64 = 1;
const UFFD_USER_MODE_ONLY: libc::c_int = 1;

const PAGE_BYTES: usize = 0x1000;
const _: () = assert!(PAGE_BYTES as u64 == PAGE);

/// Poisons a page by the host's handling of memory failures. The thread that asks is sent a SIGBUS at once.
///
/// # Safety
/// `page` must be aligned and in a private mapping, which nobody reads there any more.
pub(super) unsafe fn by_memory_failure(page: *mut u8) -> io::Result<()> {
    // SAFETY: the caller has said so.
    unsafe { advise(page, PAGE_BYTES, libc::MADV_HWPOISON) }
}

/// Gives a page back to the host: what was in it is gone, and whoever touches it next gets another.
///
/// # Safety
/// `page` must be aligned and in a private anonymous mapping, and nobody may miss what was in it.
pub(super) unsafe fn discard(page: *mut u8) -> io::Result<()> {
    // SAFETY: the caller has said so.
    unsafe { advise(page, PAGE_BYTES, libc::MADV_DONTNEED) }
}

/// Has the host make no large pages of this memory, now or later. What is in it stays.
///
/// # Safety
/// The range must be aligned, and a mapping of this process.
pub(super) unsafe fn keep_small(start: *mut u8, bytes: usize) -> io::Result<()> {
    // SAFETY: the caller has said so; this advice changes nothing that is in memory.
    unsafe { advise(start, bytes, libc::MADV_NOHUGEPAGE) }
}

/// # Safety
/// The range must be a mapping of this process, and nobody may miss what the advice takes from it.
unsafe fn advise(start: *mut u8, bytes: usize, advice: libc::c_int) -> io::Result<()> {
    // SAFETY: the caller gives memory that it may lose.
    match unsafe { libc::madvise(start.cast(), bytes, advice) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Takes host pages offline as a patrol scrubber's find would: nobody is touching them, and with the early-kill policy
/// their owner is told at once.
///
/// It has a thread of its own, for which the policy is set: the sandbox lets a vCPU's thread do neither.
#[derive(Debug)]
pub(super) struct Offline {
    ask: Sender<usize>,
    answers: Receiver<io::Result<()>>,
}

/// [Linux `Documentation/ABI/testing/sysfs-memory-page-offline`]
const HARD_OFFLINE: &str = "/sys/devices/system/memory/hard_offline_page";

impl Offline {
    /// Opens what it takes.
    pub(super) fn open() -> io::Result<Self> {
        let named = |path: &str, error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"));
        let frames = Pagemap::open()?;
        let mut pages = File::options();
        let pages = pages
            .write(true)
            .open(HARD_OFFLINE)
            .map_err(|error| named(HARD_OFFLINE, error))?;
        let (ask, asked) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        thread::Builder::new().name("offline".into()).spawn(move || {
            let policy = be_told_early();
            for page in asked {
                let policy = policy.as_ref().map_err(|error| io::Error::from(error.kind()));
                let done = policy.and_then(|()| take_offline(&frames, &pages, page));
                if answer.send(done).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { ask, answers })
    }

    /// What the route needs and this host lacks, if it lacks anything.
    pub(super) fn missing() -> Option<Missing> {
        let error = File::options().write(true).open(HARD_OFFLINE).err()?;
        Some(Missing {
            what: format!("{HARD_OFFLINE}: {error}"),
            fix: "boot a kernel with CONFIG_MEMORY_FAILURE and CONFIG_MEMORY_HOTPLUG, run as root, or use --backend lab"
                .into(),
        })
    }

    /// Takes the page offline; what was in it is gone. When this returns, the owner has been told.
    ///
    /// # Safety
    /// `page` must be aligned and in a private mapping, which nobody reads there any more.
    pub(super) unsafe fn poison(&self, page: *mut u8) -> io::Result<()> {
        // The page has to be there, and written to: the shared page of zeros is not to be lost.
        // SAFETY: the caller gives a page of its own.
        unsafe { page.write_volatile(0) };
        let gone = || io::Error::other("the thread for it has ended");
        self.ask.send(page.expose_provenance()).map_err(|_| gone())?;
        self.answers.recv().map_err(|_| gone())?
    }
}

/// Has this thread told of memory that its process loses, before anyone touches it.
fn be_told_early() -> io::Result<()> {
    let (set, early) = (libc::PR_MCE_KILL_SET, libc::PR_MCE_KILL_EARLY);
    // SAFETY: the call takes integers alone; the policy is this thread's own and ends with it.
    match unsafe { libc::prctl(libc::PR_MCE_KILL, set, early, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Takes the frame offline that this process has at this address.
fn take_offline(frames: &Pagemap, mut pages: &File, page: usize) -> io::Result<()> {
    pages.write_all(format!("{:#x}", frames.physical(page)?).as_bytes())
}

/// What the `hwpoison` route needs and this host lacks, if it lacks anything.
pub(super) fn missing_memory_failure() -> Option<Missing> {
    // What memory failure handling adds to /proc; the CPU's RAS features say nothing about it.
    if !std::path::Path::new("/proc/sys/vm/memory_failure_early_kill").exists() {
        return Some(Missing {
            what: "memory failure handling in the host's kernel (CONFIG_MEMORY_FAILURE)".into(),
            fix: "boot a kernel with CONFIG_MEMORY_FAILURE, or use --backend lab".into(),
        });
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    (!may_administrate(&status)).then(|| Missing {
        what: "CAP_SYS_ADMIN, which madvise(MADV_HWPOISON) asks for".into(),
        fix: "run as root, use route = \"uffd\", or use --backend lab".into(),
    })
}

/// Whether CAP_SYS_ADMIN, bit 21, is among the effective capabilities.
fn may_administrate(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & (1 << 21) != 0)
}

/// A userfaultfd that can poison. What it has poisoned stays so as long as it is mapped.
#[derive(Debug)]
pub(super) struct Userfault(OwnedFd);

impl Userfault {
    /// Opens one. Faults of the kernel's are none of its business, so no privilege is asked for.
    pub(super) fn open() -> io::Result<Self> {
        let flags = libc::O_CLOEXEC | libc::O_NONBLOCK | UFFD_USER_MODE_ONLY;
        // SAFETY: the call takes no pointer.
        let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, flags) };
        let Some(fd) = i32::try_from(fd).ok().filter(|fd| *fd >= 0) else {
            return Err(io::Error::last_os_error());
        };
        // SAFETY: the descriptor was just opened, and nobody else has it.
        let userfault = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        userfault.call(UFFDIO_API, &mut [UFFD_API, UFFD_FEATURE_POISON, 0])?;
        Ok(userfault)
    }

    /// What the route needs and this host lacks, if it lacks anything.
    pub(super) fn missing() -> Option<Missing> {
        let error = Self::open().err()?;
        let (what, fix) = match error.raw_os_error() {
            Some(libc::ENOSYS) => (
                "userfaultfd (CONFIG_USERFAULTFD)".to_owned(),
                "boot a kernel with CONFIG_USERFAULTFD, or use --backend lab",
            ),
            Some(libc::EINVAL) => (
                "UFFD_FEATURE_POISON: this kernel's userfaultfd cannot poison".to_owned(),
                "boot the host with Linux 6.6 or later, or use --backend lab",
            ),
            Some(libc::EPERM) => (
                "permission for userfaultfd".to_owned(),
                "run outside of the sandbox that forbids the call, or use --backend lab",
            ),
            _ => (format!("userfaultfd: {error}"), "use --backend lab"),
        };
        Some(Missing {
            what,
            fix: fix.to_owned(),
        })
    }

    /// Poisons a page; what was in it is gone.
    ///
    /// # Safety
    /// `page` must be aligned and in a private anonymous mapping, and nobody may read there any more.
    pub(super) unsafe fn poison(&self, page: *mut u8) -> io::Result<()> {
        let start = page.expose_provenance() as u64;
        // SAFETY: the caller gives up the page; a page that is not present and not part of a huge one is what can be
        // poisoned.
        unsafe {
            advise(page, PAGE_BYTES, libc::MADV_NOHUGEPAGE)?;
            advise(page, PAGE_BYTES, libc::MADV_DONTNEED)?;
        }
        self.call(
            UFFDIO_REGISTER,
            &mut [start, PAGE, UFFDIO_REGISTER_MODE_MISSING, 0],
        )?;
        self.call(UFFDIO_POISON, &mut [start, PAGE, 0, 0])
    }

    fn call<const WORDS: usize>(&self, request: u32, argument: &mut [u64; WORDS]) -> io::Result<()> {
        // SAFETY: each request is followed by a structure of 64-bit integers of the length that the request itself states
        // (bits 29:16), which is the array's, and which lives through the call.
        let done = unsafe { libc::ioctl(self.0.as_raw_fd(), number(request), argument.as_mut_ptr()) };
        if done == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

/// libc has ioctl numbers as signed with musl, and wide elsewhere.
#[cfg(target_env = "musl")]
pub(super) const fn number(request: u32) -> libc::Ioctl {
    request.cast_signed()
}

#[cfg(not(target_env = "musl"))]
pub(super) fn number(request: u32) -> libc::Ioctl {
    request.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_to_poison_is_read_from_the_effective_capabilities() {
        assert!(may_administrate("CapPrm:\t0\nCapEff:\t000001ffffffffff\n"));
        assert!(!may_administrate(
            "CapPrm:\t000001ffffffffff\nCapEff:\t0000000000000000\n"
        ));
        assert!(!may_administrate("CapEff:\tx\n") && !may_administrate(""));
    }

    #[test]
    fn a_poisoned_page_cannot_be_read_and_its_neighbours_can() {
        if let Some(missing) = Userfault::missing() {
            eprintln!("not tested: {}", missing.what);
            return;
        }
        let userfault = Userfault::open().unwrap();
        let bytes = 3 * PAGE_BYTES;
        let (protection, kind) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        );
        // SAFETY: a new mapping, of which nobody else knows; it is never given back. Only its middle is poisoned, and that
        // is then read by the kernel alone, which can fail.
        unsafe {
            let memory = libc::mmap(std::ptr::null_mut(), bytes, protection, kind, -1, 0).cast::<u8>();
            memory.write_bytes(7, bytes);
            userfault.poison(memory.add(PAGE_BYTES)).unwrap();
            let mut ends = [0; 2];
            assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK), 0);
            let read = |page: usize| libc::write(ends[1], memory.add(page * PAGE_BYTES).cast(), 8);
            assert_eq!((read(0), read(1), read(2)), (8, -1, 8));
            let own = crate::kvm::own::OwnMemory::open().unwrap();
            let mut copy = [0; PAGE_BYTES];
            let mut copied = |page: usize| {
                own.read((memory.addr() + page * PAGE_BYTES) as u64, &mut copy)
                    .is_ok()
            };
            assert_eq!((copied(0), copied(1), copied(2)), (true, false, true));
            assert_eq!(copy, [7; PAGE_BYTES]);
            assert_eq!(memory.add(PAGE_BYTES - 1).read(), 7);
        }
    }
}
