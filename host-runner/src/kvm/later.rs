//! An SError that waits: for a time, for a kick, and for the task that announced it.
//!
//! The guest may run without ever leaving. So the thread that waits for its end is asked for a kick, and kicks until the
//! vCPU is found in EL0 in the address space that made the announcement; anywhere else the error would be somebody
//! else's.

use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use seawall_replay::entry;

use super::board::Cause;
use super::events::{self, LeftFor};
use super::machine::Machine;
use super::uapi::Register;

/// The task that announced must run within this time of the moment when its SError is due.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a vCPU's thread tells whoever waits for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Said {
    /// It will not run again.
    Done,
    /// It is to be kicked from then on, until it says something else.
    KickFrom(Instant),
    /// No kick is needed any more.
    Enough,
}

/// What is still to be pended.
#[derive(Debug, Default)]
pub(super) struct Later {
    /// Who can kick.
    pub(super) kicker: Option<Sender<Said>>,
    waiting: Option<Waiting>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    cause: Cause,
    syndrome: Option<u32>,
    from: Instant,
    space: u64,
}

impl Later {
    /// Whether an SError is still to come: it would be lost with this process.
    pub(super) const fn waits(&self) -> bool {
        self.waiting.is_some()
    }
}

impl Machine {
    /// Has an SError pended once the time has passed; the guest stands at the announcement.
    pub(super) fn pend_later(
        &mut self,
        cause: Cause,
        syndrome: Option<u32>,
        milliseconds: u32,
    ) -> Result<(), String> {
        if self.later.waiting.is_some() {
            return Err("an SError waits for its time already".into());
        }
        let from = Instant::now() + Duration::from_millis(milliseconds.into());
        let space = self.read(Register::Ttbr0El1)?;
        self.later.waiting = Some(Waiting {
            cause,
            syndrome,
            from,
            space,
        });
        self.tell(Said::KickFrom(from))
    }

    /// Pends what waits, if its time and its task have come; the vCPU was interrupted.
    pub(super) fn pend_if_due(&mut self) -> Result<(), String> {
        let Some(waiting) = self
            .later
            .waiting
            .filter(|waiting| Instant::now() >= waiting.from)
        else {
            return Ok(());
        };
        let is_its_turn =
            entry::is_el0(self.read(Register::Pstate)?) && self.read(Register::Ttbr0El1)? == waiting.space;
        if !is_its_turn {
            return if waiting.from.elapsed() > PATIENCE {
                Err("the task that announced an SError for later does not run any more".into())
            } else {
                Ok(())
            };
        }
        self.later.waiting = None;
        self.tell(Said::Enough)?;
        self.give(events::serror(waiting.syndrome), LeftFor::Nothing)?;
        self.board.pended(waiting.cause, waiting.syndrome);
        Ok(())
    }

    fn tell(&self, said: Said) -> Result<(), String> {
        let kicker = self.later.kicker.as_ref().ok_or("nobody can kick this vCPU")?;
        kicker
            .send(said)
            .map_err(|_| "nobody waits for this vCPU any more".into())
    }
}
