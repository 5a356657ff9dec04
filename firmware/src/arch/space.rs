//! A program's address space: three levels under TTBR0, one ASID.
//!
//! [Arm ARM D8] Tables come from the frame table and belong to the task. When a task ends nothing of them is written or
//! read: the space is no longer named by TTBR0 and its ASID's translations are forgotten, so that a poisoned table
//! cannot hurt once more.

mod pages;

pub(crate) use pages::{is_clean, leads_to};

use aarch64_cpu::asm::barrier;
use seawall_agent::address::{FrameNumber, IntermediateAddress, VirtualAddress};
use seawall_firmware::leaf::Leaf;

use super::guarded::{self, Walk};
use super::{memory, registers, tables};

const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
const VALID: u64 = 1;
const TABLE: u64 = 3;
/// The lower half has 39 bits.
const LIMIT: u64 = 1 << 39;

/// What a walk to a page found: its descriptor, and the table that has it.
pub(crate) type Walked = (u64, FrameNumber);

/// An address space.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Space {
    root: FrameNumber,
    asid: u16,
}

fn next(descriptor: u64) -> FrameNumber {
    FrameNumber::from_address(IntermediateAddress(descriptor & ADDRESS))
}

fn index(address: u64, level: i8) -> u64 {
    match level {
        1 => (address >> 30) & 511,
        2 => (address >> 21) & 511,
        _ => (address >> 12) & 511,
    }
}

impl Space {
    /// An empty space for the task in `slot`, whose ASID is its slot; `root` is a cleared frame.
    pub(crate) const fn new(slot: u16, root: FrameNumber) -> Self {
        Self { root, asid: slot }
    }

    /// Maps a page. `None` when there was no `fresh` frame for a table, or when something is mapped there.
    pub(crate) fn map(
        &self,
        address: u64,
        descriptor: u64,
        fresh: &mut dyn FnMut() -> Option<FrameNumber>,
    ) -> Option<()> {
        let table = self.table_for(address, fresh)?;
        if memory::descriptor(table, index(address, 3)) & VALID != 0 {
            return None;
        }
        memory::set_descriptor(table, index(address, 3), descriptor);
        barrier::dsb(barrier::ISHST);
        Some(())
    }

    pub(super) const fn root(&self) -> FrameNumber {
        self.root
    }

    pub(super) const fn asid(&self) -> u16 {
        self.asid
    }

    /// What TTBR0 holds while the task runs.
    pub(crate) fn ttbr0(&self) -> u64 {
        self.root.address().0 | (u64::from(self.asid) << 48)
    }

    /// The table that the walk for an address reads at `level`, found without reading that table.
    pub(crate) fn table_at(&self, address: VirtualAddress, level: i8) -> Option<FrameNumber> {
        let address = address.untagged().0;
        if address >= LIMIT || !(1..=3).contains(&level) {
            return None;
        }
        let mut table = self.root;
        for above in 1..level {
            let descriptor = memory::descriptor(table, index(address, above));
            if descriptor & TABLE != TABLE {
                return None;
            }
            table = next(descriptor);
        }
        Some(table)
    }

    /// The frame that an address leads to: the one it is mapped to, or the table on the way to it that cannot be read.
    ///
    /// KVM before Linux 6.18 reports an abort on a stage-1 walk as one of the access itself (FSC 0x10); then it is the
    /// walk done here again that finds the poison.
    #[inline(always)]
    pub(crate) fn frame_at(&self, address: VirtualAddress) -> Option<FrameNumber> {
        self.reach(address).map(|(frame, _)| frame)
    }

    /// The same, with the page's descriptor and the table that has it; a table that cannot be read has none, which is 0.
    #[inline(always)]
    pub(crate) fn reach(&self, address: VirtualAddress) -> Option<(FrameNumber, Walked)> {
        let address = address.untagged().0;
        if address >= LIMIT {
            return None;
        }
        let (descriptor, table) = guarded::walk_to_table(self.root.address().0, address);
        let table = FrameNumber::from_address(IntermediateAddress(table));
        match descriptor {
            u64::MAX => Some((table, (0, table))),
            _ => (descriptor & TABLE == TABLE).then(|| (next(descriptor), (descriptor, table))),
        }
    }

    /// Follows an address to the last level, in software.
    pub(crate) fn walk(&self, address: VirtualAddress) -> Walk {
        let address = address.untagged().0;
        if address >= LIMIT {
            return Walk::Descriptor(0);
        }
        guarded::walk(self.root.address().0, address)
    }

    /// The frame that a last-level descriptor maps, if it does.
    pub(crate) fn frame_of(&self, descriptor: u64) -> Option<FrameNumber> {
        (descriptor & TABLE == TABLE).then(|| next(descriptor))
    }

