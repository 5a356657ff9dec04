//! The QEMU process: started, listened to within bounds, and never left behind.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::backend::Limits;
use crate::child;

/// How QEMU came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum How {
    /// By itself.
    Exited(ExitStatus),
    /// Killed at the wall-clock limit.
    TimedOut,
    /// Killed for its output.
    Flooded,
}

/// What a process left.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) how: How,
    pub(super) console: Vec<u8>,
    /// The end of its standard error.
    pub(super) errors: String,
}

const ERRORS_KEPT: usize = 2048;
const CHUNK: usize = 4096;
const POLL: Duration = Duration::from_millis(1);
/// From a process's end to that of its standard error.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A child that is killed and reaped with its owner.
#[derive(Debug)]
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        child::end(&mut self.0);
    }
}

/// Runs `command` to its end or to a limit's.
pub(super) fn run(command: &mut Command, limits: &Limits) -> io::Result<Ended> {
    let deadline = Instant::now() + limits.wall;
    let child = child::bound(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut child = Owned(child);
    // A bounded channel: a guest that floods waits for the listener, and memory does not grow.
    let (sender, receiver) = sync_channel(4);
    if let Some(output) = child.0.stdout.take() {
        thread::spawn(move || pump(output, &sender));
    }
    let errors = child.0.stderr.take().map(Tail::of);

    let mut console = Vec::new();
    let how = match listen(&receiver, &mut console, limits.console_bytes, deadline) {
        Some(how) => how,
        None => reap(&mut child.0, deadline)?,
    };
    drop(receiver);
    // Dead before its standard error is waited for.
    drop(child);
    let errors = errors.map(Tail::finish).unwrap_or_default();
    Ok(Ended { how, console, errors })
}

/// Collects output until it ends (`None`) or a limit is reached.
fn listen(from: &Receiver<Vec<u8>>, console: &mut Vec<u8>, limit: usize, deadline: Instant) -> Option<How> {
    loop {
        // Asked first, so that steady output cannot put off the end.
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Some(How::TimedOut);
        }
        match from.recv_timeout(left) {
            Ok(chunk) => console.extend_from_slice(&chunk),
            Err(RecvTimeoutError::Timeout) => return Some(How::TimedOut),
            Err(RecvTimeoutError::Disconnected) => return None,
        }
        if console.len() > limit {
            console.truncate(limit);
            return Some(How::Flooded);
        }
    }
}

fn reap(child: &mut Child, deadline: Instant) -> io::Result<How> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(How::Exited(status));
        }
        if Instant::now() >= deadline {
            return Ok(How::TimedOut);
        }
        thread::sleep(POLL);
    }
}

fn pump(mut from: impl Read, to: &SyncSender<Vec<u8>>) {
    let mut buffer = [0; CHUNK];
    while let Some(length) = some_bytes(&mut from, &mut buffer) {
        let chunk = buffer.get(..length).unwrap_or_default().to_vec();
        if to.send(chunk).is_err() {
            break;
        }
    }
}

/// The end of what comes, kept by a thread of its own.
struct Tail {
    kept: Arc<Mutex<Vec<u8>>>,
    /// Nothing is said here; it is closed once nothing more comes.
    ended: Receiver<()>,
}

impl Tail {
    fn of(mut from: impl Read + Send + 'static) -> Self {
        let kept = Arc::default();
        let (open, ended) = sync_channel(0);
        let tail = Self {
            kept: Arc::clone(&kept),
            ended,
        };
        thread::spawn(move || {
            let _open = open;
            let mut buffer = [0; CHUNK];
            while let Some(length) = some_bytes(&mut from, &mut buffer) {
                if let Ok(mut kept) = kept.lock() {
                    kept.extend_from_slice(buffer.get(..length).unwrap_or_default());
                    let more = kept.len().saturating_sub(ERRORS_KEPT);
                    kept.drain(..more);
                }
            }
        });
        tail
    }

    /// What there is. Who has left its group may still hold the other side, and is not waited for.
    fn finish(self) -> String {
        let _ = self.ended.recv_timeout(LAST_WORDS);
        let kept = self.kept.lock().map(|kept| kept.clone()).unwrap_or_default();
        String::from_utf8_lossy(&kept).trim().to_owned()
    }
}

fn some_bytes(from: &mut impl Read, buffer: &mut [u8]) -> Option<usize> {
    loop {
        match from.read(buffer) {
            Ok(0) => return None,
            Ok(length) => return Some(length),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, wall_ms: u64, console_bytes: usize) -> Ended {
        let limits = Limits {
            wall: Duration::from_millis(wall_ms),
            console_bytes,
            ..Limits::default()
        };
        run(Command::new("sh").args(["-c", script]), &limits).unwrap()
    }

    #[test]
    fn output_and_errors_are_kept_apart() {
        let ended = shell("echo out; echo wrong >&2; exit 3", 10_000, 100);
        assert!(matches!(ended.how, How::Exited(status) if status.code() == Some(3)));
        assert_eq!((&ended.console[..], &ended.errors[..]), (&b"out\n"[..], "wrong"));
    }

    #[test]
    fn silence_and_a_closed_output_both_meet_the_clock() {
        // The last two are what a wrapper is like that starts the machine and waits for it.
        for script in [
            "exec sleep 60",
            "exec sleep 60 >&-",
            "sleep 60; true",
            "sleep 60 >&-; true",
        ] {
            let start = Instant::now();
            assert_eq!(shell(script, 200, 100).how, How::TimedOut, "{script}");
            assert!(start.elapsed() < Duration::from_secs(10));
        }
    }

    #[test]
    fn who_stays_behind_with_standard_error_is_not_waited_for() {
        let start = Instant::now();
        let ended = shell("sleep 30 >&- & echo wrong >&2; exit 3", 60_000, 100);
        assert!(matches!(ended.how, How::Exited(status) if status.code() == Some(3)));
        assert_eq!(ended.errors, "wrong");
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_flood_is_cut_at_its_limit_and_steady_output_at_the_clock() {
        let ended = shell("exec yes", 60_000, 10_000);
        assert_eq!((ended.how, ended.console.len()), (How::Flooded, 10_000));
        let ended = shell("exec yes", 100, usize::MAX);
        assert_eq!(ended.how, How::TimedOut);
    }

    #[test]
    fn only_the_end_of_the_errors_is_kept() {
        let ended = shell("yes no | head -c 100000 >&2; echo last >&2", 60_000, 100);
        assert!(ended.errors.len() <= 2048 && ended.errors.ends_with("last"));
    }
}
