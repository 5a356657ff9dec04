//! A sign of life on a terminal: what runs and for how long, in one line that is replaced in place. Where standard error
//! is no terminal nothing is said.

use std::io::{self, IsTerminal as _, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often the line is replaced. What is over sooner needs no sign of life.
const EVERY: Duration = Duration::from_secs(1);
/// Back to the line's begin, and away with what is there [ECMA-48 8.3.41].
const CLEAR: &str = "\r\x1b[2K";

/// What the line says.
struct Shown {
    what: String,
    since: Instant,
    is_drawn: bool,
}

impl Shown {
    fn draw(&mut self, out: &mut dyn Write) {
        let seconds = self.since.elapsed().as_secs();
        // Whoever cannot be told is not: this is no result.
        let _ = write!(out, "{CLEAR}seawall: {}, {seconds} s", self.what).and_then(|()| out.flush());
        self.is_drawn = true;
    }

    fn clear(&mut self, out: &mut dyn Write) {
        if std::mem::take(&mut self.is_drawn) {
            let _ = write!(out, "{CLEAR}").and_then(|()| out.flush());
        }
    }
}

/// The line, for as long as this is held.
pub(super) struct Progress(Option<Ticking>);

struct Ticking {
    shown: Arc<Mutex<Shown>>,
    /// Dropped first: it ends the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The line is away, and stays so until this is dropped.
pub(super) struct Quiet<'a>(#[expect(dead_code, reason = "held for its lock")] Option<MutexGuard<'a, Shown>>);

impl Progress {
    /// Begins to say that this runs.
    pub(super) fn of(what: &str) -> Self {
        let is_seen =
            io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self(is_seen.then(|| Ticking::begin(what)))
    }

    /// From now on something else runs.
    pub(super) fn now(&self, what: &str) {
        let Some(ticking) = &self.0 else { return };
        let mut shown = locked(&ticking.shown);
        if shown.what != what {
            what.clone_into(&mut shown.what);
            shown.since = Instant::now();
        }
    }

    /// Takes the line away, for something else to be printed.
    pub(super) fn quiet(&self) -> Quiet<'_> {
        Quiet(self.0.as_ref().map(|ticking| {
            let mut shown = locked(&ticking.shown);
            shown.clear(&mut io::stderr());
            shown
        }))
    }
}

impl Ticking {
    fn begin(what: &str) -> Self {
        let shown = Arc::new(Mutex::new(Shown {
            what: what.to_owned(),
            since: Instant::now(),
            is_drawn: false,
        }));
        let (stop, stopped) = mpsc::channel();
        let drawn = Arc::clone(&shown);
        let thread = thread::spawn(move || {
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                locked(&drawn).draw(&mut io::stderr());
            }
        });
        Self {
            shown,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It does nothing that panics.
            let _ = thread.join();
        }
        locked(&self.shown).clear(&mut io::stderr());
    }
}

fn locked(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_replaced_in_place_and_leaves_nothing_behind() {
        let mut out = Vec::new();
        let mut shown = Shown {
            what: "load on qemu".into(),
            since: Instant::now(),
            is_drawn: false,
        };
        shown.clear(&mut out);
        assert!(out.is_empty(), "nothing is there to be taken away");
        shown.draw(&mut out);
        shown.draw(&mut out);
        shown.clear(&mut out);
        shown.clear(&mut out);
        let line = format!("{CLEAR}seawall: load on qemu, 0 s");
        assert_eq!(String::from_utf8(out).unwrap(), format!("{line}{line}{CLEAR}"));
    }
}
