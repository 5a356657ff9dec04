//! The replayer: collects at a trap, has `seawall_shim::answer` decide, applies.

use seawall_replay::IntermediateAddress;
use seawall_replay::entry::{self, Kind};
use seawall_replay::handover::Handover;
use seawall_replay::interpreter::{Interpreter, Reaction};
use seawall_replay::plan::Injection;
use seawall_replay::port::Announcement;
use seawall_replay::reports::Report;
use seawall_replay::transcript::{Event, What};
use seawall_replay::walk;
use seawall_shim::answer::{Answer, answer};
use seawall_shim::psci::{self, Reply};
use seawall_shim::stage2::{MapError, Memory, Stage2};
use seawall_shim::trap::{Abort, Snapshot, Transfer};

use crate::arch::cpu::Cpu;
use crate::arch::memory::Window;
use crate::arch::tables::Translations;
use crate::arch::vectors::Frame;
use crate::arch::{firmware, tables, uart};
use crate::epitaph;
use crate::lives::Lives;
use crate::record::Record;

/// The GIC's distributor and redistributors on `virt`, in blocks.
const GIC: u64 = 0x0800_0000;
const GIC_BYTES: u64 = 0x0100_0000;

/// IDS = 1: an SError about which nothing is said, as KVM makes it when it is given no syndrome.
const DEFAULT_SYNDROME: u64 = 1 << 24;
const DEFAULT_USED: u64 = 1 << 63;

/// Everything the shim knows.
#[derive(Debug)]
pub(crate) struct Replayer {
    pub(crate) transcript: Record,
    cpu: Cpu,
    port: u64,
    memory: Window,
    interpreter: Interpreter,
    lives: Lives,
    stage2: Stage2<'static, Translations>,
}

/// Why there is no replayer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StartError {
    /// Stage 2 cannot be made.
    Map(MapError),
    /// The CPU cannot do it.
    Cpu(&'static str),
}

impl core::fmt::Display for StartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Map(error) => error.fmt(f),
            Self::Cpu(reason) => f.write_str(reason),
        }
    }
}

impl Replayer {
    /// Makes stage 2 and sets the CPU up for the guest.
    pub(crate) fn new(handover: &Handover) -> Result<Self, StartError> {
        let (pool, base) = tables::pool().ok_or(StartError::Map(MapError::Exhausted))?;
        let mut stage2 = Stage2::new(pool, base, Translations).map_err(StartError::Map)?;
        for (start, bytes, memory) in [
            (GIC, GIC_BYTES, Memory::Device),
            (uart::BASE, uart::BYTES, Memory::Device),
            (handover.memory, handover.memory_bytes, Memory::Normal),
        ] {
            stage2.map(start, bytes, memory).map_err(StartError::Map)?;
        }
        Ok(Self {
            transcript: Record::begin(Window::of_transcript(handover)),
            cpu: Cpu::set_up(stage2.root()).map_err(StartError::Cpu)?,
            port: handover.port,
            memory: Window::of_guest(handover),
            interpreter: Interpreter::new(handover.plan),
            lives: Lives::of(handover),
            stage2,
        })
    }

    /// Answers one synchronous exception from the guest.
    pub(crate) fn trap(&mut self, frame: &mut Frame) {
        let snapshot = Cpu::snapshot();
        match answer(&snapshot, self.port, self.cpu.vbar()) {
            Answer::Port { offset, transfer } => {
                Cpu::advance(&snapshot, 4);
                if transfer.write {
                    self.port_write(&snapshot, offset, transfer, frame.get(transfer.register));
                } else {
                    let value = self.interpreter.read(offset, transfer.width);
                    frame.set(transfer.register, transfer.loaded(value));
                }
            }
            Answer::Skip => Cpu::advance(&snapshot, 4),
            Answer::ExternalAbort(abort) => self.deliver(&snapshot, abort),
            Answer::Call { advance } => {
                if !self.call(frame) {
                    Cpu::advance(&snapshot, advance);
                }
            }
            Answer::Stuck => epitaph::of_guest(&snapshot, self.transcript, &"the guest is stuck"),
        }
    }

