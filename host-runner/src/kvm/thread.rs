//! The vCPU on a thread of its own: created, running, stopped.
#![expect(unsafe_code, reason = "the byte of kvm_run that a kick sets")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::board::Cause;
use super::kick;
use super::later::Said;
use super::machine::Machine;
use crate::backend::RunEnd;
use crate::budget::Passed;

/// Between two kicks of a vCPU that has not stopped yet.
const KICK_INTERVAL: Duration = Duration::from_millis(10);
/// Between two kicks of a vCPU that is waited for to be somewhere.
const SEARCH_INTERVAL: Duration = Duration::from_millis(1);
/// After so long the kernel itself is taken to be at fault.
const KICK_LIMIT: Duration = Duration::from_secs(10);

/// A vCPU that has not run yet.
#[derive(Debug)]
pub(super) struct Created(pub(super) Machine);

/// A vCPU on its thread.
#[derive(Debug)]
pub(super) struct Running {
    thread: JoinHandle<Stopped>,
    stop: Arc<AtomicBool>,
    said: Receiver<Said>,
    since: Instant,
}

/// A vCPU that will not run again.
#[derive(Debug)]
pub(super) struct Stopped {
    /// Why.
    pub(super) end: End,
    /// What it ran in.
    pub(super) machine: Machine,
}

/// Why a vCPU stopped.
#[derive(Debug)]
pub(super) enum End {
    /// The run is over.
    Over(RunEnd),
    /// The guest begins again.
    Reboot,
    /// The machine is to be saved where it stands, for this step: by a thread that is in no sandbox.
    Save(Cause),
    /// Its budget is overdrawn: it is to be saved, and to leave this host.
    Evacuate(Passed),
}

impl Stopped {
    /// What is left to do for the end, done.
    pub(super) fn finish(self) -> (RunEnd, Machine) {
        let Self { end, mut machine } = self;
        let end = match end {
            End::Over(end) => end,
            // Whoever could have started it again did not.
            End::Reboot => RunEnd::Reset,
            End::Save(cause) => machine.save_and_stop(Some(cause)),
            End::Evacuate(passed) => match machine.save_and_stop(None) {
                RunEnd::Saved(file) => RunEnd::Evacuated { passed, file },
                cannot => cannot,
            },
        };
        (end, machine)
    }
}

impl Created {
    /// Starts it.
    ///
    /// # Errors
    /// When the host gives no thread or no signal handler.
    pub(super) fn start(self) -> std::io::Result<Running> {
        kick::install()?;
        let stop = Arc::new(AtomicBool::new(false));
        let (say, said) = mpsc::channel();
        let told = Arc::clone(&stop);
        let since = Instant::now();
        let thread = thread::Builder::new().name("vcpu0".into()).spawn(move || {
            let mut machine = self.0;
            machine.later.kicker = Some(say.clone());
            let stopped = run(machine, &told);
            // Nobody listens any more after a panic alone, and then nobody needs to know.
            let _ = say.send(Said::Done);
            stopped
        })?;
        Ok(Running {
            thread,
            stop,
            said,
            since,
        })
    }
}

impl Running {
    /// Waits until it stops, and sees to it that it does once the time is up.
    ///
    /// # Errors
    /// When its thread was lost; the guest's memory stays with it then.
    pub(super) fn stopped_within(self, wall: Duration) -> Result<Stopped, String> {
        if !self.ends_before(self.since + wall) {
            self.stop.store(true, Ordering::Release);
            let kicked = Instant::now();
            kick::kick(&self.thread);
            while !self.ends_before(Instant::now() + KICK_INTERVAL) {
                if kicked.elapsed() > KICK_LIMIT {
                    return Err("the vCPU's thread does not answer to a kick: KVM holds it".into());
                }
                kick::kick(&self.thread);
            }
        }
        self.thread
            .join()
            .map_err(|_| "the vCPU's thread panicked".into())
    }

    /// Waits for its end, and kicks it meanwhile whenever it asks for that.
    fn ends_before(&self, limit: Instant) -> bool {
        let mut kick_from: Option<Instant> = None;
        loop {
            let next = kick_from.map_or(limit, |from| from.min(limit));
            match self
                .said
                .recv_timeout(next.saturating_duration_since(Instant::now()))
            {
                Ok(Said::Done) | Err(RecvTimeoutError::Disconnected) => return true,
                Ok(Said::KickFrom(from)) => kick_from = Some(from),
                Ok(Said::Enough) => kick_from = None,
                Err(RecvTimeoutError::Timeout) if Instant::now() >= limit => return false,
                Err(RecvTimeoutError::Timeout) => {
                    kick::kick(&self.thread);
                    kick_from = kick_from.map(|_| Instant::now() + SEARCH_INTERVAL);
                }
            }
        }
    }
}

fn run(mut machine: Machine, stop: &AtomicBool) -> Stopped {
    let immediate_exit = &raw mut machine.vcpu.get_kvm_run().immediate_exit;
    // SAFETY: the byte lies in the mapping that `machine.vcpu` holds; `machine` moves on only as a value (the mapping
    // stays where it is) and `target` is dropped in this function, while `machine` lives.
    let target = unsafe { kick::Target::new(immediate_exit) };
    let _watch = match machine.prepare() {
        Ok(watch) => watch,
        Err(reason) => {
            drop(target);
            return Stopped {
                end: End::Over(RunEnd::Stuck(reason)),
                machine,
            };
        }
    };
    let mut end = match machine.begin() {
        Ok(()) => machine.run_until(stop),
        Err(reason) => End::Over(RunEnd::Stuck(reason)),
    };
    drop(target);
    // Before the host's kernel takes the memory back, and walks its tables for that.
    if let Some(Err(reason)) = machine.outside.take().map(|outside| outside.mend(None)) {
        end = End::Over(RunEnd::Stuck(reason));
    }
    Stopped { end, machine }
}
