//! What a process of Linux does with its page, once it has announced it by the replay port.
#![expect(unsafe_code, reason = "mmap(2), and accesses that are meant to abort")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::ptr;

use seawall_replay::port;

use super::init::{fork, wait_for};
use super::orders::Orders;
use crate::pagemap::Pagemap;
use crate::qemu::PORT;
use crate::scenario::Does;

/// The exit code of a child that never came so far; above every error number of Linux.
pub(super) const SETUP_FAILED: i32 = 200;

const PAGE: usize = 0x1000;
/// What is in the page, so that reading zeros is no way out.
const PATTERN: u64 = 0x5ea5_e3a1_1111_5ea5;
/// `ret` [Arm ARM C6.2.295].
const RET: u32 = 0xd65f_03c0;
/// So long a task runs on, to be struck by what is pending: some hundred thousand instructions.
const TURNS: u64 = 100_000;

/// Announces a page and does with it as ordered. An error of a call is given by its number.
pub(super) fn as_ordered(orders: Orders) -> io::Result<()> {
    unhandled();
    let page = Mapped::anonymous()?;
    page.fill(if orders.does == Does::Fetch {
        RET.into()
    } else {
        PATTERN
    });
    if orders.does == Does::Fetch {
        page.make_executable()?;
    }
    let pipe = Pipe::new(orders.does)?;
    let sharer = match orders.does {
        Does::CopyOnWrite => Some(sleeper()?),
        _ => None,
    };
    let memory = OpenOptions::new().read(true).write(true).open("/dev/mem")?;
    let port = Mapped::of(&memory, PORT, port::SIZE)?;
    let frame = Pagemap::open()?.physical(page.address as usize)?;
    let announcement = orders.announcement(frame).to_word();
    let register = usize::try_from(orders.window.register().offset()).map_err(io::Error::other)?;
    match orders.does {
        Does::Call => port.store_by_kernel(register, announcement)?,
        _ => port.store(register, announcement),
    }
    let done = touch(orders.does, &page, &pipe);
    if let Some(sharer) = sharer {
        // SAFETY: a signal to a child of this process's own.
        unsafe { libc::kill(sharer, libc::SIGKILL) };
        wait_for(sharer)?;
    }
    done
}

/// Has SIGBUS kill this process at once: Rust's runtime handles it, and looks for an overflowed stack first.
pub(super) fn unhandled() {
    // SAFETY: SIG_DFL is no function that could be called.
    unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
}

fn touch(does: Does, page: &Mapped, pipe: &Pipe) -> io::Result<()> {
    let is_whole = match does {
        Does::Run | Does::Call => {
            (0..TURNS).fold(0, |sum, turn| std::hint::black_box(sum + turn)) == TURNS * (TURNS - 1) / 2
        }
        Does::Load => page.load(0x40) == PATTERN,
        Does::Store | Does::CopyOnWrite => {
            page.store(0x80, !PATTERN);
            page.load(0x80) == !PATTERN
        }
        Does::Fetch => {
            // SAFETY: the page holds `ret` in each of its words and is executable: a function without arguments and results.
            let function: extern "C" fn() = unsafe { std::mem::transmute(page.address) };
            function();
            true
        }
        Does::CopyIn => return pipe.write(page),
        Does::CopyOut => return pipe.read(page),
        Does::Futex => return page.wait_as_futex(),
    };
    if is_whole {
        Ok(())
    } else {
        Err(io::Error::other("not as it was"))
    }
}

/// A child that shares all pages until somebody writes.
fn sleeper() -> io::Result<libc::pid_t> {
    let child = fork()?;
    if child == 0 {
        loop {
            // SAFETY: waits for a signal, and takes nothing.
            unsafe { libc::pause() };
        }
    }
    Ok(child)
}

/// Memory that this process mapped.
pub(super) struct Mapped {
    address: *mut u8,
    length: usize,
}

impl Mapped {
    /// A page of plain memory.
    fn anonymous() -> io::Result<Self> {
        Self::map(PAGE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
    }

    /// A page of plain memory that children share.
    pub(super) fn shared() -> io::Result<Self> {
        Self::map(PAGE, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1, 0)
    }

    /// Gives it back.
    pub(super) fn unmap(self) {
        // SAFETY: the mapping is this value's own, which ends here.
        unsafe { libc::munmap(self.address.cast(), self.length) };
    }

    /// `length` bytes of a file.
    pub(super) fn of(file: &File, offset: u64, length: u64) -> io::Result<Self> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        Self::map(length, libc::MAP_SHARED, file.as_raw_fd(), offset)
    }