    /// Gives the guest a synchronous external abort for an access that stage 2 refused.
    fn deliver(&mut self, snapshot: &Snapshot, abort: Abort) {
        let level = if abort.walk {
            walk::level_reading(self.cpu.regime(), snapshot.far, abort.ipa, |entry| {
                self.memory.read(entry)
            })
        } else {
            None
        };
        let syndrome = entry::sea_syndrome(abort.access, entry::is_el0(snapshot.spsr), level);
        let after = entry::enter(self.cpu.before(snapshot), Kind::Synchronous);
        self.cpu.enter(after, syndrome, Some(snapshot.far));
        // Only memory has holes; for a guest that is lost elsewhere, nothing is searched.
        let opening = if self.memory.has_page(abort.ipa & !0xfff) {
            self.transcript.opening(abort.ipa)
        } else {
            None
        };
        let opening = opening.unwrap_or(Event::of(What::Opened));
        let (ipa, address) = (abort.ipa, snapshot.far);
        self.transcript.add(&Event {
            what: What::Delivered,
            ipa,
            syndrome,
            address,
            ..opening
        });
        if let Some(syndrome) = opening.step.and_then(|step| self.interpreter.beside(step)) {
            // Masked by the entry: both are with the guest now, the abort first.
            let pended = self.pend(Some(syndrome), opening);
            self.transcript.add(&pended);
        }
    }

    /// Pends an SError; gives the event of it.
    fn pend(&self, syndrome: Option<u32>, cause: Event) -> Event {
        self.cpu.pend_serror(syndrome.map_or(DEFAULT_SYNDROME, u64::from));
        Event {
            what: What::Pended,
            syndrome: syndrome.map_or(DEFAULT_SYNDROME | DEFAULT_USED, u64::from),
            ..cause
        }
    }

    /// What the plan has for the moment before the guest's first instruction.
    pub(crate) fn start(&mut self) {
        if let Reaction::Inject {
            step,
            injection: Injection::SError { syndrome },
            announcement,
            ..
        } = self.interpreter.start()
        {
            let cause = of_announcement(What::Pended, Some(step), announcement);
            let pended = self.pend(syndrome, cause);
            self.transcript.add(&pended);
        }
    }

    /// Takes a store to the port; the guest stands behind it already.
    fn port_write(&mut self, snapshot: &Snapshot, offset: u64, transfer: Transfer, register: u64) {
        let value = transfer.stored(register);
        let event = match self.interpreter.write(offset, transfer.width, value) {
            Reaction::Announced {
                step, announcement, ..
            } => of_announcement(What::Announced, step, announcement),
            Reaction::Inject {
                step,
                injection:
                    injection @ (Injection::Hole
                    | Injection::HoleBesideSError { .. }
                    | Injection::ReadOnly
                    | Injection::Poison(_)
                    | Injection::Mend
                    | Injection::HostAbort
                    | Injection::Patrol { .. }
                    | Injection::Save(_)
                    | Injection::Left
                    | Injection::Draw { .. }
                    | Injection::Nothing
                    | Injection::SErrorLater { .. }),
                announcement,
                ..
            } => {
                let page = announcement.page.0;
                let changed = match injection {
                    _ if !self.memory.has_page(page) => None,
                    Injection::Hole | Injection::HoleBesideSError { .. } => Some(self.stage2.take_out(page)),
                    Injection::ReadOnly => Some(self.stage2.protect(page)),
                    Injection::Patrol { failing: true } => Some(self.stage2.remember_failing(page)),
                    Injection::Patrol { failing: false } => Some(self.stage2.take_out(page)),
                    // There is no host behind this memory: none that could be poisoned, join slots, save it, take an abort, kick
                    // the guest out later, or abort an access by itself; and what draws, or draws nothing, is no injection.
                    _ => None,
                };
                if let Some(changed) = changed {
                    if let Err(error) = changed {
                        epitaph::of_guest(snapshot, self.transcript, &error);
                    }
                    match injection {
                        Injection::Patrol { failing } => self.report(step, announcement, failing),
                        _ => of_announcement(injection.noted_as(), Some(step), announcement),
                    }
                } else {
                    let refused = of_announcement(What::Refused, Some(step), announcement);
                    Event {
                        ipa: offset,
                        syndrome: value,
                        ..refused
                    }
                }
            }
            Reaction::Inject {
                step,
                injection: Injection::SError { syndrome },
                announcement,
                ..
            } => {
                let cause = of_announcement(What::Pended, Some(step), announcement);
                self.pend(syndrome, cause)
            }
            Reaction::Inject {
                step,
                injection:
                    injection @ (Injection::Abort { esr, far } | Injection::AbortBySErrorVector { esr, far }),
                announcement,
                ..
            } => {
                // As the store left it, and not as it was when the store came.
                let after = entry::enter(self.cpu.before(&Cpu::snapshot()), injection.vector());
                self.cpu.enter(after, esr, far);
                Event {
                    syndrome: esr,
                    address: self.cpu.far(),
                    ..of_announcement(What::Entered, Some(step), announcement)
                }
            }
            Reaction::Journal { address, length } => {
                self.lives.journal_is_at(address.0, length);
                Event {
                    ipa: address.0,
                    syndrome: length,
                    ..Event::of(What::Journal)
                }
            }
            Reaction::Noted => return,
            Reaction::Lost { from } => {
                let memory = self.memory.range();
                let page = self.stage2.lost(from.0.max(memory.start), memory.end);
                self.interpreter.lost(page.map(IntermediateAddress));
                return;
            }
            Reaction::End(end) => {
                self.lives.ends(end);
                Event {
                    ipa: end.to_word(),
                    ..Event::of(What::End)
                }
            }
            Reaction::Refused => Event {
                ipa: offset,
                syndrome: value,
                ..Event::of(What::Refused)
            },
        };
        self.transcript.add(&event);
    }

