//! Pages that are had again: what a program's image still has, in another frame.
//!
//! A page of text, of constants, or of data that the program has not written is as its image has it, and so is a page of
//! zeros. Its descriptor says so (`tables::CLEAN`), and the first write ends it. All of it stands on the way of an abort:
//! nothing here allocates from the heap, takes a lock, formats or can panic.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

use seawall_agent::engine::{GRANULE, Level, Snapshot};
use seawall_agent::syndrome::{Esr, FaultStatus};
use seawall_agent::{FrameNumber, IntermediateAddress, TaskId, VirtualAddress};
use seawall_firmware::elf::Elf;
use seawall_firmware::frames::Holder;
use seawall_firmware::image::Image;
use seawall_firmware::leaf::Leaf;

use super::copies::Copying;
use super::recover::found;
use super::{Guest, Kernel};
use crate::arch::{entry, guarded, memory, space};

impl Guest {
    /// Healing a page met an error itself: it is on record too, as one of a copy for the same task.
    #[cold]
    #[inline(never)]
    pub(super) fn source_aborted(&mut self) {
        let copying = self.kernel.healing.take();
        let disr = core::mem::replace(&mut self.kernel.healing_disr, 0);
        // The outcome is that of the page's, which was told what it had to be.
        if let Some(taken) = entry::take_guarded_abort() {
            self.kernel.copying = copying;
            let _ = self.copy_aborted(&taken);
        }
        if disr != 0 {
            self.kernel.copying = copying;
            let _ = self.copy_aborted(&found(Level::El1, disr));
        }
        self.kernel.copying = None;
        self.kernel.stay_in_space();
    }
}

impl Kernel {
    /// Remembers what a program's pages hold at first.
    pub(super) fn know_image(&mut self, program: usize, elf: &Elf<'_>) {
        let Ok(place) = u16::try_from(program.saturating_add(1)) else {
            return;
        };
        while self.images.made() <= place && self.images.make(Image::EMPTY).is_some() {}
        if self.images.made() > place {
            *self.images.slot_mut(place) = Image::new(elf, self.bundle.bytes());
        }
    }

    /// Whether an exception that is no memory error was the current task's first write to a page of its own, or a first
    /// copy to it, which then succeeds as it is run again.
    #[inline(never)]
    pub(super) fn is_first_write(&mut self, taken: &Snapshot) -> bool {
        let write = Esr(taken.esr)
            .abort()
            .filter(|abort| abort.wnr() == Some(true) && matches!(abort.fsc(), FaultStatus::Permission(_)));
        write.is_some()
            && self
                .slot(self.current)
                .space
                .is_some_and(|space| space.first_write(VirtualAddress(taken.far)))
    }

    /// Whether a page that was not looked up last is in `frame`, and as the program's image has it.
    #[cold]
    #[inline(never)]
    pub(super) fn is_clean(&self, task: u16, address: VirtualAddress, frame: FrameNumber) -> bool {
        let found = self.slot(task).space.and_then(|space| space.reach(address));
        found.is_some_and(|(reached, (descriptor, _))| reached == frame && space::is_clean(descriptor))
    }

    /// Maps another frame where `task` has `old`, which is retired, at `address`, with what the program's image has there.
    /// False when there is no memory, when `old` is not there, or when the content met poison: then `healing` says so, and
    /// the page is as it was.
    pub(super) fn heal_page(&mut self, task: u16, address: VirtualAddress, old: FrameNumber) -> bool {
        let owner = self.slot(task);
        let (Some(space), program) = (owner.space, owner.program) else {
            return false;
        };
        let Some(new) = self.take_frame(task) else {
            return false;
        };
        match self.fill_from_image(program, address, new) {
            Some(true) => {
                if space.is_text(address) {
                    memory::publish_text(new);
                }
                // The frame that was taken goes back with the task's others if it could not be mapped.
                let mapped = space.exchange(address, old, new);
                if mapped && !self.futex_waiters.is_empty() {
                    self.words_moved(task, old, new);
                }
                mapped
            }
            Some(false) => {
                self.healing = Some(Copying::to_heal(task, address, new));
                false
            }
            None => false,
        }
    }

    /// Maps a page again whose mapping is a marker, if the program's image has what it held. As [`Self::heal_page`] says.
    pub(super) fn map_again(&mut self, task: u16, address: VirtualAddress) -> bool {
        let owner = self.slot(task);
        let (Some(space), program) = (owner.space, owner.program) else {
            return false;
        };
        let Some((table, marker)) = space.entry(address).map(|(table, leaf)| (table, Leaf(leaf))) else {
            return false;
        };
        let again = marker
            .had_again(FrameNumber(0))
            .and_then(|_| self.take_frame(task))
            .and_then(|new| Some((new, marker.had_again(new)?)));
        let Some((new, leaf)) = again else {
            return false;
        };
        match self.fill_from_image(program, address, new) {
            Some(true) => {
                memory::publish_text(new);
                space.replace(table, address.untagged().0, leaf);
                if let Some(lost) = marker.lost() {
                    self.words_moved(task, lost, new);
                }
                true
            }
            Some(false) => {
                self.healing = Some(Copying::to_heal(task, address, new));
                false
            }
            None => false,
        }
    }

    /// A frame for a page of a task's process.
    pub(super) fn take_frame(&mut self, task: u16) -> Option<FrameNumber> {
        let home = self.slot(task).home;
        let list = &mut self.tasks.slot_mut(home).frames;
        self.frames.take(Holder::Task(home), list)
    }

    /// Fills a frame with what a program's image has for a page; `None` when it has no such page, and false when the copy
    /// met an abort.
    fn fill_from_image(&self, program: usize, address: VirtualAddress, to: FrameNumber) -> Option<bool> {
        let place = u16::try_from(program.saturating_add(1)).ok()?;
        let source = self.images.slot(place).source(address.0)?;
        let bytes = self
            .bundle
            .bytes()
            .get(source.start..source.start.checked_add(source.length)?)?;
        let whole = bytes.len() as u64 >= GRANULE;
        Some((whole || guarded::clear(to)) && guarded::fill(to, source.offset, bytes))
    }

    /// The frame behind an address of the kernel's own that a copy for `task` reads or writes: one of memory, or one of the
    /// Image that a page was to be had again from.
    #[cold]
    #[inline(never)]
    pub(super) fn copying_frame(&self, task: TaskId, address: VirtualAddress) -> Option<FrameNumber> {
        let copying = self.copying?;
        copying
            .frame_at(task, address)
            .or_else(|| self.bundle_frame(address.0).filter(|_| copying.heals))
    }

    /// The frame of the Image that an address of the bundle lies in.
    fn bundle_frame(&self, address: u64) -> Option<FrameNumber> {
        let bytes = self.bundle.bytes().as_ptr_range();
        let is_in = (bytes.start.addr() as u64..bytes.end.addr() as u64).contains(&address);
        let offset = address.checked_sub(memory::kernel_base()).filter(|_| is_in)?;
        let physical = self.image.checked_add(offset)?;
        Some(FrameNumber::from_address(IntermediateAddress(physical)))
    }

    /// The frame of the Image that a task's page at `address` would be had again from.
    pub(super) fn source_frame(&self, task: u16, address: u64) -> Option<FrameNumber> {
        let place = u16::try_from(self.slot(task).program.checked_add(1)?).ok()?;
        let source = self.images.slot(place).source(address)?;
        let start = self.bundle.bytes().get(source.start..)?.as_ptr();
        (source.length > 0)
            .then(|| self.bundle_frame(start.addr() as u64))
            .flatten()
    }
}
