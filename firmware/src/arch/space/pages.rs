//! What becomes of single pages once a program runs: the first write to one, and another frame for one.

use aarch64_cpu::asm::barrier;
use seawall_agent::address::{FrameNumber, IntermediateAddress, VirtualAddress};
use seawall_firmware::leaf::Leaf;

use super::{ADDRESS, LIMIT, Space, TABLE, Walked, index, next};
use crate::arch::{guarded, memory, registers, tables};

/// A page as a walk found it: its descriptor, and where that stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    descriptor: u64,
    table: FrameNumber,
    address: u64,
}

impl Place {
    fn set(&self, descriptor: u64) {
        memory::set_descriptor(self.table, index(self.address, 3), descriptor);
    }
}

/// Whether a descriptor is that of a page which holds what the program's image has.
#[inline(always)]
pub(crate) const fn is_clean(descriptor: u64) -> bool {
    descriptor & tables::CLEAN != 0
}

/// Whether a page's descriptor leads to a frame.
#[inline(always)]
pub(crate) fn leads_to(descriptor: u64, frame: FrameNumber) -> bool {
    next(descriptor) == frame
}

impl Space {
    /// The page at an address; `None` where nothing is mapped, or where a table on the way cannot be read.
    #[inline(always)]
    fn place(&self, address: VirtualAddress) -> Option<Place> {
        let address = address.untagged().0;
        if address >= LIMIT {
            return None;
        }
        let (descriptor, table) = guarded::walk_to_table(self.root.address().0, address);
        (descriptor != u64::MAX && descriptor & TABLE == TABLE).then_some(Place {
            descriptor,
            table: FrameNumber::from_address(IntermediateAddress(table)),
            address,
        })
    }

    /// Lets the program write a page of its own that it has not written before; false when it may not, or could already.
    /// From then on the page is not what the image has.
    pub(crate) fn first_write(&self, address: VirtualAddress) -> bool {
        let Some(place) = self.place(address) else {
            return false;
        };
        // One that is to be copied first is not its task's alone.
        if place.descriptor & tables::WRITABLE == 0 || Leaf(place.descriptor).copied_on_write().is_some() {
            return false;
        }
        // Of permissions alone no break is needed [Arm ARM D8.17.1]; the old ones are forgotten.
        place.set(place.descriptor & !(tables::WRITABLE | tables::CLEAN | tables::READ_ONLY));
        registers::forget_page(self.asid, place.address);
        true
    }

    /// Whether the program may fetch from a page.
    pub(crate) fn is_text(&self, address: VirtualAddress) -> bool {
        self.place(address)
            .is_some_and(|place| place.descriptor & tables::UXN == 0)
    }

    /// Maps `new` where `old` is mapped, with all else as it was, by break before make [Arm ARM D8.17.1]. False when `old`
    /// is not what is mapped there.
    pub(crate) fn exchange(&self, address: VirtualAddress, old: FrameNumber, new: FrameNumber) -> bool {
        let Some(place) = self.place(address).filter(|place| next(place.descriptor) == old) else {
            return false;
        };
        place.set(0);
        registers::forget_page(self.asid, place.address);
        place.set(place.descriptor & !ADDRESS | new.address().0);
        barrier::dsb(barrier::ISHST);
        barrier::isb(barrier::SY);
        true
    }

    /// Takes a page that is lost out of the space, if it is mapped to `frame`: what stays is a mark that there was one, its
    /// frame, and whether the program could write it.
    #[inline(never)]
    pub(crate) fn lose(&self, address: VirtualAddress, frame: FrameNumber) {
        if let Some(place) = self.place(address) {
            self.lose_place(place, frame);
        }
    }

    /// The same for a page that was just walked to.
    #[inline(always)]
    pub(crate) fn lose_walked(
        &self,
        address: VirtualAddress,
        frame: FrameNumber,
        (descriptor, table): Walked,
    ) {
        let place = Place {
            descriptor,
            table,
            address: address.0,
        };
        self.lose_place(place, frame);
    }

    #[inline(always)]
    fn lose_place(&self, place: Place, frame: FrameNumber) {
        if next(place.descriptor) != frame {
            return;
        }
        place.set(Leaf(place.descriptor).marker().0);
        registers::forget_page(self.asid, place.address);
    }

    /// Whether a page that the program could write was lost at an address.
    pub(crate) fn is_lost(&self, address: VirtualAddress) -> bool {
        self.lost_place(address).is_some()
    }

    fn lost_place(&self, address: VirtualAddress) -> Option<Place> {
        let address = address.untagged().0;
        if address >= LIMIT {
            return None;
        }
        let (descriptor, table) = guarded::walk_to_table(self.root.address().0, address);
        let is_marked =
            descriptor & (tables::LOST_MASK | tables::WRITABLE | 1) == tables::LOST | tables::WRITABLE;
        is_marked.then_some(Place {
            descriptor,
            table: FrameNumber::from_address(IntermediateAddress(table)),
            address,
        })
    }

    /// Maps a page where one was lost; false when none was.
    pub(crate) fn make_good(&self, address: VirtualAddress, descriptor: u64) -> bool {
        let Some(place) = self.lost_place(address) else {
            return false;
        };
        place.set(descriptor);
        barrier::dsb(barrier::ISHST);
        barrier::isb(barrier::SY);
        true
    }
}
