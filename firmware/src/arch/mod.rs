//! All that knows the machine: assembly, system registers, translation tables, devices.
//!
//! This folder is where `unsafe` lives, and nowhere else in the guest: each module says at its top what it has to
//! promise, and why that holds.

pub(crate) mod boot;
pub(crate) mod counter;
pub(crate) mod device;
pub(crate) mod entry;
pub(crate) mod frame;
pub(crate) mod gic;
pub(crate) mod guarded;
pub(crate) mod heap;
pub(crate) mod linear;
pub(crate) mod memory;
pub(crate) mod port;
pub(crate) mod psci;
pub(crate) mod registers;
mod reverse;
pub(crate) mod slots;
pub(crate) mod space;
pub(crate) mod tables;
pub(crate) mod timer;
pub(crate) mod uart;
pub(crate) mod unfit;
pub(crate) mod vectors;

/// The device tree at a physical address: its bytes, as many as its header says, if it has a header at all.
///
/// [Devicetree Specification 0.4, 5.2] The magic is 0xd00dfeed, the size comes second, both big endian; [Linux
/// booting.rst] a tree is at most 2 MiB and lies on an 8-byte boundary.
pub(crate) fn device_tree(tree: u64, image: u64) -> Option<&'static [u8]> {
    if tree == 0 || !tree.is_multiple_of(8) || tree >= seawall_firmware::board::MEMORY_CEILING {
        return None;
    }
    let address = tables::map_tree(tree, image);
    if guarded::probe(address)? != 0xd00d_feed_u32.swap_bytes() {
        return None;
    }
    let bytes = guarded::probe(address + 4)?.swap_bytes() as usize;
    // Memory may end before the tree says that it does. Every page is tried, and the last word.
    let is_there = |offset: usize| guarded::probe(address + (offset & !3) as u64).is_some();
    let is_whole = bytes <= 2 << 20 && (0..bytes).step_by(4096).all(is_there) && is_there(bytes.max(1) - 1);
    is_whole.then(|| memory::tree(address, bytes))
}
