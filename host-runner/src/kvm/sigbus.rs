//! SIGBUS: how the host tells of poison in guest memory.
#![expect(
    unsafe_code,
    reason = "a signal handler, what the kernel hands to it, and a stack for it"
)]
//!
//! Three codes speak of poison [Linux `memory_failure()`, `kvm_send_hwpoison_signal()`]:
//! - `BUS_MCEERR_AR`: this thread cannot go on without the memory. While it runs the guest, that is the guest's own
//!   access, and becomes an abort.
//! - `BUS_MCEERR_AO`: there is poison, and nobody has touched it. Never an abort: an [`Advice`].
//! - `BUS_OBJERR`, with an address or zero: what was proposed for a SEA that the host takes before
//!   `KVM_EXIT_ARM_SEA` was there. As `BUS_MCEERR_AR`.
//!
//! Everything else, and any of them elsewhere, is not the guest's: it ends the process, as it would have.

use std::io;
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};

/// Bytes of the handler's stack: an SVE frame of the largest size fits many times.
const STACK_BYTES: usize = 64 << 10;
/// Advices that are kept; of more, the oldest go.
const ADVICES: usize = 16;
/// Of a kept word that is none: offsets are of pages, so the low bits are free.
const NONE: u64 = 0;
const PRESENT: u64 = 1 << 6;
const ADDRESSED: u64 = 1 << 7;
const SHIFT: u64 = 0x3f;
const OFFSET: u64 = !0xfff;

/// Guest memory in this process; empty while nothing is watched.
static START: AtomicUsize = AtomicUsize::new(0);
static END: AtomicUsize = AtomicUsize::new(0);
/// `BUS_MCEERR_AO` can come to any thread.
static ADVISED: [AtomicU64; ADVICES] = [const { AtomicU64::new(NONE) }; ADVICES];
static NEXT_ADVICE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    // Const-initialised and without a destructor: using them in a handler allocates nothing.
    static EXPECTED: AtomicBool = const { AtomicBool::new(false) };
    static MET: AtomicU64 = const { AtomicU64::new(NONE) };
}

/// This thread ran into poison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Met {
    /// How far from the start of guest memory its page is, if the host says so.
    pub(super) offset: Option<u64>,
}

/// There is poison that nobody has touched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Advice {
    /// How far from the start of guest memory its page is.
    pub(super) offset: u64,
    /// Logarithm of its length.
    pub(super) shift: u8,
}

/// What a signal is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Meaning {
    Met(Option<u64>),
    Advice(u64, u8),
    Foreign,
}

fn meaning(code: i32, address: usize, shift: i16, memory: &Range<usize>, expected: bool) -> Meaning {
    let offset = memory
        .contains(&address)
        .then(|| (address - memory.start) as u64 & OFFSET);
    match (code, offset) {
        (libc::BUS_MCEERR_AO, Some(offset)) => {
            // A page at least, and no longer than addresses are.
            Meaning::Advice(offset, u8::try_from(shift.clamp(12, 63)).unwrap_or(12))
        }
        (libc::BUS_MCEERR_AR | libc::BUS_OBJERR, Some(_)) if expected => Meaning::Met(offset),
        (libc::BUS_OBJERR, None) if expected && address == 0 => Meaning::Met(None),
        _ => Meaning::Foreign,
    }
}

extern "C" fn on_sigbus(signal: libc::c_int, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: the kernel gives the handler of an SA_SIGINFO action a whole siginfo of 128 bytes; for SIGBUS it holds the
    // address at 16 and, for the MCEERR codes, 16 bits of its length's logarithm at 24. Any bytes there are integers.
    let (code, address, shift) = unsafe {
        (
            (*info).si_code,
            (*info).si_addr().addr(),
            info.cast::<i16>().add(12).read(),
        )
    };
    let memory = START.load(SeqCst)..END.load(SeqCst);
    let expected = EXPECTED.with(|expected| expected.load(SeqCst));
    match meaning(code, address, shift, &memory, expected) {
        Meaning::Met(offset) => {
            let word = PRESENT | offset.map_or(0, |offset| offset | ADDRESSED);
            MET.with(|met| met.store(word, SeqCst));
        }
        Meaning::Advice(offset, shift) => {
            let at = NEXT_ADVICE.fetch_add(1, SeqCst) % ADVICES;
            if let Some(slot) = ADVISED.get(at) {
                slot.store(offset | PRESENT | u64::from(shift), SeqCst);
            }
        }
        Meaning::Foreign => pass_on(signal),
    }
}