    /// Has the guest find the announced page reported; gives the event of it.
    fn report(&mut self, step: u16, announcement: Announcement, failing: bool) -> Event {
        let page = announcement.page;
        let report = Report { page, failing };
        let what = match self.interpreter.report(report) {
            true => What::Reported,
            // The guest asks for none, or too seldom.
            false => What::Refused,
        };
        Event {
            syndrome: report.to_word(),
            ..of_announcement(what, Some(step), announcement)
        }
    }

    /// An SError that the guest never took had no part in how it ended.
    fn note_pending(&self) {
        if Cpu::is_serror_pending() {
            self.transcript.add(&Event::of(What::StillPending));
        }
    }

    /// PSCI, by HVC or SMC alike. True when the guest begins again: then nothing of the call is left to be done.
    fn call(&mut self, frame: &mut Frame) -> bool {
        match psci::reply(frame.get(0), frame.get(1)) {
            Reply::Value(value) => frame.set(0, value),
            Reply::Off => {
                self.note_pending();
                say_how(psci::SYSTEM_OFF);
                firmware::off()
            }
            Reply::Reset if self.begin_again(frame) => return true,
            Reply::Reset => {
                self.note_pending();
                say_how(psci::SYSTEM_RESET);
                firmware::reset()
            }
        }
        false
    }

    /// Starts the guest once more, where it has said that it wants that: its Image and its device tree as they were, all
    /// other memory as it is, and what was taken out stays out.
    fn begin_again(&mut self, frame: &mut Frame) -> bool {
        let Some(next) = self.lives.begin_another(self.memory) else {
            return false;
        };
        self.interpreter.reboot();
        self.transcript.add(&next.event);
        for register in 0..31 {
            frame.set(register, 0);
        }
        frame.set(0, next.device_tree);
        self.cpu.reset(next.entry);
        true
    }
}

/// Leaves word for the runner of which call ended the run, as QEMU ends in the same way for both.
fn say_how(function: u32) {
    // The window is one word long.
    let _ = Window::of_outcome().write_at(0, u64::from(function));
}

fn of_announcement(what: What, step: Option<u16>, announcement: Announcement) -> Event {
    let Announcement { task, number, page } = announcement;
    Event {
        step,
        task,
        number,
        ipa: page.0,
        ..Event::of(what)
    }
}
