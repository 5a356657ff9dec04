//! The inner half of the lab: the init of its kernel.
#![expect(
    unsafe_code,
    reason = "mount(2), reboot(2) and syslog(2) have no safe form in std"
)]

use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::ptr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::UNPRIVILEGED;
use super::frame::{self, Frame, Kind};
use super::message;
use super::outside::SOCKET;
use super::parcel;

/// The exit code that says that init itself failed.
const FAILED: i32 = 70;
/// Somebody who is not root.
const USER: u32 = 1000;

/// The serial line; one frame goes out at a time.
struct Serial(Mutex<File>);

impl Serial {
    fn send(&self, kind: Kind, text: &[u8]) {
        if let Ok(mut line) = self.0.lock() {
            // A line that does not go out cannot be reported on it; the outer half sees that it is cut off.
            let _ = line.write_all(&frame::encode(kind, text));
        }
    }
}

/// Does all of it and switches off.
pub(super) fn main() -> ! {
    // A kernel whose init ends panics, and the reason would be lost: whatever ends this process goes through `finish`.
    std::panic::set_hook(Box::new(|panic| {
        // Its own line: the one in use may be locked by the thread that panics.
        if let Ok(serial) = open_serial() {
            finish(&serial, &Err(io::Error::other(panic.to_string())));
        }
        power_off()
    }));
    mount_all();
    // Without a serial line there is nobody to tell.
    if let Ok(serial) = open_serial() {
        quiet_console();
        let serial = Arc::new(serial);
        finish(&serial, &serve(&serial));
    }
    power_off()
}

/// The last words.
fn finish(serial: &Serial, result: &io::Result<i32>) {
    let code = match result {
        Ok(code) => *code,
        Err(error) => {
            serial.send(Kind::Err, format!("lab init: {error}").as_bytes());
            FAILED
        }
    };
    serial.send(Kind::Exit, code.to_string().as_bytes());
    drain(serial);
}

fn mount_all() {
    for (kind, at) in [
        (c"devtmpfs", c"/dev"),
        (c"proc", c"/proc"),
        (c"sysfs", c"/sys"),
        (c"tmpfs", c"/tmp"),
        (c"tmpfs", c"/run"),
    ] {
        mount(kind, at);
    }
}

/// A failure shows by what is then missing; there is no place to report it yet.
fn mount(kind: &CStr, at: &CStr) {
    // SAFETY: source, target and type are C strings that live through the call, and none of these file systems takes
    // data, so its pointer may be null.
    unsafe { libc::mount(kind.as_ptr(), at.as_ptr(), kind.as_ptr(), 0, ptr::null()) };
}

