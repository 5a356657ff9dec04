//! What lies where in the kernel's half of the address space, so that an epitaph can say what was lost.
//!
//! Every address has an answer: a part of the kernel's that is known by its place, the linear map for all else in there,
//! or that nothing is mapped.

use crate::board::Range;

/// What an address leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Region {
    /// The kernel's instructions.
    Text,
    /// The programs' images, which are among the kernel's constants.
    Programs,
    /// Any other constant of the kernel's.
    Constants,
    /// The kernel's variables.
    Data,
    /// Translation tables of the kernel's that its image has room for.
    Tables,
    /// The stack that the kernel runs on.
    Stack,
    /// The stack for accidents.
    EmergencyStack,
    /// The stack for accidents while one is handled.
    LastStack,
    /// The heap.
    Heap,
    /// The frame table.
    FrameTable,
    /// The ledger of retired frames.
    Ledger,
    /// The journal.
    Journal,
    /// The table of tasks.
    Tasks,
    /// The device tree.
    Tree,
    /// A device.
    Device,
    /// Memory that is none of these, by the linear map: a frame of a task, a table, or a page of the kernel's own.
    Frame,
    /// Nothing of the kernel's: the half that programs have.
    User,
    /// Nothing at all.
    Nothing,
}

impl Region {
    /// What an epitaph calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "the kernel's text",
            Self::Programs => "the programs' images",
            Self::Constants => "the kernel's constants",
            Self::Data => "the kernel's data",
            Self::Tables => "a translation table of the kernel's",
            Self::Stack => "the kernel's stack",
            Self::EmergencyStack => "the emergency stack",
            Self::LastStack => "the last stack",
            Self::Heap => "the heap",
            Self::FrameTable => "the frame table",
            Self::Ledger => "the ledger",
            Self::Journal => "the journal",
            Self::Tasks => "the task table",
            Self::Tree => "the device tree",
            Self::Device => "a device",
            Self::Frame => "a frame in the linear map",
            Self::User => "an address of the programs' half",
            Self::Nothing => "an address where nothing is",
        }
    }
}

/// Parts that are known by their place.
pub const MOST: usize = 20;

/// The parts, the first that has an address being the one that it leads to.
#[derive(Clone, Copy, Debug)]
pub struct Regions {
    parts: [(Range, Region); MOST],
    used: usize,
}

impl Regions {
    /// Nothing is known: every address leads to nothing, or to the programs.
    pub const EMPTY: Self = Self {
        parts: [(Range { start: 0, end: 0 }, Region::Nothing); MOST],
        used: 0,
    };

    /// Adds a part behind those there are. One too many is left out, and its addresses are those of what lies around it.
    #[must_use]
    pub fn with(mut self, range: Range, region: Region) -> Self {
        if let Some(place) = self.parts.get_mut(self.used) {
            *place = (range, region);
            self.used += 1;
        }
        self
    }

    /// What an address leads to.
    #[must_use]
    pub fn at(&self, address: u64) -> Region {
        let found = self
            .parts
            .iter()
            .find(|(range, _)| range.start <= address && address < range.end);
        match found {
            Some((_, region)) => *region,
            None if address >> 63 == 0 => Region::User,
            None => Region::Nothing,
        }
    }

    /// Where a part lies.
    #[must_use]
    pub fn of(&self, region: Region) -> Option<Range> {
        self.parts
            .iter()
            .find(|(range, known)| *known == region && range.start < range.end)
            .map(|(range, _)| *range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERNEL: u64 = 0xffff_ffff_8000_0000;

    fn regions() -> Regions {
        Regions::EMPTY
            .with(Range::of(KERNEL, 0x4000), Region::Text)
            .with(Range::of(KERNEL + 0x5000, 0x1000), Region::Programs)
            .with(Range::of(KERNEL + 0x4000, 0x3000), Region::Constants)
            .with(Range::of(0xffff_ff80_4000_0000, 0x1000), Region::Journal)
            .with(Range::of(0xffff_ff80_4000_0000, 0x10_0000), Region::Frame)
    }

    #[test]
    fn every_address_has_a_name_and_the_nearer_part_is_the_one() {
        let regions = regions();
        for (address, region) in [
            (0, Region::User),
            (0x7fff_ffff_ffff_ffff, Region::User),
            (0x8000_0000_0000_0000, Region::Nothing),
            (u64::MAX, Region::Nothing),
            (KERNEL - 1, Region::Nothing),
            (KERNEL, Region::Text),
            (KERNEL + 0x3fff, Region::Text),
            (KERNEL + 0x4000, Region::Constants),
            (KERNEL + 0x5000, Region::Programs),
            (KERNEL + 0x5fff, Region::Programs),
            (KERNEL + 0x6000, Region::Constants),
            (KERNEL + 0x7000, Region::Nothing),
            (0xffff_ff80_4000_0fff, Region::Journal),
            (0xffff_ff80_4000_1000, Region::Frame),
            (0xffff_ff80_4010_0000, Region::Nothing),
        ] {
            assert_eq!(regions.at(address), region, "{address:#x}");
            assert_ne!(regions.at(address).name(), "");
        }
        assert_eq!(Regions::EMPTY.at(KERNEL), Region::Nothing);
    }

    #[test]
    fn a_part_is_found_by_its_name_and_one_too_many_is_left_out() {
        let regions = regions();
        assert_eq!(regions.of(Region::Text), Some(Range::of(KERNEL, 0x4000)));
        assert_eq!(regions.of(Region::Heap), None);
        let full = (0..MOST as u64).fold(Regions::EMPTY, |regions, number| {
            regions.with(Range::of(KERNEL + number * 0x1000, 0x1000), Region::Data)
        });
        let more = full.with(Range::of(KERNEL, 1 << 20), Region::Heap);
        assert_eq!(more.of(Region::Heap), None);
        assert_eq!(more.at(KERNEL + 0x2000), Region::Data);
        assert_eq!(more.at(KERNEL + MOST as u64 * 0x1000), Region::Nothing);
    }
}
