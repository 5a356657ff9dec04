//! Starting a program: a slot, an address space, and its segments in fresh frames.

use seawall_agent::FrameNumber;
use seawall_firmware::calls::{STACK_PAGES, STACK_TOP, USER_WINDOW};
use seawall_firmware::elf::{Access, Elf, Segment};
use seawall_firmware::frames::{FrameList, Holder};
use seawall_firmware::native;
use seawall_firmware::policy::Policy;
use seawall_replay::report::Census;

use super::Kernel;
use super::signal::Signal;
use super::task::{State, Task};
use crate::arch::frame::Frame;
use crate::arch::space::{self, Space};
use crate::arch::{heap, memory, tables, timer};

const PAGE: u64 = 4096;

impl Kernel {
    /// Starts a program in a free slot, under its own policy where none is given. The error is a sentence.
    pub(super) fn spawn(
        &mut self,
        program: usize,
        policy: Option<Policy>,
        parent: u16,
    ) -> Result<u16, &'static str> {
        self.give_back_dead();
        let own = self.elf(program)?.policy;
        let policy = policy.or(own).unwrap_or(Policy::DEFAULT);
        let name = self.bundle.get(program).ok_or("no such program")?.name;
        let slot = self.free_slot().ok_or("no slot is free for another task")?;
        *self.slot_mut(slot) = Task {
            program,
            policy,
            window: policy.window(timer::frequency()),
            parent,
            name,
            home: slot,
            next_thread: slot,
            ..Task::EMPTY
        };
        if let Err(error) = self.load(slot) {
            self.empty(slot);
            return Err(error);
        }
        self.awaited += 1;
        Ok(slot)
    }

    /// Loads the program of a slot, into fresh memory. Where that fails the slot is as it was, but for its threads.
    pub(super) fn load(&mut self, slot: u16) -> Result<(), &'static str> {
        self.reap_threads(slot);
        let mut list = FrameList::EMPTY;
        match self.image(slot, &mut list) {
            Ok((space, entry)) => {
                let port = u64::from(self.port.is_some());
                let task = self.slot_mut(slot);
                task.frame = Frame::EMPTY;
                task.signal = Signal::NONE;
                task.frame.x[0] = u64::from(slot);
                task.frame.x[1] = port;
                task.frame.elr = entry;
                task.stack = STACK_TOP;
                task.space = Some(space);
                task.frames = list;
                task.state = State::Ready;
                self.ready.insert(slot);
                Ok(())
            }
            Err(error) => {
                self.frames.give_back(&mut list);
                Err(error)
            }
        }
    }

    fn image(&mut self, slot: u16, list: &mut FrameList) -> Result<(Space, u64), &'static str> {
        const NO_MEMORY: &str = "no memory is left for another task";
        let elf = self.elf(self.slot(slot).program)?;
        self.know_image(self.slot(slot).program, &elf);
        let space = Space::new(slot, self.fresh_table(slot, list).ok_or(NO_MEMORY)?);
        for segment in elf.segments() {
            self.segment(slot, &space, segment, list).ok_or(NO_MEMORY)?;
        }
        for page in 1..=STACK_PAGES {
            let frame = self.fresh(slot, list).ok_or(NO_MEMORY)?;
            let descriptor = space::page(frame, Access::Write);
            space
                .map(STACK_TOP - page * PAGE, descriptor, &mut || {
                    self.fresh_table(slot, list)
                })
                .ok_or(NO_MEMORY)?;
        }
        if let Some(port) = self.port {
            let window = port.user_page() | tables::USER_DEVICE;
            space
                .map(USER_WINDOW, window, &mut || self.fresh_table(slot, list))
                .ok_or(NO_MEMORY)?;
        }
        Ok((space, elf.entry))
    }

    fn elf(&self, program: usize) -> Result<Elf<'static>, &'static str> {
        let program = self.bundle.get(program).ok_or("no such program")?;
        Elf::parse(program.elf).map_err(|_| "a program's ELF image is bad")
    }

    fn segment(
        &mut self,
        slot: u16,
        space: &Space,
        segment: &Segment<'_>,
        list: &mut FrameList,
    ) -> Option<()> {
        let mut own = if segment.apart {
            Some(self.frames.take_block(Holder::Task(slot), list)?)
        } else {
            None
        };
        for at in (segment.first_page()..segment.end_page()).step_by(native(PAGE)) {
            // A segment has fewer pages than a block has frames.
            let placed = own;
            own = own.map(|frame| FrameNumber(frame.0 + 1));
            let frame = match placed.filter(|frame| self.clears(*frame)) {
                Some(frame) => frame,
                // One that is poisoned stays behind in its block.
                None => self.fresh(slot, list)?,
            };
            let descriptor = space::clean_page(frame, segment.access);
            space.map(at, descriptor, &mut || self.fresh_table(slot, list))?;
            // What of the segment's bytes falls into this page.
            let skip = native(at.saturating_sub(segment.address));
            let offset = native(segment.address.saturating_sub(at));
            if let Some(bytes) = segment.bytes.get(skip..) {
                memory::fill_frame(frame, offset, bytes);
            }
            if segment.access == Access::Execute {
                memory::publish_text(frame);
            }
        }
        Some(())
    }

    /// Gives the memory of ended tasks back. Retired frames stay where they are.
    pub(super) fn give_back_dead(&mut self) {
        while let Some(slot) = self.dead.take_lowest() {
            self.give_back(slot);
        }
    }

    /// Gives the memory of one that never runs again back.
    pub(super) fn give_back(&mut self, slot: u16) {
        let task = self.slot_mut(slot);
        let mut list = core::mem::replace(&mut task.frames, FrameList::EMPTY);
        task.space = None;
        self.frames.give_back(&mut list);
        self.leave_family(slot);
    }

    /// The stock of frames and heap.
    pub(super) fn census(&self, at_end: bool) -> Census {
        let (frames, free, retired) = self.frames.stock();
        let (heap_used, heap) = heap::stock();
        Census {
            at_end,
            frames,
            free,
            retired,
            heap_used,
            heap,
            tables: self.frames.mapping_tables(),
            still_mapped: self.frames.still_mapped(),
        }
    }
}
