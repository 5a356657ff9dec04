//! The lab's outside: makes a walk of the VM's stage 2 fail, through QEMU's gdb stub, and undoes it.
//!
//! The level-2 descriptor over the page is pointed at an address where the machine has nothing; the walk's next read
//! there is a synchronous external abort. Everything in those 2 MiB is out of the guest's reach meanwhile, and the
//! machine's own kernel must not walk there either: what is not mended soon is mended unasked.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::gdb::{Gdb, GdbError};
use super::message::{Answer, Ask, Question};
use super::stage2::{self, NoWay, Regime};

/// A table descriptor that leads to 0x0b000000, where QEMU's `virt` has nothing: its devices end below, and the platform
/// bus begins at 0x0c000000.
const NOTHING: u64 = 0x0b00_0003;
/// From the machine's stop to its going on, at most: less than the inside's patience.
const STOP: Duration = Duration::from_secs(4);
/// After so long, what is broken is mended unasked.
const MEND_AFTER: Duration = Duration::from_secs(5);
/// How many pages may be broken at a time.
const MOST: usize = 16;

/// A descriptor that leads nowhere now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Broken {
    page: u64,
    place: u64,
    before: u64,
}

/// The machine cannot be let go on: {0}.
#[derive(Debug)]
pub(super) struct Stopped(pub(super) String);

/// The outside.
#[derive(Debug)]
pub(super) struct Breaker {
    socket: PathBuf,
    link: Option<Link>,
    broken: Vec<Broken>,
    since: Option<Instant>,
}

#[derive(Debug)]
struct Link {
    gdb: Gdb<UnixStream>,
    // Of VTTBR_EL2 and VTCR_EL2, once they are known.
    numbers: Option<[u32; 2]>,
}

/// Why something was not done.
enum Reason {
    Gdb(GdbError),
    NoWay(NoWay),
    Said(String),
}

impl From<GdbError> for Reason {
    fn from(error: GdbError) -> Self {
        Self::Gdb(error)
    }
}

impl From<NoWay> for Reason {
    fn from(error: NoWay) -> Self {
        Self::NoWay(error)
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Gdb(error) => error.to_string(),
            Reason::NoWay(error) => error.to_string(),
            Reason::Said(text) => text,
        }
    }
}

impl Link {
    /// Does what is done once.
    fn prepare(&mut self) -> Result<(), Reason> {
        if self.numbers.is_none() {
            self.gdb.greet()?;
            self.numbers = Some(self.gdb.numbers(["VTTBR_EL2", "VTCR_EL2"])?);
        }
        Ok(())
    }
}

impl Breaker {
    /// For a machine whose gdb stub listens at `socket`.
    pub(super) const fn new(socket: PathBuf) -> Self {
        Self {
            socket,
            link: None,
            broken: Vec::new(),
            since: None,
        }
    }

