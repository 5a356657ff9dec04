//! The outer half of the lab: QEMU, and what comes over its serial line.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::breaker::{Breaker, Stopped};
use super::frame::{self, Frame};
use super::newc::{Archive, TooLarge};
use super::{Lab, Line, MARK, OUTSIDE, Orders, SessionEnd, UNPRIVILEGED};
use crate::backend::Missing;
use crate::child;

/// Lines that are kept, to say what was last seen.
const KEPT_LINES: usize = 12;
/// Of each.
const KEPT_CHARACTERS: usize = 200;
/// Lines that may wait for the caller; a lab that is faster has to wait itself.
const QUEUED_LINES: usize = 1024;
/// From the inner command's end to the machine's.
const POWER_OFF: Duration = Duration::from_secs(10);

/// QEMU; killed and reaped when it is no longer held.
#[derive(Debug)]
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        child::end(&mut self.0);
    }
}

/// What comes from QEMU.
enum Said {
    Serial(String),
    Complaint(String),
    SerialEnd,
}

/// Bytes of a socket's path, at most [Linux `include/uapi/linux/un.h`, with the zero at its end].
const SOCKET_PATH: usize = 107;

/// Where QEMU's gdb stub listens: in a folder that nobody else may enter, and that goes with it.
struct Stub {
    folder: tempfile::TempDir,
}

impl Stub {
    fn new() -> Result<Self, Missing> {
        let folder = tempfile::tempdir().map_err(|error| no_file(&error))?;
        let stub = Self { folder };
        if stub.path().as_os_str().len() > SOCKET_PATH {
            return Err(Missing {
                what: format!(
                    "a socket for QEMU's gdb stub: {} is too long",
                    stub.path().display()
                ),
                fix: "TMPDIR=/tmp".into(),
            });
        }
        Ok(stub)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("gdb")
    }
}

/// Who answers what is asked inside.
struct Outside<W> {
    breaker: Breaker,
    line: W,
}

impl<W: Write> Outside<W> {
    fn answer(&mut self, question: &str) -> Result<(), Stopped> {
        if let Some(answer) = self.breaker.answer(question)? {
            let frame = frame::encode(frame::Kind::Answer, answer.as_bytes());
            // A lab that has gone needs no answer; that it has gone is seen where its lines come from.
            let _ = self.line.write_all(&frame).and_then(|()| self.line.flush());
        }
        Ok(())
    }
}

pub(super) fn hold(
    lab: &Lab,
    orders: Orders<'_>,
    line: &mut dyn FnMut(Line<'_>),
) -> Result<SessionEnd, Missing> {
    let begin = Instant::now();
    let archive = file_system(lab, orders.arguments, orders.files)?;
    let stub = orders.outside.then(Stub::new).transpose()?;
    // A file without a name, which QEMU finds among the runner's open ones: nothing stays behind, whatever happens.
    let mut initrd = tempfile::tempfile().map_err(|error| no_file(&error))?;
    initrd
        .write_all(&archive)
        .and_then(|()| initrd.flush())
        .map_err(|error| no_file(&error))?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), initrd.as_raw_fd());

    let mut command = command(lab, path.as_ref());
    command.args(["-append", &append(&orders)]);
    if let Some(stub) = &stub {
        with_outside(&mut command, &stub.path());
    }
    let mut machine = Machine(child::bound(&mut command).spawn().map_err(|error| Missing {
        what: format!("{} cannot be started: {error}", lab.program.display()),
        fix: "sudo apt-get install qemu-system-arm".into(),
    })?);
    let said = listen(&mut machine);
    let answers = machine.0.stdin.take();
    let outside = stub.as_ref().zip(answers).map(|(stub, line)| Outside {
        breaker: Breaker::new(stub.path()),
        line,
    });
    let end = follow(&said, begin, orders.wall, outside, line);
    if matches!(end, SessionEnd::Exited(_)) {
        // It is syncing and switching itself off; what it still says interests nobody.
        let off = Instant::now() + POWER_OFF;
        while !matches!(
            said.recv_timeout(off.saturating_duration_since(Instant::now())),
            Ok(Said::SerialEnd) | Err(_)
        ) {}
    }
    Ok(end)
}