/// Has the signal do what it does where nobody handles it, as soon as the handler returns.
fn pass_on(signal: libc::c_int) {
    let action = action(libc::SIG_DFL, 0);
    // SAFETY: both calls are async-signal-safe, and the structure lives through the first one. The signal is blocked until
    // the handler returns, so it comes then.
    unsafe {
        libc::sigaction(signal, &raw const action, ptr::null_mut());
        libc::raise(signal);
    }
}

fn action(handler: libc::sighandler_t, flags: libc::c_int) -> libc::sigaction {
    // SAFETY: sigaction is a plain C structure of integers, a pointer and a bit set, for which zero bytes are the empty
    // value; no field stays without meaning.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    action
}

/// While it lives, poison in a range of memory is the guest's, and this thread has a stack for the handler.
#[derive(Debug)]
pub(super) struct Watch {
    stack: Vec<u8>,
    before: libc::stack_t,
    // Not to be sent: the stack is this thread's.
    _here: PhantomData<*mut u8>,
}

impl Watch {
    /// Watches this range. One range at a time is watched.
    pub(super) fn new(memory: Range<usize>) -> io::Result<Self> {
        if START.compare_exchange(0, memory.start, SeqCst, SeqCst).is_err() {
            return Err(io::Error::other("another guest is being watched"));
        }
        END.store(memory.end, SeqCst);
        let mut watch = Self {
            stack: vec![0; STACK_BYTES],
            before: libc::stack_t {
                ss_sp: ptr::null_mut(),
                ss_flags: libc::SS_DISABLE,
                ss_size: 0,
            },
            _here: PhantomData,
        };
        let stack = libc::stack_t {
            ss_sp: watch.stack.as_mut_ptr().cast(),
            ss_flags: 0,
            ss_size: STACK_BYTES,
        };
        let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_sigbus;
        let action = action(handler as libc::sighandler_t, libc::SA_SIGINFO | libc::SA_ONSTACK);
        // SAFETY: the stack is the watch's own and is taken back before the watch goes; the handler only loads and stores
        // atomics, or calls what is async-signal-safe. The structures live through the calls. No SA_RESTART: KVM_RUN is to
        // end.
        let set = unsafe {
            libc::sigaltstack(&raw const stack, &raw mut watch.before) == 0
                && libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut()) == 0
        };
        if set {
            Ok(watch)
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        END.store(0, SeqCst);
        START.store(0, SeqCst);
        // What was not asked for must not meet the next guest.
        let _ = met();
        while advice().is_some() {}
        // SAFETY: what was there before is put back; no handler runs on this thread now, as this does.
        unsafe { libc::sigaltstack(&raw const self.before, ptr::null_mut()) };
    }
}

/// Runs what may run into poison of the guest's. Elsewhere such a signal would come for ever: it ends the process.
pub(super) fn expected<T>(run: impl FnOnce() -> T) -> T {
    EXPECTED.with(|expected| expected.store(true, SeqCst));
    let result = run();
    EXPECTED.with(|expected| expected.store(false, SeqCst));
    result
}

/// Sends this thread the signal that was proposed for a SEA which the host takes for its guest: `BUS_OBJERR`, with the
/// address that it would name, or zero.
pub(super) fn send_object_error(address: usize) -> io::Result<()> {
    send(libc::BUS_OBJERR, address, 0)
}

/// Sends this thread a SIGBUS as the kernel would.
fn send(code: i32, address: usize, shift: i16) -> io::Result<()> {
    let mut info = [0_u64; 16];
    info[0] = libc::SIGBUS as u64;
    info[1] = u64::from(code.cast_unsigned());
    info[2] = address as u64;
    info[3] = u64::from(shift.cast_unsigned());
    // SAFETY: the call reads 128 bytes of siginfo, which is what is there; a process may send itself any.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_rt_tgsigqueueinfo,
            libc::getpid(),
            libc::gettid(),
            libc::SIGBUS,
            info.as_ptr(),
        )
    };
    if sent == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// What this thread ran into since it last asked.
pub(super) fn met() -> Option<Met> {
    let word = MET.with(|met| met.swap(NONE, SeqCst));
    (word != NONE).then(|| Met {
        offset: (word & ADDRESSED != 0).then_some(word & OFFSET),
    })
}

/// An advice that came to any thread, and that nobody has taken yet.
pub(super) fn advice() -> Option<Advice> {
    let word = ADVISED
        .iter()
        .map(|slot| slot.swap(NONE, SeqCst))
        .find(|word| *word != NONE)?;
    Some(Advice {
        offset: word & OFFSET,
        shift: (word & SHIFT) as u8,
    })
}

#[cfg(test)]
mod tests;
