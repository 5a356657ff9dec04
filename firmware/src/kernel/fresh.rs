//! Fresh frames: free ones, filled for whoever gets them.
//!
//! A frame can be poisoned while nobody has it, and then whoever fills it is the first that touches it. Nothing is lost but
//! the frame, for what it held was nobody's: it is never handed out again, and another is taken in its place. The abort is
//! judged and put on record as soon as what the frames are for is done.

use seawall_agent::FrameNumber;
use seawall_firmware::frames::{FrameList, Holder};

use super::copies::can_be_of;
use super::{Guest, Kernel};
use crate::arch::{counter, guarded, unfit};

impl Guest {
    /// Judges what was met in frames that were filled.
    #[inline(always)]
    pub(super) fn judge_unfit(&mut self) {
        if unfit::count() != 0 {
            self.judge_unfit_now();
        }
    }

    #[cold]
    #[inline(never)]
    fn judge_unfit_now(&mut self) {
        let mut place = 0;
        // To retire a frame may itself bring another one.
        while let Some((frame, mut taken)) = unfit::get(place) {
            self.kernel.filling = can_be_of(&taken, Some(frame)).then_some(frame);
            // What it cost is counted from here: meanwhile a program may have been loaded.
            taken.entered = counter::now();
            let _ = self.copy_aborted(&taken);
            self.kernel.filling = None;
            place += 1;
        }
        unfit::forget();
    }
}

impl Kernel {
    /// A cleared frame for the task in a slot. `None` without memory, or when too many frames were poisoned.
    pub(super) fn fresh(&mut self, slot: u16, list: &mut FrameList) -> Option<FrameNumber> {
        while unfit::has_room() {
            let frame = self.frames.take(Holder::Task(slot), list)?;
            if self.clears(frame) {
                return Some(frame);
            }
        }
        None
    }

    /// The same for a translation table.
    pub(super) fn fresh_table(&mut self, slot: u16, list: &mut FrameList) -> Option<FrameNumber> {
        let frame = self.fresh(slot, list)?;
        self.frames.make_table(frame);
        Some(frame)
    }

    /// Clears a frame that was just handed out; false when it is poisoned, and stays where it is.
    pub(super) fn clears(&mut self, frame: FrameNumber) -> bool {
        let clears = guarded::clear(frame);
        if !clears {
            unfit::note(frame);
            self.frames.discard(frame);
        }
        clears
    }

    /// Has something done with the list of a process's frames, which are not to be given back meanwhile.
    pub(super) fn with_frames<T>(
        &mut self,
        home: u16,
        act: impl FnOnce(&mut Self, &mut FrameList) -> T,
    ) -> T {
        let mut list = core::mem::replace(&mut self.slot_mut(home).frames, FrameList::EMPTY);
        let done = act(self, &mut list);
        self.slot_mut(home).frames = list;
        done
    }
}
