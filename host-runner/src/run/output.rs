//! Where events go: through the renderer to standard output, and into the counts that become the exit code.

use std::io::{self, Write};
use std::time::Instant;

use anstream::AutoStream;

use crate::command::{ColourChoice, Exit};
use crate::events::{Event, Outcome, Totals};
use crate::render::{Format, Renderer, renderer};

/// Standard output in a format.
pub struct Output {
    renderer: Box<dyn Renderer>,
    stream: Box<dyn Write>,
    /// Nobody reads any more; the run goes on for its exit code.
    closed: bool,
    failed_to_write: bool,
    totals: Totals,
    reported: Vec<String>,
    start: Instant,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output")
            .field("totals", &self.totals)
            .finish_non_exhaustive()
    }
}

impl Output {
    /// Nothing said yet.
    #[must_use]
    pub fn new(format: Format, colour: ColourChoice) -> Self {
        Self::to(Box::new(AutoStream::new(io::stdout(), colour.anstream())), format)
    }

    /// Nothing said yet, to be said there.
    #[must_use]
    pub fn to(stream: Box<dyn Write>, format: Format) -> Self {
        Self {
            renderer: renderer(format),
            stream,
            closed: false,
            failed_to_write: false,
            totals: Totals::default(),
            reported: Vec::new(),
            start: Instant::now(),
        }
    }

    /// Takes one event.
    pub fn event(&mut self, event: Event) {
        match &event {
            Event::Verdict(verdict) => {
                match verdict.verdict {
                    Outcome::Pass => self.totals.passed += 1,
                    Outcome::Fail => self.totals.failed += 1,
                    Outcome::Timeout => self.totals.timed_out += 1,
                    Outcome::Saved => self.totals.saved += 1,
                    Outcome::Evacuated => self.totals.evacuated += 1,
                }
                self.reported.push(verdict.scenario.clone());
            }
            Event::Skipped(skipped) => {
                self.totals.skipped += 1;
                self.reported.push(skipped.scenario.clone());
            }
            _ => {}
        }
        self.write(&event);
    }

    /// The counts so far.
    pub(super) const fn counts(&self) -> &Totals {
        &self.totals
    }

    /// Whether a scenario has its verdict, or is skipped.
    #[must_use]
    pub fn has_reported(&self, scenario: &str) -> bool {
        self.reported.iter().any(|name| name == scenario)
    }

    /// Says how it all came out.
    #[must_use]
    pub fn finish(mut self) -> Exit {
        self.totals.wall_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.write(&Event::RunEnded(self.totals));
        let exit = Exit::of(&self.totals);
        // A result that was not delivered is no pass.
        if self.failed_to_write && exit == Exit::Pass {
            Exit::Environment
        } else {
            exit
        }
    }

    fn write(&mut self, event: &Event) {
        if self.closed {
            return;
        }
        let written = self
            .renderer
            .event(event, self.stream.as_mut())
            .and_then(|()| self.stream.flush());
        if let Err(error) = written {
            self.closed = true;
            if error.kind() != io::ErrorKind::BrokenPipe {
                self.failed_to_write = true;
                say!("seawall: cannot write results: {error}");
            }
        }
    }
}