fn no_file(error: &dyn core::fmt::Display) -> Missing {
    Missing {
        what: format!("the lab's file system cannot be written: {error}"),
        fix: "df -h \"${TMPDIR:-/tmp}\"   (make room there)".into(),
    }
}

fn file_system(lab: &Lab, arguments: &[String], files: &[(String, Vec<u8>)]) -> Result<Vec<u8>, Missing> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| Missing {
            what: format!("{} cannot be read: {error}", path.display()),
            fix: "cargo xtask build".into(),
        })
    };
    let init = read(&lab.init)?;
    let image = read(&lab.image)?;
    let request = serde_json::to_vec(arguments).map_err(|error| no_file(&error))?;
    let write = || -> Result<Vec<u8>, TooLarge> {
        let mut archive = Archive::new();
        for directory in ["/dev", "/proc", "/sys", "/tmp", "/run", super::OUT] {
            archive.directory(directory)?;
        }
        archive.program("/init", &init)?;
        archive.file("/seawall.Image", &image)?;
        archive.file("/request.json", &request)?;
        if lab.unprivileged {
            archive.file(UNPRIVILEGED, b"")?;
        }
        for (path, contents) in files {
            archive.file(path, contents)?;
        }
        archive.finish()
    };
    write().map_err(|error| no_file(&error))
}

