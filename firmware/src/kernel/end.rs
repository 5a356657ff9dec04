//! The guest's end: with a report when all went as the rules allow, with an epitaph when they do not let it live.
//!
//! What an epitaph says is in [`super::epitaph`].

use seawall_firmware::board::Conduit;
use seawall_firmware::bundle;
use seawall_replay::port::End;
use seawall_replay::report::{Note, TaskReport, TaskState};
use spin::Once;

use super::Guest;
use super::task::State;
use crate::arch::port::Port;
use crate::arch::{psci, uart};

/// The ways out, known from the boot on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ways {
    pub(crate) port: Option<Port>,
    pub(crate) conduit: Option<Conduit>,
}

static WAYS: Once<Ways> = Once::new();

/// Names the ways out, once.
pub(crate) fn know(ways: Ways) {
    WAYS.call_once(|| ways);
}

/// Says how it ended, and switches the machine off.
pub(super) fn leave(end: End) -> ! {
    let ways = WAYS.get().copied().unwrap_or_default();
    if let Some(port) = ways.port {
        port.end(end);
    }
    psci::power_off(ways.conduit)
}

/// Has the machine begin again.
pub(super) fn reboot() -> ! {
    let ways = WAYS.get().copied().unwrap_or_default();
    if let Some(port) = ways.port {
        port.end(End::Reboot);
    }
    psci::reset(ways.conduit)
}

/// Stops for a reason of the guest's own: bad input. The reason has been logged.
pub(crate) fn fail() -> ! {
    uart::write(b"seawall: verdict: failed\n");
    leave(End::Failed)
}

impl Guest {
    /// All that was waited for has ended: the report, the verdict, and off.
    pub(super) fn finish(&mut self) -> ! {
        self.take_out_retired();
        self.kernel.say_verdicts();
        let aborts = self.kernel.aborts;
        let (mut faulted, mut damaged) = (0_u32, 0_u32);
        for slot in 1..self.kernel.tasks.made() {
            let task = self.kernel.slot(slot);
            if task.state == State::Empty {
                continue;
            }
            let report = task.report(slot, aborts);
            faulted += u32::from(matches!(report.state, TaskState::Faulted(_)));
            damaged += u32::from(report.damage != 0);
            say(&report);
            self.note(&Note::Task(report));
        }
        let census = self.take_stock();
        match (damaged, faulted, aborts) {
            (0, 0, 0) => log::info!("verdict: clean, no memory error"),
            (0, 0, _) => log::info!(
                "verdict: survived {aborts} memory error{}, {} frame{} retired",
                plural(aborts),
                census.retired,
                plural(census.retired)
            ),
            (0, _, _) => log::info!(
                "verdict: survived {aborts} memory error{}, {faulted} task{} faulted by themselves",
                plural(aborts),
                plural(faulted)
            ),
            (_, _, _) => log::info!("verdict: failed, {damaged} task{} found damage", plural(damaged)),
        }
        leave(if damaged == 0 { End::Done } else { End::Failed })
    }
}

/// The ending of what there are so many of.
fn plural(count: impl Into<u64>) -> &'static str {
    if count.into() == 1 { "" } else { "s" }
}

/// One line for a task.
fn say(report: &TaskReport) {
    let (slot, name, state) = (report.task, bundle::text(&report.program), report.state.name());
    match report.state {
        _ if report.bystander => {
            log::info!(
                "{slot:4} {name} {state}, {} rounds, {} damaged",
                report.progress,
                report.damage
            );
        }
        TaskState::Exited(code) => log::info!("{slot:4} {name} {state} with {code}"),
        TaskState::Faulted(class) => log::info!("{slot:4} {name} {state}, exception class {class:#x}"),
        TaskState::Alive | TaskState::Killed | TaskState::Isolated | TaskState::Unknown(_) => {
            log::info!("{slot:4} {name} {state}");
        }
    }
}
