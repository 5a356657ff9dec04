//! The console: what the kernel logs, and what programs write.

use core::fmt::{self, Write};

use log::{LevelFilter, Log, Metadata, Record};
use seawall_agent::engine::Cause;
use seawall_agent::{Decision, Severity, VirtualAddress};
use seawall_firmware::bundle;
use seawall_firmware::calls::STACK_TOP;
use spin::mutex::SpinMutex;

use super::Kernel;
use crate::arch::uart;

/// Verdicts printed one by one; after these only their number is.
const SAID_AT_MOST: usize = 16;

/// In the page that every task's stack begins in.
const TOP_OF_STACK: VirtualAddress = VirtualAddress(STACK_TOP - 1);

/// Whoever writes holds this, so that lines stay whole. It is only ever tried: nobody waits for a console.
static WRITING: SpinMutex<()> = SpinMutex::new(());

struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        uart::write(text.as_bytes());
        Ok(())
    }
}

impl Log for Console {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if let Some(_writing) = WRITING.try_lock() {
            // A console that does not take text is nobody's error.
            let _ = writeln!(Console, "seawall: {}", record.args());
        }
    }

    fn flush(&self) {}
}

/// Sends the kernel's log to the console from now on.
pub(crate) fn open() {
    if log::set_logger(&Console).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

/// What a program wrote.
pub(super) fn program(text: &[u8]) {
    if let Some(_writing) = WRITING.try_lock() {
        uart::write(text);
    }
}

/// What is printed of a verdict.
#[derive(Clone, Copy, Debug)]
pub(super) struct Saying {
    pub(super) slot: u16,
    pub(super) cause: Cause,
    pub(super) severity: Severity,
    pub(super) decision: Decision,
}

impl Saying {
    /// A place that nothing was put into yet.
    pub(super) const NOTHING: Self = Self {
        slot: 0,
        cause: Cause::Synchronous,
        severity: Severity::Corrected,
        decision: Decision::CarryOn,
    };
}

impl Kernel {
    /// Prints the verdicts that were put off.
    pub(super) fn say_verdicts(&mut self) {
        for saying in self.unsaid.iter().take(self.unsaid_count) {
            if self.said >= SAID_AT_MOST {
                break;
            }
            self.said += 1;
            let name = match saying.slot {
                0 => "nobody",
                slot => bundle::text(&self.tasks.slot(slot).name),
            };
            log::info!(
                "memory error {}: {}, {}, charged to {name} ({}): {}",
                self.said,
                saying.cause.name(),
                saying.severity.name(),
                saying.slot,
                saying.decision.name()
            );
            if self.said == SAID_AT_MOST {
                log::info!("more memory errors are counted, not printed");
            }
        }
        self.unsaid_count = 0;
    }

    /// Prints once that the guest only stays, and where the tasks that go on have their stacks: places for somebody to
    /// inject at by hand.
    pub(super) fn say_stay(&mut self) {
        if self.unsaid_stay == 0 || self.awaited != 0 {
            return;
        }
        for slot in self.ready.iter() {
            let task = self.slot(slot);
            let page = task.space.and_then(|space| space.frame_at(TOP_OF_STACK));
            if let Some(page) = page {
                log::info!(
                    "{} ({slot}): its stack's page is at {:#x} (guest physical)",
                    bundle::text(&task.name),
                    page.address().0
                );
            }
        }
        log::info!("staying for {} s", self.unsaid_stay);
        self.unsaid_stay = 0;
    }
}
