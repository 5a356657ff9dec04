#![expect(
    unsafe_code,
    reason = "a table in memory of its own, that is made one place after the other"
)]
//! The table of tasks: carved out of memory at boot, and written only as far as it was ever used.
//!
//! A slot beyond that is nobody's, which is slot 0: so every number leads to a task, and no way of an abort checks one.

use core::ptr::NonNull;

use seawall_firmware::board::Range;
use seawall_firmware::slots::MAX_SLOTS;

use super::memory;

/// Places for tasks, or for what else there is one of for each slot.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    first: NonNull<T>,
    /// Places that have been written: at least one.
    made: u16,
    /// Places there is memory for.
    room: u16,
}

impl<T> Slots<T> {
    /// Bytes for so many places.
    pub(crate) const fn bytes(places: u64) -> u64 {
        places * size_of::<T>() as u64
    }

    /// A table in a physical range that was carved out of memory at boot for this one caller, with nobody in slot 0.
    pub(crate) fn new(range: Range, nobody: T) -> Option<Self> {
        const { assert!(align_of::<T>() <= 4096 && size_of::<T>() > 0) };
        let first = memory::place(range.start).cast::<T>();
        let places = (range.end - range.start) / size_of::<T>() as u64;
        let room = u16::try_from(places.min(MAX_SLOTS as u64))
            .ok()
            .filter(|room| *room > 0)?;
        // SAFETY: the range is the caller's own, mapped, on a frame, and holds at least this place.
        unsafe { first.write(nobody) };
        Some(Self { first, made: 1, room })
    }

    /// How many places there are, with that of nobody.
    pub(crate) const fn made(&self) -> u16 {
        self.made
    }

    /// Writes the next place; its slot, or `None` when there is no room.
    pub(crate) fn make(&mut self, value: T) -> Option<u16> {
        let slot = self.made;
        if slot >= self.room {
            return None;
        }
        // SAFETY: below `room` lies memory of the table, and nobody has a reference beyond `made`.
        unsafe { self.first.add(usize::from(slot)).write(value) };
        self.made += 1;
        Some(slot)
    }

    #[inline(always)]
    const fn known(&self, slot: u16) -> usize {
        if slot < self.made { slot as usize } else { 0 }
    }

    /// The place of a slot; that of nobody where the slot has none.
    #[inline(always)]
    pub(crate) fn slot(&self, slot: u16) -> &T {
        // SAFETY: places below `made` are written, and are borrowed as the table is.
        unsafe { self.first.add(self.known(slot)).as_ref() }
    }

    /// The same, to be changed.
    #[inline(always)]
    pub(crate) fn slot_mut(&mut self, slot: u16) -> &mut T {
        // SAFETY: as above.
        unsafe { self.first.add(self.known(slot)).as_mut() }
    }
}
