//! From a frame to where a program's space maps it, and what is done there. Every table is read so that poison in it is
//! survived: then the frame is not found.

use aarch64_cpu::asm::barrier;
use seawall_agent::{FrameNumber, IntermediateAddress, VirtualAddress};

use super::guarded::{self, Walk};
use super::space::Space;
use super::{linear, memory, registers};

const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
const TABLE: u64 = 3;
/// UXN [Arm ARM D8.3.2].
const NO_EXECUTE: u64 = 1 << 54;

fn next(descriptor: u64) -> FrameNumber {
    FrameNumber::from_address(IntermediateAddress(descriptor & ADDRESS))
}

/// A table's entries that lead further, each with its index.
fn entries(table: FrameNumber) -> impl Iterator<Item = (u64, u64)> {
    let start = linear::address(table);
    (0..512).filter_map(move |index| {
        let slot = start + index * 8;
        let low = guarded::probe(slot)?;
        if u64::from(low) & TABLE != TABLE {
            return None;
        }
        Some((index, u64::from(guarded::probe(slot + 4)?) << 32 | u64::from(low)))
    })
}

impl Space {
    /// Where a frame is mapped. All tables are gone through: for what has time.
    pub(crate) fn find(&self, frame: FrameNumber) -> Option<VirtualAddress> {
        entries(self.root()).find_map(|(first, level2)| {
            entries(next(level2)).find_map(|(second, level3)| {
                let found = entries(next(level3)).find(|(_, page)| next(*page) == frame);
                found.map(|(third, _)| VirtualAddress(first << 30 | second << 21 | third << 12))
            })
        })
    }

    /// Maps a copy of a page in its place, by break-before-make [Arm ARM D8.17.1]; false when it is not mapped to `from`.
    /// No program runs meanwhile.
    pub(crate) fn move_page(&self, address: VirtualAddress, from: FrameNumber, to: FrameNumber) -> bool {
        let Walk::Descriptor(descriptor) = self.walk(address) else {
            return false;
        };
        let Some(table) = self.table_at(address, 3) else {
            return false;
        };
        if descriptor & TABLE != TABLE || next(descriptor) != from {
            return false;
        }
        if descriptor & NO_EXECUTE == 0 {
            memory::publish_text(to);
        }
        let index = address.0 >> 12;
        memory::set_descriptor(table, index, 0);
        registers::forget_address_space(self.asid());
        memory::set_descriptor(table, index, descriptor & !ADDRESS | to.address().0);
        barrier::dsb(barrier::ISHST);
        true
    }
}
