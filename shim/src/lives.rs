//! A guest that begins again: what is put back, and what is kept of the life before.

use seawall_replay::handover::{Again, Handover};
use seawall_replay::port::End;
use seawall_replay::transcript::{Event, What};

use crate::arch::memory::Window;

/// A guest that begins again more often than this is reset for good.
const MOST: u32 = 4;

/// How the guest may begin again, and whether it wants to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lives {
    again: Option<Again>,
    entry: u64,
    device_tree: u64,
    wanted: bool,
    count: u32,
    journal: (u64, u64),
    /// Bytes of journals that are kept by now.
    kept: u64,
}

/// Another life is about to begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Next {
    pub(crate) entry: u64,
    pub(crate) device_tree: u64,
    /// Says where the last life's journal is.
    pub(crate) event: Event,
}

impl Lives {
    pub(crate) fn of(handover: &Handover) -> Self {
        Self {
            again: handover.again,
            entry: handover.entry,
            device_tree: handover.device_tree,
            wanted: false,
            count: 0,
            journal: (0, 0),
            kept: 0,
        }
    }

    /// The guest has named its journal.
    pub(crate) fn journal_is_at(&mut self, address: u64, bytes: u64) {
        self.journal = (address, bytes);
    }

    /// The guest has said how it ends.
    pub(crate) fn ends(&mut self, end: End) {
        self.wanted = end == End::Reboot;
    }

    /// Puts Image and device tree back, if the guest wants that and may; keeps its journal before.
    pub(crate) fn begin_another(&mut self, memory: Window) -> Option<Next> {
        let again = self.again.filter(|_| self.wanted && self.count < MOST)?;
        let (address, bytes) = self.journal;
        let keep = Window::new(again.journals, again.journals_bytes);
        // What lies outside of the guest's memory, or finds no room, is no journal.
        let fits = memory.has(address, bytes) && keep.has(again.journals.checked_add(self.kept)?, bytes);
        let bytes = if fits { bytes } else { 0 };
        let at = again.journals + self.kept;
        copy(memory, address, keep, at, bytes)?;
        self.kept += bytes.next_multiple_of(8);
        let image = Window::new(again.image, again.image_bytes.next_multiple_of(8));
        copy(image, again.image, memory, self.entry, again.image_bytes)?;
        let tree = Window::new(again.device_tree, again.device_tree_bytes.next_multiple_of(8));
        copy(
            tree,
            again.device_tree,
            memory,
            self.device_tree,
            again.device_tree_bytes,
        )?;
        self.wanted = false;
        self.count += 1;
        self.journal = (0, 0);
        Some(Next {
            entry: self.entry,
            device_tree: self.device_tree,
            event: Event {
                ipa: at,
                syndrome: bytes,
                ..Event::of(What::Rebooted)
            },
        })
    }
}

/// Copies so many bytes, by whole words.
fn copy(from: Window, start: u64, to: Window, target: u64, bytes: u64) -> Option<()> {
    for offset in (0..bytes).step_by(8) {
        to.write(
            target.checked_add(offset)?,
            from.read(start.checked_add(offset)?)?,
        )?;
    }
    Some(())
}