    /// The last-level table and descriptor for an address, whatever the descriptor says. `None` when there is no such
    /// table, or one on the way is poisoned.
    pub(crate) fn entry(&self, address: VirtualAddress) -> Option<(FrameNumber, u64)> {
        let address = address.untagged().0;
        if address >= LIMIT {
            return None;
        }
        let mut table = self.root;
        for level in [1, 2] {
            let descriptor = guarded::descriptor(table, index(address, level))?;
            if descriptor & TABLE != TABLE {
                return None;
            }
            table = next(descriptor);
        }
        Some((table, guarded::descriptor(table, index(address, 3))?))
    }

    /// Has a page lead to nowhere and say why, if it is mapped to `frame`: whoever touches it next learns that it was
    /// poisoned, and the poison is not touched again.
    pub(crate) fn withdraw(&self, address: VirtualAddress, frame: FrameNumber) {
        if self.mark_poisoned(address, frame) {
            registers::forget_page(self.asid, address.untagged().0);
        }
    }

    /// The same, but for translations that are still to be forgotten.
    fn mark_poisoned(&self, address: VirtualAddress, frame: FrameNumber) -> bool {
        match self.entry(address) {
            Some((table, descriptor)) if descriptor & TABLE == TABLE && next(descriptor) == frame => {
                let address = address.untagged().0;
                memory::set_descriptor(table, index(address, 3), Leaf(descriptor).marker().0);
                true
            }
            _ => false,
        }
    }

    /// As `withdraw`, wherever the frame is mapped; the address, if it is. The one that is told is tried first.
    /// Translations are still to be forgotten, by `forget_all`.
    pub(crate) fn lose_wherever(&self, told: VirtualAddress, frame: FrameNumber) -> Option<VirtualAddress> {
        if self.mark_poisoned(told, frame) {
            return Some(VirtualAddress(told.0 & !0xfff));
        }
        let mut found = None;
        self.each_table(|first, table| {
            let leaf_at = |index| guarded::descriptor(table, index).map(|leaf| (index, Leaf(leaf)));
            let mut leaves = (0..512).filter_map(leaf_at);
            if let Some((index, leaf)) = leaves.find(|(_, leaf)| leaf.frame() == Some(frame)) {
                memory::set_descriptor(table, index, leaf.marker().0);
                found = Some(VirtualAddress(first | index << 12));
            }
            found.is_none()
        });
        found
    }

    /// Maps a page that is mapped to another frame, or otherwise: by break-before-make [Arm ARM D8.17.1].
    pub(crate) fn replace(&self, table: FrameNumber, address: u64, leaf: Leaf) {
        memory::set_descriptor(table, index(address, 3), 0);
        registers::forget_page(self.asid, address);
        memory::set_descriptor(table, index(address, 3), leaf.0);
        barrier::dsb(barrier::ISHST);
    }

    /// Goes through all last-level tables. `visit` gets each with the address that its first descriptor is for; false
    /// ends it. False when it did, or when a table was poisoned.
    pub(crate) fn each_table(&self, mut visit: impl FnMut(u64, FrameNumber) -> bool) -> bool {
        for first in 0..512 {
            let Some(level2) = guarded::descriptor(self.root, first) else {
                return false;
            };
            if level2 & TABLE != TABLE {
                continue;
            }
            for second in 0..512 {
                let Some(level3) = guarded::descriptor(next(level2), second) else {
                    return false;
                };
                if level3 & TABLE == TABLE && !visit(first << 30 | second << 21, next(level3)) {
                    return false;
                }
            }
        }
        true
    }

    /// The table at level 3 for an address, made of `fresh` frames, which are cleared, where there is none.
    pub(crate) fn table_for(
        &self,
        address: u64,
        fresh: &mut dyn FnMut() -> Option<FrameNumber>,
    ) -> Option<FrameNumber> {
        let mut table = self.root;
        for level in [1, 2] {
            let present = memory::descriptor(table, index(address, level));
            table = if present & VALID != 0 {
                next(present)
            } else {
                let made = fresh()?;
                memory::set_descriptor(table, index(address, level), made.address().0 | TABLE);
                made
            };
        }
        Some(table)
    }

    /// Nothing of the space is remembered.
    pub(crate) fn forget(&self) {
        registers::forget_address_space(self.asid);
    }

    /// Ends the space: it is no longer walked, and nothing of it is remembered.
    #[inline]
    pub(crate) fn end(&self, nothing: u64) {
        registers::set_address_space(nothing);
        registers::forget_address_space(self.asid);
    }
}

/// The descriptor of a program's page.
pub(crate) fn page(frame: FrameNumber, access: seawall_firmware::elf::Access) -> u64 {
    use seawall_firmware::elf::Access;
    let attributes = match access {
        Access::Read => tables::USER_RO,
        Access::Write => tables::USER_RW,
        Access::Execute => tables::USER_RX,
    };
    frame.address().0 | attributes
}

/// The descriptor of a program's page that holds what the program's image has, and nothing else yet.
pub(crate) fn clean_page(frame: FrameNumber, access: seawall_firmware::elf::Access) -> u64 {
    use seawall_firmware::elf::Access;
    match access {
        Access::Read | Access::Execute => page(frame, access) | tables::CLEAN,
        Access::Write => page(frame, Access::Read) | tables::CLEAN | tables::WRITABLE,
    }
}
