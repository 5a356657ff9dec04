//! The kernel proper: tasks, turns, calls, and what becomes of a task that meets poisoned memory.
//!
//! Nothing in this folder is `unsafe` or knows a register. [`recover`] is the way of an abort; it allocates nothing,
//! takes no lock, formats nothing and cannot panic.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic
    )
)]

mod call;
pub(crate) mod console;
mod copies;
pub(crate) mod end;
pub(crate) mod epitaph;
pub(crate) mod family;
mod fault;
mod fork;
mod fresh;
mod futex;
mod heal;
mod inspect;
mod load;
mod patrol;
pub(crate) mod recover;
pub(crate) mod retired;
mod schedule;
mod signal;
pub(crate) mod task;
mod threads;
mod trial;
mod walks;

use core::cell::Cell;

use seawall_agent::engine::{Snapshot, Unbooked};
use seawall_agent::{FrameNumber, Journal, Ledger};
use seawall_firmware::arguments::Arguments;
use seawall_firmware::bundle::Bundle;
use seawall_firmware::frames::{FrameList, FrameTable, Holder};
use seawall_firmware::image::Image;
use seawall_firmware::slots::SlotSet;
use seawall_replay::report::Note;

use crate::arch::frame::Frame;
use crate::arch::gic::Gic;
use crate::arch::port::Port;
use crate::arch::slots::Slots;
use crate::arch::space::Walked;
use crate::arch::{counter, memory, timer};
use family::Family;
use fault::Telling;
use task::{State, Task};

/// The guest: the kernel, and the agent's books beside it.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) kernel: Kernel,
    pub(crate) ledger: Ledger<'static>,
    pub(crate) journal: Journal<'static>,
    /// What is still to be done since a handler was told.
    unbooked: Option<Unbooked>,
}

/// What the boot found out, for the kernel to begin with.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) tasks: Slots<Task>,
    pub(crate) images: Slots<Image>,
    pub(crate) families: Slots<Family>,
    pub(crate) frames: FrameTable<'static>,
    pub(crate) bundle: Bundle<'static>,
    pub(crate) gic: Gic,
    pub(crate) port: Option<Port>,
    /// The physical address of a table that maps nothing.
    pub(crate) nothing: u64,
    /// Where the kernel's Image was loaded.
    pub(crate) image: u64,
    pub(crate) ras: bool,
    pub(crate) pfar: bool,
    /// Instructions at the guest's first, where they are counted.
    pub(crate) counting: bool,
}

/// The kernel.
#[derive(Debug)]
pub(crate) struct Kernel {
    tasks: Slots<Task>,
    /// What each program's pages held at first: that of the bundle's first program in place 1.
    images: Slots<Image>,
    families: Slots<Family>,
    free_families: SlotSet,
    frames: FrameTable<'static>,
    bundle: Bundle<'static>,
    gic: Gic,
    port: Option<Port>,
    nothing: u64,
    image: u64,
    pub(crate) ras: bool,
    pub(crate) pfar: bool,
    counting: bool,
    /// The slot that runs; 0 when none does.
    current: u16,
    /// Slots by state.
    ready: SlotSet,
    sleeping: SlotSet,
    /// No sleeper wakes before this tick.
    next_wake: u64,
    /// Ended tasks whose memory is still to be given back.
    dead: SlotSet,
    /// Ended tasks that are to be started again.
    again: SlotSet,
    /// Slots that were used, and are free.
    free: SlotSet,
    /// Who was told of a frame that was retired, until the journal says so.
    told: [Telling; fault::MOST_TOLD],
    told_count: u16,
    /// Tasks that report progress.
    counting_tasks: SlotSet,
    /// Tasks whose end is waited for.
    awaited: u32,
    /// Aborts so far.
    aborts: u64,
    /// Verdicts to be printed once there is time, and how many there are: more than find room are only counted.
    unsaid: [console::Saying; 8],
    unsaid_count: usize,
    said: usize,
    /// The counter when the abort that is being handled was taken.
    entered: u64,
    /// A page of the kernel's own, for the abort that it meets itself.
    own_page: Option<FrameNumber>,
    /// Since when nobody is waited for, in ticks.
    idle_since: Option<u64>,
    /// The copy whose error is being dealt with.
    copying: Option<copies::Copying>,
    /// The error that is being dealt with, for the epitaph of one that comes meanwhile.
    pub(crate) handling: epitaph::Handling,
    /// Where the kernel is to stop next, for a replayer.
    stop: trial::Stop,
    /// Tasks that wait for a word.
    futex_waiters: SlotSet,
    /// What the page that was looked up last is mapped by: whether it heals is in there.
    walked: Cell<Walked>,
    /// Where a page that could not be had again was to come from or go to has met an abort.
    healing: Option<copies::Copying>,
    /// What the barrier behind such a copy found; 0 for nothing.
    healing_disr: u64,
    /// The frame that was filled when the error came that is being dealt with.
    filling: Option<FrameNumber>,
    /// A task whose tables could not be read in passing, and what was met, until that is judged.
    met: Cell<Option<(u16, Snapshot)>>,
    /// The guest does not end before this tick.
    stay_until: u64,
    /// For how many seconds that is, until the console has said so.
    unsaid_stay: u64,
}

