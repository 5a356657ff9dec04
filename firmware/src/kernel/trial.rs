//! Calls by which a program puts the kernel, or its own address space, where an error can reach it.

use seawall_agent::{FrameNumber, IntermediateAddress, VirtualAddress};
use seawall_firmware::calls::{FAILED, Spot};
use seawall_firmware::elf::Access;
use seawall_firmware::frames::{FrameList, Holder};
use seawall_firmware::regions::Region;
use seawall_replay::port::Window;
use seawall_replay::report::Note;

use super::{Guest, Kernel, epitaph};
use crate::arch::{entry, guarded, memory, registers, space, tables};

/// The first IPA that a VM of 40 bits, which is KVM's own size for one, does not have.
const BEYOND: u64 = 1 << 40;

/// Where the kernel stops next, to announce it: under a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// Nowhere.
    Nowhere,
    /// At a copy of a task's memory.
    Copy(u64),
    /// At an interrupt, before its border is synchronised.
    Interrupt(u64),
    /// While an error is handled.
    Handler(u64),
}

impl Guest {
    /// A window in which SErrors are masked and the kernel says so, and its end: what became pending is let in.
    #[inline(never)]
    pub(super) fn masked(&mut self, number: u64, address: u64) -> u64 {
        let announced = self.kernel.announce(Window::Masked, number, address);
        self.kernel
            .announce(Window::Masked, number.wrapping_add(1), address);
        if address != 0 {
            self.touch_between_no_barriers(address);
        }
        self.note_pending(number);
        if guarded::let_serror_in()
            && let Some(taken) = entry::take_guarded_abort()
        {
            self.let_in(&taken);
        }
        self.note_pending(number);
        announced
    }

    fn note_pending(&mut self, number: u64) {
        self.note(&Note::Pending {
            number,
            serror: registers::serror_is_pending(),
            handled: self.kernel.aborts,
        });
    }
}

impl Guest {
    /// A page of the kernel's own is announced, and read or run.
    #[inline(never)]
    pub(super) fn region(&mut self, number: u64, address: u64) -> u64 {
        if address >= 4096 {
            let Some(entry) = self.kernel.entry_of(address) else {
                return FAILED;
            };
            return self.kernel.announce_kernel(number, entry);
        }
        let Some((spot, page)) =
            Spot::from_argument(address).and_then(|spot| Some((spot, self.page_of(spot)?)))
        else {
            return FAILED;
        };
        let announced = self.kernel.announce_kernel(number, page);
        match spot {
            Spot::Text => memory::run_first_text(),
            Spot::Tables => {
                memory::touch_at(tables::tree_table().1);
            }
            _ => {
                memory::touch_at(page);
            }
        }
        announced
    }

    /// The page that a spot is in.
    fn page_of(&self, spot: Spot) -> Option<u64> {
        let last = |region| {
            let range = epitaph::regions()?.of(region)?;
            Some(range.end.wrapping_sub(1))
        };
        let page = match spot {
            Spot::Text => memory::first_text(),
            Spot::Data => memory::spare(),
            Spot::Tables => tables::tree_table().0,
            Spot::Stack => memory::stack_page(),
            Spot::Programs => epitaph::regions()?
                .of(Region::Programs)?
                .start
                .checked_add(4095)?,
            Spot::Vectors => registers::vectors(),
            Spot::Words => epitaph::words(),
            Spot::EmergencyStack => last(Region::EmergencyStack)?,
            Spot::Heap => last(Region::Heap)?,
            Spot::FrameTable => last(Region::FrameTable)?,
            Spot::Ledger => last(Region::Ledger)?,
            Spot::Journal => last(Region::Journal)?,
            Spot::Tasks => last(Region::Tasks)?,
            Spot::NextRecord => {
                let journal = epitaph::regions()?.of(Region::Journal)?;
                journal.start.wrapping_add(self.journal.next_offset())
            }
        };
        Some(page & !0xfff)
    }