fn command(lab: &Lab, initrd: &Path) -> Command {
    let mut command = Command::new(&lab.program);
    command
        .args([
            "-machine",
            "virt,virtualization=on,gic-version=3",
            "-accel",
            "tcg",
        ])
        .args(["-cpu", "max,pauth-impdef=on", "-smp", "1", "-m", "1G"])
        .args([
            "-display",
            "none",
            "-monitor",
            "none",
            "-serial",
            "stdio",
            "-nic",
            "none",
            "-no-reboot",
        ])
        .arg("-kernel")
        .arg(&lab.kernel)
        .arg("-initrd")
        .arg(initrd)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The kernel's command line.
fn append(orders: &Orders<'_>) -> String {
    let mut line = format!("console=ttyAMA0 quiet loglevel=3 panic=-1 rdinit=/init {MARK}=1");
    if orders.outside {
        // DAMON walks the stage-2 tables that are to be broken. A kernel that meets them so all the same has no tasks left
        // that one could rely on: the lab goes down at once, and says why.
        line.push_str(&format!(" {OUTSIDE}=1 damon_stat.enabled=0 oops=panic"));
    }
    if orders.nested {
        line.push_str(" kvm-arm.mode=nested");
    }
    line
}

/// The same machine, with a gdb stub and a serial line that answers can go in by.
fn with_outside(command: &mut Command, socket: &Path) {
    // QEMU's own options take a comma twice.
    let socket = socket.to_string_lossy().replace(',', ",,");
    command
        .args(["-gdb", &format!("unix:{socket},server=on,wait=off")])
        .stdin(Stdio::piped());
}

/// Has threads read what QEMU says; they end with it.
fn listen(machine: &mut Machine) -> Receiver<Said> {
    let (say, said) = mpsc::sync_channel(QUEUED_LINES);
    let complain = say.clone();
    if let Some(output) = machine.0.stdout.take() {
        thread::spawn(move || {
            lines(output, |line| say.send(Said::Serial(line)).is_ok());
            let _ = say.send(Said::SerialEnd);
        });
    }
    if let Some(errors) = machine.0.stderr.take() {
        thread::spawn(move || lines(errors, |line| complain.send(Said::Complaint(line)).is_ok()));
    }
    said
}

/// Gives each line, bounded, without its newline, until nobody takes it or nothing comes.
fn lines(from: impl Read, mut take: impl FnMut(String) -> bool) {
    let mut from = BufReader::with_capacity(64 << 10, from);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        // Room for the frame's marks beside the longest text.
        let limit = frame::LONGEST as u64 + 16;
        match from.by_ref().take(limit).read_until(b'\n', &mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        if !take(String::from_utf8_lossy(&bytes).into_owned()) {
            return;
        }
    }
}

/// Passes lines on until the inner command ends, or the lab does, or the time is up.
fn follow(
    said: &Receiver<Said>,
    begin: Instant,
    wall: Duration,
    mut outside: Option<Outside<impl Write>>,
    line: &mut dyn FnMut(Line<'_>),
) -> SessionEnd {
    let mut last = VecDeque::new();
    let mut keep = |text: &str| {
        if !text.trim().is_empty() {
            last.truncate(KEPT_LINES - 1);
            last.push_front(text.chars().take(KEPT_CHARACTERS).collect::<String>());
        }
    };
    let why = loop {
        let left = wall.saturating_sub(begin.elapsed());
        let due = outside.as_ref().and_then(|outside| outside.breaker.due());
        let until_due = due.map_or(Duration::MAX, |due| due.saturating_duration_since(Instant::now()));
        if until_due.is_zero()
            && let Some(outside) = &mut outside
            && let Err(Stopped(reason)) = outside.breaker.mend_overdue()
        {
            break format!("the lab's machine stands still: {reason}");
        }
        match said.recv_timeout(left.min(until_due)) {
            Ok(Said::Serial(text)) => match frame::decode(&text) {
                Frame::Exit(code) => return SessionEnd::Exited(code),
                Frame::Question(text) => {
                    if let Some(outside) = &mut outside
                        && let Err(Stopped(reason)) = outside.answer(text)
                    {
                        break format!("the lab's machine stands still: {reason}");
                    }
                }
                // Goes in, and never comes out.
                Frame::Answer(_) => {}
                Frame::Line(what) => {
                    if let Line::Out(text) | Line::Err(text) | Line::Kernel(text) = what {
                        keep(text);
                    }
                    line(what);
                }
            },
            Ok(Said::Complaint(text)) => {
                keep(&text);
                line(Line::Kernel(&text));
            }
            Ok(Said::SerialEnd) | Err(RecvTimeoutError::Disconnected) => {
                // QEMU's own complaint may still be under way, on the other pipe.
                while let Ok(Said::Complaint(text)) = said.recv_timeout(Duration::from_millis(200)) {
                    keep(&text);
                }
                break "the lab went down before the command in it ended".to_owned();
            }
            Err(RecvTimeoutError::Timeout) if until_due < left => {}
            Err(RecvTimeoutError::Timeout) => {
                break format!("the lab did not end within {} s", wall.as_secs());
            }
        }
    };
    let seen: Vec<_> = last.iter().rev().map(String::as_str).collect();
    let seen = if seen.is_empty() {
        "nothing was seen of it".to_owned()
    } else {
        seen.join("\n")
    };
    SessionEnd::Lost(format!("{why}\n{seen}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(said: Vec<Said>, wall: Duration) -> (SessionEnd, Vec<String>) {
        let (say, hear) = mpsc::channel();
        for one in said {
            say.send(one).unwrap();
        }
        let mut lines = Vec::new();
        let end = follow(
            &hear,
            Instant::now(),
            wall,
            None::<Outside<Vec<u8>>>,
            &mut |line| lines.push(format!("{line:?}")),
        );
        drop(say);
        (end, lines)
    }

    fn serial(text: &str) -> Said {
        Said::Serial(text.to_owned())
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn lines_come_in_order_and_the_code_ends_them() {
        let said = vec![
            serial("boot\r"),
            serial("\u{1e}Oone\u{1f}"),
            serial("\u{1e}X3\u{1f}"),
            serial("later"),
        ];
        let (end, lines) = after(said, LONG);
        assert_eq!(end, SessionEnd::Exited(3));
        assert_eq!(lines, [r#"Kernel("boot")"#, r#"Out("one")"#]);
    }

    #[test]
    fn a_panic_is_lost_with_what_the_kernel_last_said() {
        let mut said: Vec<_> = (0..40).map(|n| serial(&format!("line {n}"))).collect();
        said.extend([
            serial("Kernel panic - not syncing"),
            Said::SerialEnd,
            Said::Complaint("qemu: bad".into()),
        ]);
        let SessionEnd::Lost(why) = after(said, LONG).0 else {
            panic!("a panic has no exit code")
        };
        assert!(
            why.contains("went down") && why.contains("Kernel panic") && why.ends_with("qemu: bad"),
            "{why}"
        );
        assert!(
            !why.contains("line 3\n") && why.lines().count() == 1 + KEPT_LINES,
            "{why}"
        );
    }

    #[test]
    fn questions_are_answered_by_frames_and_everything_else_is_no_question() {
        let (say, hear) = mpsc::channel();
        for text in [
            "\u{1e}Q7 mend 80000000\u{1f}",
            "\u{1e}Qhello\u{1f}",
            "\u{1e}A7 done\u{1f}",
            "\u{1e}Q8 break 80000000 80200000 4abcd000\u{1f}",
            "\u{1e}X0\u{1f}",
        ] {
            say.send(serial(text)).unwrap();
        }
        let mut answers = Vec::new();
        let outside = Outside {
            breaker: Breaker::new("/nonexistent/gdb".into()),
            line: &mut answers,
        };
        let end = follow(&hear, Instant::now(), LONG, Some(outside), &mut |line| {
            panic!("{line:?}")
        });
        assert_eq!(end, SessionEnd::Exited(0));
        let answers = String::from_utf8(answers).unwrap();
        let answers: Vec<_> = answers.lines().map(frame::decode).collect();
        assert_eq!(answers[0], Frame::Answer("7 done"));
        assert!(matches!(answers[1], Frame::Answer(text) if text.starts_with("8 failed ")));
        assert_eq!(answers.len(), 2);
    }

    #[test]
    fn a_lab_has_a_way_in_only_where_it_is_asked_for() {
        let lab = Lab {
            program: "qemu".into(),
            kernel: "Image".into(),
            init: "init".into(),
            image: "guest".into(),
            unprivileged: false,
        };
        let words = |command: &Command| -> Vec<String> {
            command
                .get_args()
                .map(|word| word.to_string_lossy().into_owned())
                .collect()
        };
        let mut command = command(&lab, Path::new("/proc/1/fd/3"));
        let plain = words(&command);
        assert!(
            !plain
                .iter()
                .any(|word| word.contains("gdb") || word.contains(OUTSIDE))
        );
        with_outside(&mut command, Path::new("/tmp/a,b/gdb"));
        let more = words(&command)[plain.len()..].to_vec();
        assert_eq!(more, ["-gdb", "unix:/tmp/a,,b/gdb,server=on,wait=off"]);
        let line = |outside, nested| {
            append(&Orders {
                arguments: &[],
                files: &[],
                wall: Duration::ZERO,
                outside,
                nested,
            })
        };
        assert!(line(false, false).ends_with(" rdinit=/init SEAWALL_LAB=1"));
        let outside = "SEAWALL_LAB=1 SEAWALL_OUTSIDE=1 damon_stat.enabled=0 oops=panic";
        assert!(line(true, false).ends_with(outside));
        assert!(line(false, true).ends_with("SEAWALL_LAB=1 kvm-arm.mode=nested"));
    }

    #[test]
    fn silence_ends_with_the_wall_clock() {
        let SessionEnd::Lost(why) = after(vec![serial("hm")], Duration::from_millis(20)).0 else {
            panic!("silence has no exit code")
        };
        assert!(
            why.contains("did not end within 0 s") && why.contains("hm"),
            "{why}"
        );
    }

    #[test]
    fn lines_without_an_end_are_cut() {
        let mut count = 0;
        lines(std::io::repeat(b'x').take(frame::LONGEST as u64 + 100), |line| {
            count += 1;
            line.len() <= frame::LONGEST + 16
        });
        assert_eq!(count, 2);
    }
}
