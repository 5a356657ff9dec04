//! Frames that are out of use: what the kernel does about them beside not handing them out.

use seawall_agent::FrameNumber;
use seawall_firmware::calls::FAILED;
use seawall_firmware::frames::BLOCK;
use seawall_replay::report::Note;

use super::Guest;
use crate::arch::{entry, guarded, linear};

impl Guest {
    /// Reads the frame that was last taken out of the linear map through it, and its neighbours in the block.
    #[inline(never)]
    pub(super) fn read_retired(&mut self) -> u64 {
        let Some(frame) = self.kernel.frames.last_taken_out() else {
            return FAILED;
        };
        let failed = guarded::probe(linear::address(frame)).map_or_else(entry::take_guarded_abort, |_| None);
        let first = frame.0 & !(BLOCK - 1);
        let neighbours = (first..first + BLOCK).filter(|other| *other != frame.0);
        let sound = neighbours
            .filter(|other| guarded::probe(linear::address(FrameNumber(*other))).is_some())
            .count();
        // Those that could not be read left a snapshot too.
        let _ = entry::take_guarded_abort();
        self.note(&Note::Mapping {
            frame: frame.0,
            esr: failed.map_or(0, |taken| taken.esr),
            far: failed.map_or(0, |taken| taken.far),
            sound: sound as u64,
        });
        0
    }
}