    /// An interrupt, before its border is synchronised.
    pub(crate) fn before_interrupts_border(&mut self) {
        if let Stop::Interrupt(number) = self.kernel.stop {
            self.kernel.stop = Stop::Nowhere;
            self.kernel.announce(Window::Border, number, 0);
        }
    }
}

impl Kernel {
    /// Remembers where to stop.
    pub(super) fn stop_at(&mut self, stop: Stop) -> u64 {
        self.stop = stop;
        u64::from(self.port.is_some())
    }

    /// Announces a page of the kernel's own by its address in the kernel's half.
    fn announce_kernel(&mut self, number: u64, address: u64) -> u64 {
        let physical = match epitaph::regions().map(|regions| regions.at(address)) {
            Some(Region::FrameTable | Region::Ledger | Region::Journal | Region::Tasks | Region::Frame) => {
                address.wrapping_sub(tables::LINEAR_BASE)
            }
            _ => tables::physical_of(address),
        };
        registers::forget_all();
        self.announce_page(Window::Kernel, number, physical & !0xfff)
    }

    /// Before the barrier that begins a copy of a task's memory: the number for its middle, if it is to stop there.
    pub(super) fn stop_before_copy(&mut self, slot: u16, bytes: usize) -> Option<u64> {
        let Stop::Copy(number) = self.stop else {
            return None;
        };
        if bytes == 0 {
            return None;
        }
        self.stop = Stop::Nowhere;
        self.announce_for(slot, Window::Copy, number, 0);
        Some(number.wrapping_add(1))
    }

    /// In the middle of a copy, which goes on at this address.
    pub(super) fn stop_in_copy(&mut self, slot: u16, number: u64, address: u64) {
        let frame = self
            .slot(slot)
            .space
            .and_then(|space| space.frame_at(VirtualAddress(address)));
        self.note_walk(slot);
        registers::forget_all();
        self.announce_for(
            slot,
            Window::Copy,
            number,
            frame.map_or(0, |frame| frame.address().0),
        );
    }

    /// Where a frame's entry lies in the frame table, if it has one.
    fn entry_of(&self, address: u64) -> Option<u64> {
        let space = self.slot(self.current).space?;
        let frame = space.frame_at(VirtualAddress(address))?;
        let table = epitaph::regions()?.of(Region::FrameTable)?;
        Some(table.start.wrapping_add(self.frames.offset_of(frame)?))
    }

    /// The frame that is handed out next when a few others have been.
    pub(super) fn next_frame(&mut self, earlier: u64) -> Option<FrameNumber> {
        let mut list = FrameList::EMPTY;
        let frames = &mut self.frames;
        let next = (0..=earlier.min(16))
            .map_while(|_| frames.take(Holder::Kernel, &mut list))
            .last();
        // They come back in the order in which they went.
        frames.give_back(&mut list);
        next
    }

    /// While an error is handled: a page of the kernel's own is announced, and then read.
    #[cold]
    pub(super) fn stop_in_handler(&mut self) {
        let Stop::Handler(number) = self.stop else {
            return;
        };
        self.stop = Stop::Nowhere;
        if let Some(page) = self.own_page {
            registers::forget_all();
            self.announce_page(Window::Handler, number, page.address().0);
            memory::touch(page);
        }
    }

    /// Maps a page of the current task's to where its VM has nothing and its CPU has addresses, and announces it.
    pub(super) fn announce_beyond(&mut self, number: u64, address: u64, access: Access) -> u64 {
        if self.port.is_none() {
            return 0;
        }
        let frame = FrameNumber::from_address(IntermediateAddress(BEYOND));
        let current = self.current;
        let Some(space) = self.slot(current).space.filter(|_| registers::has_41_bits()) else {
            return FAILED;
        };
        let mapped = self.with_frames(current, |kernel, list| {
            space.map(address, space::page(frame, access), &mut || {
                kernel.fresh_table(current, list)
            })
        });
        match mapped {
            Some(()) => self.announce_page(Window::Checkpoint, number, BEYOND),
            None => FAILED,
        }
    }
}