    fn map(length: usize, flags: libc::c_int, file: libc::c_int, offset: u64) -> io::Result<Self> {
        let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice moves no memory that anything here uses.
        let address = unsafe { libc::mmap(ptr::null_mut(), length, access, flags, file, offset) };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            address: address.cast(),
            length,
        })
    }

    fn fill(&self, word: u64) {
        // Both halves, so that a word of code fills the page.
        let word = if word >> 32 == 0 { word << 32 | word } else { word };
        (0..self.length)
            .step_by(8)
            .for_each(|offset| self.store(offset, word));
    }

    fn make_executable(&self) -> io::Result<()> {
        // SAFETY: the mapping is this process's own, and nothing refers to it.
        let done = unsafe {
            libc::mprotect(
                self.address.cast(),
                self.length,
                libc::PROT_READ | libc::PROT_EXEC,
            )
        };
        check(done == 0)
    }

    /// The word at `offset`.
    fn word(&self, offset: usize) -> *mut u64 {
        assert!(
            offset.is_multiple_of(8) && offset < self.length,
            "{offset:#x} is outside"
        );
        self.address.wrapping_add(offset).cast()
    }

    /// One store of eight bytes.
    pub(super) fn store(&self, offset: usize, word: u64) {
        // SAFETY: aligned and inside of the mapping. What hardware makes of it is the purpose.
        unsafe { self.word(offset).write_volatile(word) }
    }

    /// One store of eight bytes by the kernel, to what it takes for this process's memory [Linux `kernel/sys.c`,
    /// `prctl_get_tid_address`: `put_user`]. The value is one that the kernel keeps for a process and looks at when it ends:
    /// it is taken back.
    fn store_by_kernel(&self, offset: usize, word: u64) -> io::Result<()> {
        // SAFETY: both calls keep or take back a number; nothing is stored by it, as there is one thread.
        unsafe { libc::syscall(libc::SYS_set_tid_address, word) };
        // SAFETY: eight bytes inside of the mapping.
        let done = unsafe { libc::prctl(libc::PR_GET_TID_ADDRESS, self.word(offset)) };
        // SAFETY: as above.
        unsafe { libc::syscall(libc::SYS_set_tid_address, 0_u64) };
        check(done == 0)
    }

    /// One load of eight bytes.
    pub(super) fn load(&self, offset: usize) -> u64 {
        // SAFETY: as for `store`.
        unsafe { self.word(offset).read_volatile() }
    }

    /// Has the kernel compare the first word with one that is not there: EAGAIN says that it could.
    fn wait_as_futex(&self) -> io::Result<()> {
        const FUTEX_WAIT_PRIVATE: libc::c_int = 128;
        const ANOTHER: u32 = 0;
        let timeout = ptr::null::<libc::timespec>();
        // SAFETY: the word lies in the mapping; the call reads it and, as it differs, does not wait.
        let done = unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.address,
                FUTEX_WAIT_PRIVATE,
                ANOTHER,
                timeout,
            )
        };
        match check(done != -1) {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Ok(()),
            other => other,
        }
    }
}

/// A pipe, with a page's bytes in it if they are to be read.
struct Pipe {
    from: libc::c_int,
    to: libc::c_int,
}

impl Pipe {
    fn new(does: Does) -> io::Result<Self> {
        let mut ends = [0; 2];
        // SAFETY: two integers, which live through the call.
        check(unsafe { libc::pipe(ends.as_mut_ptr()) } == 0)?;
        let pipe = Self {
            from: ends[0],
            to: ends[1],
        };
        if does == Does::CopyOut {
            pipe.write(&Mapped::anonymous()?)?;
        }
        Ok(pipe)
    }

    fn write(&self, page: &Mapped) -> io::Result<()> {
        // SAFETY: the bytes are the mapping's.
        check(unsafe { libc::write(self.to, page.address.cast(), PAGE / 2) } >= 0)
    }

    fn read(&self, page: &Mapped) -> io::Result<()> {
        // SAFETY: the bytes are the mapping's, to which nothing refers.
        check(unsafe { libc::read(self.from, page.address.cast(), PAGE / 2) } >= 0)
    }
}

/// The error of the call that was just made, if it failed.
fn check(succeeded: bool) -> io::Result<()> {
    if succeeded {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
