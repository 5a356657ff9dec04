//! Frames that are out of use: what the kernel does about them beside not handing them out.

use seawall_agent::{FrameNumber, IntermediateAddress, Ledger};
use seawall_firmware::calls::FAILED;
use seawall_firmware::frames::{BLOCK, FrameTable};
use seawall_firmware::lost;
use seawall_replay::report::{Census, Note};

use super::{Guest, end};
use crate::arch::port::Port;
use crate::arch::{entry, guarded, linear};

/// The kernel's own figure: the most instructions that it took to take one retired frame out of the linear map. Programs
/// number theirs from 1 on.
const TAKEN_OUT: u64 = 0x101;

/// Retires what the port says is out, before any frame is handed out; how many there are. What it names beside the
/// frames that may be handed out, or not in order, is passed over.
pub(crate) fn before_the_start(
    port: Option<Port>,
    frames: &mut FrameTable<'_>,
    ledger: &mut Ledger<'_>,
) -> u64 {
    let most = ledger.capacity();
    let mut count = 0;
    for frame in lost(port, most) {
        if frames.retire(frame) {
            // The ledger has room for as many as are asked for.
            let _ = ledger.record(frame);
            count += 1;
        }
    }
    // Only now: what is needed for tables is not one of them.
    frames.take_out_by(linear::take_out);
    if count != 0 {
        lost(port, most).for_each(|frame| frames.take_out_as_well(frame));
        frames.take_out_retired();
    }
    count
}

/// The frames that the port says are out; what else it says is passed over.
fn lost(port: Option<Port>, most: usize) -> impl Iterator<Item = FrameNumber> {
    let next = move |from| port?.lost_from(from).map(|page| page.0);
    lost::pages(most, next).map(|page| FrameNumber::from_address(IntermediateAddress(page)))
}

impl Guest {
    /// The guest begins again: all memory comes back, and the replayer puts the rest in its place.
    pub(super) fn reboot(&mut self) -> u64 {
        if self.kernel.port.is_none() {
            return FAILED;
        }
        self.take_out_retired();
        self.kernel.say_verdicts();
        log::info!("rebooting");
        self.take_stock();
        end::reboot()
    }

    /// Takes everything back, and notes the stock that this leaves.
    pub(super) fn take_stock(&mut self) -> Census {
        // Every task's memory comes back now, also that of those that still lived, so that the stock must be what it
        // was at the start, less what was retired.
        for slot in 1..self.kernel.tasks.made() {
            self.kernel.give_back(slot);
        }
        self.take_out_retired();
        let dearest = linear::dearest();
        if dearest != 0 {
            self.note(&Note::Measure {
                number: TAKEN_OUT,
                value: dearest,
            });
        }
        let census = self.kernel.census(true);
        self.note(&Note::Census(census));
        census
    }

    /// Has the kernel's own mapping without the retired frames, and judges what was met in that.
    pub(super) fn take_out_retired(&mut self) {
        self.kernel.frames.take_out_retired();
        self.judge_unfit();
    }

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
