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
use std::sync::atomic::{AtomicU64, Ordering};

use super::init::{Child, Line, exit, fork, in_child, wait_for};
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
    to_handler(&nothing, line)?;
    for round in 0..FIRST + ROUNDS {
        let kill = to_parent(&nothing)?;
        if round >= FIRST {
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

/// From the load to the first instruction of the process's own handler, again and again in one child: from the second
/// round on its stack and its tables are there.
fn to_handler(nothing: &Mapped, line: &mut Line) -> io::Result<()> {
    let expected = Child::Exited(0);
    let ended = in_child(|| {
        handle(libc::SIGBUS)?;
        for round in 0..FIRST + ROUNDS {
            COST.store(0, Ordering::Relaxed);
            BEGAN.store(now(), Ordering::Relaxed);
            nothing.load(0);
            if round >= FIRST {
                line.say(&format!("measure handler {}", COST.load(Ordering::Relaxed)));
            }
        }
        Ok(())
    })?;
    if ended == expected {
        Ok(())
    } else {
        Err(unexpected(ended, expected))
    }
}

/// What the handler found; zero where it did not run.
static COST: AtomicU64 = AtomicU64::new(0);

extern "C" fn handler(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    COST.store(since(BEGAN.load(Ordering::Relaxed)), Ordering::Relaxed);
    pass_over(context);
}

/// Has the interrupted code go on behind the load.
#[cfg(target_arch = "aarch64")]
fn pass_over(context: *mut libc::c_void) {
    // SAFETY: the kernel gives a handler with SA_SIGINFO its context, which lives until the handler returns; all
    // instructions have four bytes.
    unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.pc += 4 };
}

/// The lab's Linux is an arm64 one.
#[cfg(not(target_arch = "aarch64"))]
fn pass_over(_: *mut libc::c_void) {
    exit(1)
}

fn handle(signal: libc::c_int) -> io::Result<()> {
    // SAFETY: integers, a set of bits and a pointer, for all of which zero is a value.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction =
        handler as extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) as usize;
    action.sa_flags = libc::SA_SIGINFO;
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
