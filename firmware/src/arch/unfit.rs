#![expect(
    unsafe_code,
    reason = "a place that is reached without the guest's state, from wherever frames are filled"
)]
//! Frames that turned out to be poisoned as they were filled, and what was met there, until that is judged.

use core::cell::UnsafeCell;

use seawall_agent::FrameNumber;
use seawall_agent::engine::Snapshot;

use super::entry;

/// So many are kept. With none left to be noted no frame is filled, for nothing that is met may be lost.
const MOST: usize = 4;

struct Met {
    met: [Option<(FrameNumber, Snapshot)>; MOST],
    count: usize,
}

struct MetCell(UnsafeCell<Met>);

// SAFETY: used by the functions below alone, none of which can be interrupted by code that uses them, on one CPU.
unsafe impl Sync for MetCell {}

static MET: MetCell = MetCell(UnsafeCell::new(Met {
    met: [None; MOST],
    count: 0,
}));

fn met() -> &'static mut Met {
    // SAFETY: as above; no caller keeps the reference when it returns.
    unsafe { &mut *MET.0.get() }
}

/// How many wait to be judged.
#[inline(always)]
pub(crate) fn count() -> usize {
    met().count
}

/// Whether another could be noted.
pub(crate) fn has_room() -> bool {
    count() < MOST
}

/// Notes the abort that was just met in filling a frame.
pub(crate) fn note(frame: FrameNumber) {
    let met = met();
    if let Some(taken) = entry::take_guarded_abort()
        && let Some(place) = met.met.get_mut(met.count)
    {
        *place = Some((frame, taken));
        met.count += 1;
    }
}

/// The one in this place, the first one first.
pub(crate) fn get(place: usize) -> Option<(FrameNumber, Snapshot)> {
    let met = met();
    met.met.get(..met.count)?.get(place).copied()?
}

/// Lets go of all, which have been judged.
pub(crate) fn forget() {
    met().count = 0;
}
