//! Calls by which a program puts the kernel, or its own address space, where an error can reach it.

use seawall_agent::{FrameNumber, IntermediateAddress};
use seawall_firmware::calls::FAILED;
use seawall_firmware::elf::Access;
use seawall_firmware::frames::FrameList;
use seawall_replay::port::Window;
use seawall_replay::report::Note;

use super::{Guest, Kernel};
use crate::arch::{entry, guarded, registers, space};

/// The first IPA that a VM of 40 bits, which is KVM's own size for one, does not have.
const BEYOND: u64 = 1 << 40;

impl Guest {
    /// A window in which SErrors are masked and the kernel says so, and its end: what became pending is let in.
    #[inline(never)]
    pub(super) fn masked(&mut self, number: u64, address: u64) -> u64 {
        let announced = self.kernel.announce(Window::Masked, number, address);
        self.kernel
            .announce(Window::Masked, number.wrapping_add(1), address);
        if address != 0 {
            // Whether it comes is on record, or nothing was in its way.
            self.copy(&mut [0], address);
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

impl Kernel {
    /// Maps a page of the current task's to where its VM has nothing and its CPU has addresses, and announces it.
    pub(super) fn announce_beyond(&mut self, number: u64, address: u64, access: Access) -> u64 {
        if self.port.is_none() {
            return 0;
        }
        let frame = FrameNumber::from_address(IntermediateAddress(BEYOND));
        let current = self.current;
        let task = self.slot_mut(current);
        let Some(space) = task.space.filter(|_| registers::has_41_bits()) else {
            return FAILED;
        };
        let mut list = core::mem::replace(&mut task.frames, FrameList::EMPTY);
        let mapped = space.map(address, space::page(frame, access), &mut self.frames, &mut list);
        self.slot_mut(current).frames = list;
        match mapped {
            Some(()) => self.announce_page(Window::Checkpoint, number, BEYOND),
            None => FAILED,
        }
    }
}