/// Opens the serial line and has it pass bytes through as they are.
fn open_serial() -> io::Result<Serial> {
    let line = OpenOptions::new().read(true).write(true).open("/dev/ttyAMA0")?;
    // SAFETY: termios is integers and arrays of them, for which zero bytes are values; tcgetattr fills it before use.
    let mut settings: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open, and the structure is the right one and lives through the calls.
    let set = unsafe {
        libc::tcgetattr(line.as_raw_fd(), &raw mut settings) == 0 && {
            libc::cfmakeraw(&raw mut settings);
            libc::tcsetattr(line.as_raw_fd(), libc::TCSANOW, &raw const settings) == 0
        }
    };
    if set {
        Ok(Serial(Mutex::new(line)))
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Keeps the kernel's messages off the line, in the middle of ours; they go out as frames. A panic still prints.
fn quiet_console() {
    const SYSLOG_ACTION_CONSOLE_LEVEL: libc::c_int = 8;
    // SAFETY: this action takes no buffer; its level is the third argument.
    unsafe { libc::klogctl(SYSLOG_ACTION_CONSOLE_LEVEL, ptr::null_mut(), 1) };
}

/// Waits until what was sent is out.
fn drain(serial: &Serial) {
    if let Ok(line) = serial.0.lock() {
        // SAFETY: the descriptor is open.
        unsafe { libc::tcdrain(line.as_raw_fd()) };
    }
}

fn power_off() -> ! {
    // SAFETY: neither call takes a pointer. Everything of ours is out; init's children may end with the machine.
    unsafe {
        libc::sync();
        libc::reboot(libc::RB_POWER_OFF);
    }
    // Only where the kernel cannot switch off; the outer half ends the machine by its wall clock.
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}

/// Runs the inner command to its end; gives its exit code.
fn serve(serial: &Arc<Serial>) -> io::Result<i32> {
    if std::env::var_os(super::OUTSIDE).is_some_and(|is| is == "1") {
        relay(serial)?;
    }
    let arguments: Vec<String> = serde_json::from_slice(&std::fs::read("/request.json")?)?;
    let log = OpenOptions::new().read(true).open("/dev/kmsg").ok();
    let mut command = Command::new("/init");
    if Path::new(UNPRIVILEGED).exists() {
        // With another user than root go all capabilities, and with root's groups what they may.
        for path in ["/dev/kvm", super::OUT] {
            std::os::unix::fs::chown(path, Some(USER), Some(USER))?;
        }
        command.uid(USER).gid(USER);
    }
    let mut child = command
        .args(arguments)
        .env_clear()
        .env("PATH", "/")
        .env("TMPDIR", "/tmp")
        .env(super::MARK, "1")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let status = thread::scope(|scope| {
        scope.spawn(move || pass_on(serial, Kind::Out, output));
        scope.spawn(move || pass_on(serial, Kind::Err, errors));
        child.wait()
    })?;
    // The scope has ended, so all its lines are out before the code is.
    parcel::send_all(&mut |part| serial.send(Kind::File, part.as_bytes()))?;
    if let Some(log) = log {
        pass_on_log(serial, log);
    }
    Ok(status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
}

/// Has questions go out and answers come in, for as long as the machine runs; one asks at a time.
fn relay(serial: &Arc<Serial>) -> io::Result<()> {
    let listener = UnixListener::bind(SOCKET)?;
    let answers = serial
        .0
        .lock()
        .map_err(|_| io::Error::other("the serial line is locked"))?
        .try_clone()?;
    let asking: Arc<Mutex<Option<UnixStream>>> = Arc::default();
    let answered = Arc::clone(&asking);
    let serial = Arc::clone(serial);
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            if let (Ok(mut asking), Ok(back)) = (asking.lock(), connection.try_clone()) {
                *asking = Some(back);
            }
            lines(connection, message::LONGEST, |line| {
                serial.send(Kind::Question, line)
            });
        }
    });
    thread::spawn(move || {
        lines(answers, message::LONGEST + 4, |line| {
            let text = String::from_utf8_lossy(line);
            if let Frame::Answer(answer) = frame::decode(&text)
                && let Ok(mut asking) = answered.lock()
                && let Some(connection) = asking.as_mut()
            {
                // Who has gone needs no answer.
                let _ = writeln!(connection, "{answer}");
            }
        });
    });
    Ok(())
}

fn pass_on(serial: &Serial, kind: Kind, from: Option<impl Read>) {
    if let Some(from) = from {
        lines(from, frame::LONGEST, |line| serial.send(kind, line));
    }
}

/// Gives each line without its newline, until nothing comes; one that is longer comes in pieces.
fn lines(from: impl Read, longest: usize, mut take: impl FnMut(&[u8])) {
    let mut from = BufReader::with_capacity(64 << 10, from);
    let mut line = Vec::new();
    loop {
        line.clear();
        match from.by_ref().take(longest as u64).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => take(line.strip_suffix(b"\n").unwrap_or(&line)),
        }
    }
}

/// Sends the kernel's warnings and worse. Each read of `/dev/kmsg` gives one record: `level,…;text`.
fn pass_on_log(serial: &Serial, mut log: File) {
    // SAFETY: the descriptor is open, and these commands take and give integers alone.
    unsafe {
        let flags = libc::fcntl(log.as_raw_fd(), libc::F_GETFL);
        libc::fcntl(log.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK);
    }
    let mut record = [0; 8192];
    loop {
        let text = match log.read(&mut record) {
            Ok(0) => return,
            Ok(length) => String::from_utf8_lossy(record.get(..length).unwrap_or_default()).into_owned(),
            // The ring overran this reader; the next read goes on after the gap.
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => continue,
            Err(_) => return,
        };
        if let Some(warning) = warning(&text) {
            serial.send(Kind::Kernel, warning.as_bytes());
        }
    }
}

/// The first line of a record, if its level is warning (4) or worse. The low three bits are the level.
fn warning(record: &str) -> Option<&str> {
    let (prefix, text) = record.split_once(';')?;
    let level: u32 = prefix.split(',').next()?.parse().ok()?;
    (level & 7 <= 4).then(|| text.lines().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_told_from_chatter_by_their_level() {
        assert_eq!(
            warning("4,512,3000123,-;kvm: something\n SUBSYSTEM=x\n"),
            Some("kvm: something")
        );
        assert_eq!(warning("3,1,2,-;bad"), Some("bad"));
        assert_eq!(warning("30,1,2,-;systemd says"), None);
        assert_eq!(warning("6,1,2,-;hello"), None);
        assert_eq!(warning("nonsense"), None);
        assert_eq!(warning(""), None);
    }
}
