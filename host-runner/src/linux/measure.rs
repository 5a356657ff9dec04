//! What the same abort costs in Linux, and an empty call: counted by the virtual counter while QEMU gives one nanosecond
//! to each instruction (`-icount shift=0`).
#![expect(
    unsafe_code,
    reason = "a signal handler, and accesses that are meant to abort"
)]

use std::fs::OpenOptions;
use std::io;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use super::init::{Child, Line, exit, fork, wait_for};
use super::touch::{Mapped, unhandled};
use crate::qemu::PORT;

/// Repeats; the dearest counts, as for the guest's own figures.
const ROUNDS: u64 = 5;
/// Before them, so that all code and tables are there: the guest's own figures have no page faults in them either.
const FIRST: u64 = 2;
/// Calls in a row, so that the counter's granule does not count.
const CALLS: u64 = 1000;

/// When the abort's instruction began, by the counter.
static BEGAN: AtomicU64 = AtomicU64::new(0);
/// What reading the counter itself costs.
static READING: AtomicU64 = AtomicU64::new(0);

/// All figures, a line each.
pub(super) fn all(line: &mut Line) -> io::Result<()> {
    READING.store((0..100).map(|_| reading()).min().unwrap_or(0), Ordering::Relaxed);
    for _ in 0..ROUNDS {
        line.say(&format!("measure call {}", call()));
    }
    let memory = OpenOptions::new().read(true).write(true).open("/dev/mem")?;
    // Without a shim nothing answers there: an access is a synchronous external abort.
    let nothing = Mapped::of(&memory, PORT, 0x1000)?;
    for round in 0..FIRST + ROUNDS {
        let (handler, kill) = (to_handler(&nothing)?, to_parent(&nothing)?);
        if round >= FIRST {
            line.say(&format!("measure handler {handler}"));
            line.say(&format!("measure kill {kill}"));
        }
    }
    Ok(())
}

/// The virtual counter in nanoseconds, which are instructions: the kernel's vDSO reads CNTVCT_EL0, without a call.
fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the structure lives through the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_RAW, &raw mut time) };
    let [seconds, rest] = [time.tv_sec, time.tv_nsec].map(|part| u64::try_from(part).unwrap_or(0));
    seconds.wrapping_mul(1_000_000_000).wrapping_add(rest)
}

fn reading() -> u64 {
    let start = now();
    now().saturating_sub(start)
}

/// From then to now, without the reading of the counter itself.
fn since(start: u64) -> u64 {
    now()
        .saturating_sub(start)
        .saturating_sub(READING.load(Ordering::Relaxed))
}

/// An empty call: getppid(2), which libc does not keep.
fn call() -> u64 {
    let start = now();
    for _ in 0..CALLS {
        // SAFETY: takes nothing and changes nothing.
        unsafe { libc::syscall(libc::SYS_getppid) };
    }
    since(start) / CALLS
}

/// From the load to the first instruction of the process's own handler, in a child: the handler tells it by a pipe.
fn to_handler(nothing: &Mapped) -> io::Result<u64> {
    let mut ends = [0; 2];
    // SAFETY: two integers, which live through the call.
    if unsafe { libc::pipe(ends.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let child = fork()?;
    if child == 0 {
        TOLD_BY.store(ends[1], Ordering::Relaxed);
        handle(libc::SIGBUS)?;
        BEGAN.store(now(), Ordering::Relaxed);
        nothing.load(0);
        exit(1);
    }
    let mut cost = [0; 8];
    let expected = Child::Exited(0);
    let ended = wait_for(child)?;
    // SAFETY: eight bytes, which live through the call; the descriptors are open and this function's own.
    let read = unsafe {
        let read = if ended == expected {
            libc::read(ends[0], cost.as_mut_ptr().cast(), cost.len())
        } else {
            0
        };
        libc::close(ends[0]);
        libc::close(ends[1]);
        read
    };
    if read == 8 {
        Ok(u64::from_le_bytes(cost))
    } else {
        Err(unexpected(ended, expected))
    }
}

/// The pipe's end for the handler.
static TOLD_BY: AtomicI32 = AtomicI32::new(-1);

extern "C" fn handler(_: libc::c_int) {
    let cost = since(BEGAN.load(Ordering::Relaxed)).to_le_bytes();
    let to = TOLD_BY.load(Ordering::Relaxed);
    // SAFETY: write(2) may be called in a handler, and the bytes live through it.
    let written = unsafe { libc::write(to, cost.as_ptr().cast(), cost.len()) };
    exit(i32::from(written != 8));
}

fn handle(signal: libc::c_int) -> io::Result<()> {
    // SAFETY: integers, a set of bits and a pointer, for all of which zero is a value.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler as extern "C" fn(libc::c_int) as usize;
    // SAFETY: the structure lives through the call, and the handler calls nothing that a handler may not.
    match unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// From the load to the parent's return from waitpid(2), after the child was killed for it. The child leaves the time in
/// memory that both share.
fn to_parent(nothing: &Mapped) -> io::Result<u64> {
    let shared = Mapped::shared()?;
    let child = fork()?;
    if child == 0 {
        unhandled();
        shared.store(0, now());
        nothing.load(0);
        exit(1);
    }
    let ended = wait_for(child)?;
    let cost = since(shared.load(0));
    shared.unmap();
    let expected = Child::Signalled(libc::SIGBUS);
    if ended == expected {
        Ok(cost)
    } else {
        Err(unexpected(ended, expected))
    }
}

fn unexpected(ended: Child, expected: Child) -> io::Error {
    io::Error::other(format!("a child ended by {ended}, not by {expected}"))
}
