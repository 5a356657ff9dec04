//! The kick: gets a vCPU thread out of the guest, whatever the guest does.
#![expect(
    unsafe_code,
    reason = "a signal handler, and the byte of kvm_run that it sets"
)]
//!
//! A signal ends `KVM_RUN` with EINTR; but one that arrives just before the call would be lost. So its handler also
//! sets `kvm_run.immediate_exit` of the vCPU whose thread it runs on, and the next `KVM_RUN` ends at once.

use std::cell::Cell;
use std::io;
use std::marker::PhantomData;
use std::os::unix::thread::JoinHandleExt;
use std::ptr;
use std::sync::Once;
use std::thread::JoinHandle;

thread_local! {
    // Const-initialised and without a destructor: reading it in a handler allocates nothing.
    static IMMEDIATE_EXIT: Cell<*mut u8> = const { Cell::new(ptr::null_mut()) };
}

/// The first real-time signal that libc leaves free.
fn signal() -> libc::c_int {
    libc::SIGRTMIN()
}

extern "C" fn on_kick(_signal: libc::c_int) {
    let byte = IMMEDIATE_EXIT.get();
    if !byte.is_null() {
        // SAFETY: a non-null pointer here is the one that a `Target` on this very thread put there; `Target` keeps it
        // null again before the vCPU whose kvm_run it points into can go away, and a handler runs on one thread only.
        // Volatile, as KVM and the interrupted code read the byte too.
        unsafe { byte.write_volatile(1) };
    }
}

/// Has the handler installed. Without it, the kick would end the process.
pub(super) fn install() -> io::Result<()> {
    static ONCE: Once = Once::new();
    let mut failure = None;
    ONCE.call_once(|| {
        // SAFETY: sigaction is a plain C structure of integers, a pointer and a bit set, for which zero bytes are the
        // empty value; no field stays without meaning.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        let handler: extern "C" fn(libc::c_int) = on_kick;
        action.sa_sigaction = handler as libc::sighandler_t;
        // SAFETY: the structure lives through the call; the handler only touches a thread's own cell and the byte behind
        // it, which is async-signal-safe. No SA_RESTART: the point is to end a call.
        if unsafe { libc::sigaction(signal(), &raw const action, ptr::null_mut()) } != 0 {
            failure = Some(io::Error::last_os_error());
        }
    });
    failure.map_or(Ok(()), Err)
}

/// While it lives, a kick of this thread sets this byte.
#[derive(Debug)]
pub(super) struct Target {
    // Not to be sent: the cell is this thread's.
    _here: PhantomData<*mut u8>,
}

impl Target {
    /// Makes `immediate_exit` the byte that kicks of this thread set.
    ///
    /// # Safety
    /// The byte must stay mapped for as long as the target lives.
    pub(super) unsafe fn new(immediate_exit: *mut u8) -> Self {
        IMMEDIATE_EXIT.set(immediate_exit);
        Self { _here: PhantomData }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        IMMEDIATE_EXIT.set(ptr::null_mut());
    }
}

/// Kicks a thread.
pub(super) fn kick<T>(thread: &JoinHandle<T>) {
    // SAFETY: the handle has not been joined, so the thread's id is still its own, even if it has ended; the signal's
    // handler was installed before any thread that has a handle of this kind was started.
    unsafe { libc::pthread_kill(id(thread), signal()) };
}

/// std has every C library's thread id as an integer; libc's `pthread_t` is a pointer with musl.
#[cfg(target_env = "musl")]
fn id<T>(thread: &JoinHandle<T>) -> libc::pthread_t {
    thread.as_pthread_t() as libc::pthread_t
}

#[cfg(not(target_env = "musl"))]
fn id<T>(thread: &JoinHandle<T>) -> libc::pthread_t {
    thread.as_pthread_t()
}
