//! The init of a Linux that is compared with: it has a child meet the error, says how that ended, and switches off.
#![expect(
    unsafe_code,
    reason = "mount(2), fork(2), waitpid(2), syslog(2) and reboot(2) have no safe form in std"
)]

use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::ptr;
use std::time::Duration;

use super::orders::{self, Orders};
use super::told::MARK;
use super::{measure, touch};

/// A process that has not ended by then waits for what never comes. Idle time costs nothing: it is the machine's own.
const PATIENCE: Duration = Duration::from_secs(10);

/// The serial line; each line is out before anything else happens.
pub(super) struct Line(File);

impl Line {
    fn open() -> io::Result<Self> {
        OpenOptions::new().write(true).open("/dev/ttyAMA0").map(Self)
    }

    pub(super) fn say(&mut self, text: &str) {
        // Who listens sees by its absence that a line did not go out.
        let _ = writeln!(self.0, "{MARK}{text}");
        // SAFETY: the descriptor is open.
        unsafe { libc::tcdrain(self.0.as_raw_fd()) };
    }
}

/// Does all of it and switches off: a kernel whose init ends would panic, and that would be taken for an outcome.
pub(super) fn main() -> ! {
    for (kind, at) in [(c"devtmpfs", c"/dev"), (c"proc", c"/proc")] {
        mount(kind, at);
    }
    std::panic::set_hook(Box::new(|panic| {
        if let Ok(mut line) = Line::open() {
            line.say(&format!("failed: {panic}"));
        }
        power_off()
    }));
    if let Ok(mut line) = Line::open() {
        match serve(&mut line) {
            Ok(()) => line.say("done"),
            Err(error) => line.say(&format!("failed: {error}")),
        }
    }
    power_off()
}

/// A failure shows by what is then missing.
fn mount(kind: &CStr, at: &CStr) {
    // SAFETY: source, target and type are C strings that live through the call, and neither file system takes data, so
    // its pointer may be null.
    unsafe { libc::mount(kind.as_ptr(), at.as_ptr(), kind.as_ptr(), 0, ptr::null()) };
}

fn power_off() -> ! {
    // SAFETY: the call takes no pointer; there is nothing to be written back.
    unsafe { libc::reboot(libc::RB_POWER_OFF) };
    // Only where the kernel cannot switch off: the runner's clock ends the machine.
    loop {
        std::thread::park();
    }
}

fn serve(line: &mut Line) -> io::Result<()> {
    let version = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    line.say(&format!("kernel {}", version.trim()));
    let what = std::env::var(orders::NAME).unwrap_or_default();
    if what == orders::BENCH {
        return measure::all(line);
    }
    let orders = Orders::decode(&what).ok_or_else(|| io::Error::other(format!("no orders: {what:?}")))?;
    told_of_signals();
    let ended = match in_child_for(PATIENCE, || touch::as_ordered(orders))? {
        Ok(child) => child.to_string(),
        Err(child) => {
            let place = std::fs::read_to_string(format!("/proc/{child}/wchan")).unwrap_or_default();
            format!(
                "has not ended after {} s, and waits in {place}",
                PATIENCE.as_secs()
            )
        }
    };
    line.say(&ended);
    Ok(())
}

/// Has the kernel say which signals it sends for faults [Linux `Documentation/admin-guide/sysctl/debug.rst`], and what it
/// says come out on the console.
fn told_of_signals() {
    const SYSLOG_ACTION_CONSOLE_LEVEL: libc::c_int = 8;
    // What it does not say is missed in the report and nowhere else.
    let _ = std::fs::write("/proc/sys/debug/exception-trace", "1");
    // SAFETY: this action takes no buffer; its level is the third argument.
    unsafe { libc::klogctl(SYSLOG_ACTION_CONSOLE_LEVEL, ptr::null_mut(), 7) };
}

/// How a child ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Child {
    /// By its own exit.
    Exited(libc::c_int),
    /// By a signal.
    Signalled(libc::c_int),
}

impl std::fmt::Display for Child {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited {code}"),
            Self::Signalled(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// Runs `what` in a child to its end.
pub(super) fn in_child(what: impl FnOnce() -> io::Result<()>) -> io::Result<Child> {
    wait_for(start(what)?)
}

/// The same, for so long at most; the child's number where it has not ended by then.
fn in_child_for(
    patience: Duration,
    what: impl FnOnce() -> io::Result<()>,
) -> io::Result<Result<Child, libc::pid_t>> {
    const TURN: Duration = Duration::from_millis(10);
    let child = start(what)?;
    let mut waited = Duration::ZERO;
    while waited < patience {
        if let Some(ended) = ended(child, libc::WNOHANG)? {
            return Ok(Ok(ended));
        }
        std::thread::sleep(TURN);
        waited += TURN;
    }
    Ok(Err(child))
}

/// Starts a child for `what`, whose result is its exit code: zero, or the number of the error.
fn start(what: impl FnOnce() -> io::Result<()>) -> io::Result<libc::pid_t> {
    let child = fork()?;
    if child == 0 {
        let code = match what() {
            Ok(()) => 0,
            Err(error) => error.raw_os_error().unwrap_or(touch::SETUP_FAILED),
        };
        exit(code);
    }
    Ok(child)
}

/// Zero in the child, the child's number in the parent.
pub(super) fn fork() -> io::Result<libc::pid_t> {
    // SAFETY: init has one thread, so the child has everything that its parent had.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        child => Ok(child),
    }
}

/// Ends this process, without the parent's buffers and handlers.
pub(super) fn exit(code: libc::c_int) -> ! {
    // SAFETY: takes an integer and does not return.
    unsafe { libc::_exit(code) }
}

/// Waits for this child's end.
pub(super) fn wait_for(child: libc::pid_t) -> io::Result<Child> {
    ended(child, 0)?.ok_or_else(|| io::Error::other("a child neither ended nor went on"))
}

/// How this child ended, if it has.
fn ended(child: libc::pid_t, options: libc::c_int) -> io::Result<Option<Child>> {
    let mut status = 0;
    // SAFETY: the status is an integer that lives through the call.
    match unsafe { libc::waitpid(child, &raw mut status, options) } {
        0 => Ok(None),
        -1 => Err(io::Error::last_os_error()),
        _ if libc::WIFSIGNALED(status) => Ok(Some(Child::Signalled(libc::WTERMSIG(status)))),
        _ => Ok(Some(Child::Exited(libc::WEXITSTATUS(status)))),
    }
}