impl Guest {
    /// A guest without tasks.
    pub(crate) fn new(parts: Parts, ledger: Ledger<'static>, journal: Journal<'static>) -> Self {
        let mut frames = parts.frames;
        // The list is let go: the page is the kernel's for good.
        let own_page = frames.take(Holder::Kernel, &mut FrameList::EMPTY.clone());
        if let Some(page) = own_page {
            memory::clear_frame(page);
        }
        let kernel = Kernel {
            tasks: parts.tasks,
            images: parts.images,
            families: parts.families,
            free_families: SlotSet::EMPTY,
            frames,
            bundle: parts.bundle,
            gic: parts.gic,
            port: parts.port,
            nothing: parts.nothing,
            image: parts.image,
            ras: parts.ras,
            pfar: parts.pfar,
            counting: parts.counting,
            current: 0,
            ready: SlotSet::EMPTY,
            sleeping: SlotSet::EMPTY,
            next_wake: u64::MAX,
            dead: SlotSet::EMPTY,
            again: SlotSet::EMPTY,
            free: SlotSet::EMPTY,
            told: [Telling::NOTHING; fault::MOST_TOLD],
            told_count: 0,
            counting_tasks: SlotSet::EMPTY,
            awaited: 0,
            aborts: 0,
            unsaid: [console::Saying::NOTHING; 8],
            unsaid_count: 0,
            said: 0,
            entered: 0,
            own_page,
            idle_since: None,
            copying: None,
            handling: epitaph::Handling::default(),
            stop: trial::Stop::Nowhere,
            futex_waiters: SlotSet::EMPTY,
            walked: Cell::new((0, FrameNumber(0))),
            healing: None,
            filling: None,
            met: Cell::new(None),
            healing_disr: 0,
            stay_until: 0,
            unsaid_stay: 0,
        };
        Self {
            kernel,
            ledger,
            journal,
            unbooked: None,
        }
    }

    /// Starts the tasks of the boot arguments. The error is a sentence.
    pub(crate) fn start(&mut self, arguments: Arguments<'_>) -> Result<(), &'static str> {
        let census = self.kernel.census(false);
        self.note(&Note::Census(census));
        self.kernel.stay_until = timer::ticks() + arguments.stay * timer::frequency();
        self.kernel.unsaid_stay = arguments.stay;
        for spec in arguments.tasks() {
            let Some(program) = self.kernel.bundle.find(spec.program.as_bytes()) else {
                log::error!("there is no program `{}`", spec.program);
                return Err("seawall.tasks names a program that does not exist");
            };
            let slot = self.kernel.spawn(program, spec.policy, 0);
            if let Ok(slot) = slot {
                self.note_start(slot);
            }
            self.judge_unfit();
            slot?;
        }
        Ok(())
    }

    /// Runs the first task: its frame.
    pub(crate) fn first(&mut self) -> *mut Frame {
        let frame = self.next();
        if self.kernel.counting {
            self.note(&Note::Booted {
                instructions: counter::now(),
            });
        }
        frame
    }

    fn note(&mut self, note: &Note) {
        let (kind, words) = note.encode();
        self.journal.append_note(kind, &words);
    }

    fn note_start(&mut self, slot: u16) {
        let task = self.kernel.slot(slot);
        let note = Note::Started {
            task: slot,
            program: task.name,
            restarts: task.restarts.total,
        };
        self.note(&note);
    }
}

impl Kernel {
    /// The place of a slot; that of nobody where there is none, so that nothing is checked on the way of an abort.
    #[inline(always)]
    fn slot(&self, slot: u16) -> &Task {
        self.tasks.slot(slot)
    }

    #[inline(always)]
    fn slot_mut(&mut self, slot: u16) -> &mut Task {
        self.tasks.slot_mut(slot)
    }

    /// The task in a slot, if there is one; for slots that come from outside.
    fn task(&self, slot: u16) -> Option<&Task> {
        Some(self.tasks.slot(slot)).filter(|task| task.state != State::Empty)
    }

    fn task_mut(&mut self, slot: u16) -> Option<&mut Task> {
        Some(self.tasks.slot_mut(slot)).filter(|task| task.state != State::Empty)
    }

    /// A slot for another task: the lowest that is free, or one that was never used.
    fn free_slot(&mut self) -> Option<u16> {
        self.free.take_lowest().or_else(|| self.tasks.make(Task::EMPTY))
    }

    /// A task that was to begin again does not: it has ended as it was ended, and whoever waits for that knows.
    fn stay_ended(&mut self, slot: u16) {
        let (background, waited_for, parent) = {
            let task = self.slot(slot);
            (task.background, task.waited_for, task.parent)
        };
        if !background {
            self.awaited = self.awaited.saturating_sub(1);
        }
        if waited_for {
            self.wake(parent, slot);
        }
    }

    /// Nobody is in this slot any more, nor in those of its threads.
    fn empty(&mut self, slot: u16) {
        self.reap_threads(slot);
        self.unlink_thread(slot);
        self.vacate(slot);
    }

    fn vacate(&mut self, slot: u16) {
        self.slot_mut(slot).state = State::Empty;
        self.counting_tasks.remove(slot);
        self.free.insert(slot);
    }
}