    /// When something has to be mended unasked.
    pub(super) fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + MEND_AFTER)
    }

    /// Mends everything, unasked.
    ///
    /// # Errors
    /// [`Stopped`].
    pub(super) fn mend_overdue(&mut self) -> Result<(), Stopped> {
        self.since = None;
        let pages: Vec<u64> = self.broken.iter().map(|broken| broken.page).collect();
        for page in pages {
            // Who is concerned learns of it when he asks for it himself.
            let _ = self.standing_still(|breaker| breaker.mend(page))?;
        }
        Ok(())
    }

    /// Answers a question; `None` where it is none.
    ///
    /// # Errors
    /// [`Stopped`].
    pub(super) fn answer(&mut self, text: &str) -> Result<Option<String>, Stopped> {
        let Some(Question { number, ask }) = Question::parse(text) else {
            return Ok(None);
        };
        let result = match ask {
            Ask::Mend { page } if !self.broken.iter().any(|broken| broken.page == page) => Ok(()),
            Ask::Mend { page } => self.standing_still(|breaker| breaker.mend(page))?,
            Ask::Break { page, known, frame } => {
                self.standing_still(|breaker| breaker.break_at(page, known, frame))?
            }
        };
        let result = result.map_err(String::from);
        Ok(Some(Answer { number, result }.to_string()))
    }

    /// Does something while the machine stands still, and has it go on whatever came of it.
    fn standing_still(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<(), Reason>,
    ) -> Result<Result<(), Reason>, Stopped> {
        let result = self.stop().and_then(|()| act(self));
        // Where nobody is connected, it was not stopped.
        let Some(link) = &mut self.link else {
            return Ok(result);
        };
        match (result, link.gdb.go()) {
            // Whether it stands or runs is not known any more, and no later answer would be.
            (Err(Reason::Gdb(error @ (GdbError::Connection(_) | GdbError::TimedOut))), _)
            | (_, Err(error)) => Err(Stopped(error.to_string())),
            (result, Ok(())) => Ok(result),
        }
    }

    fn stop(&mut self) -> Result<(), Reason> {
        if let Some(link) = &mut self.link {
            link.gdb.stop()?;
            return link.prepare();
        }
        let connect = || -> io::Result<UnixStream> {
            let stream = UnixStream::connect(&self.socket)?;
            stream.set_read_timeout(Some(STOP / 16))?;
            stream.set_write_timeout(Some(STOP))?;
            Ok(stream)
        };
        let gdb = Gdb::over(connect().map_err(GdbError::Connection)?, STOP);
        self.link.insert(Link { gdb, numbers: None }).prepare()
    }

    fn link(&mut self) -> Result<&mut Link, Reason> {
        self.link
            .as_mut()
            .ok_or_else(|| Reason::Said("QEMU's gdb stub is not connected".into()))
    }

    fn break_at(&mut self, page: u64, known: u64, frame: u64) -> Result<(), Reason> {
        if self.broken.len() >= MOST {
            return Err(Reason::Said(format!("{MOST} pages are out of reach already")));
        }
        if (page ^ known) >> 21 == 0 {
            return Err(Reason::Said(format!(
                "{page:#x} is in the same 2 MiB as {known:#x}, where the guest runs"
            )));
        }
        let link = self.link()?;
        let [vttbr, vtcr] = link.numbers.unwrap_or_default();
        let regime = Regime {
            vttbr: link.gdb.register(vttbr)?,
            vtcr: link.gdb.register(vtcr)?,
        };
        let mut read = |place| -> Result<u64, Reason> { Ok(link.gdb.read(place)?) };
        let found = stage2::page_of(regime, known, &mut read)?;
        if found != frame {
            return Err(Reason::Said(format!(
                "VTTBR_EL2 {:#x} leads from {known:#x} to {found:#x} and not to {frame:#x}: it is not this VM's",
                regime.vttbr
            )));
        }
        let (place, before) = stage2::descriptor_over(regime, page, &mut read)?;
        if before == NOTHING {
            return Err(Reason::Said(format!("{page:#x} is out of reach already")));
        }
        // Noted first: a write that seems to fail may have been done.
        self.broken.push(Broken { page, place, before });
        self.since.get_or_insert_with(Instant::now);
        Ok(self.link()?.gdb.write(place, NOTHING)?)
    }

    fn mend(&mut self, page: u64) -> Result<(), Reason> {
        let known = self.broken.iter().copied().enumerate();
        let Some((at, Broken { place, before, .. })) =
            known.into_iter().find(|(_, broken)| broken.page == page)
        else {
            return Ok(());
        };
        let link = self.link()?;
        let now = link.gdb.read(place)?;
        if now == NOTHING {
            link.gdb.write(place, before)?;
        }
        // It stays noted until it is whole.
        self.broken.swap_remove(at);
        if self.broken.is_empty() {
            self.since = None;
        }
        if now == NOTHING || now == before {
            return Ok(());
        }
        // What was there may have been given back: to put it in again would be worse than to leave it out.
        Err(Reason::Said(format!(
            "the machine's own kernel has made {now:#x} of the descriptor at {place:#x}"
        )))
    }
}

#[cfg(test)]
mod tests;
