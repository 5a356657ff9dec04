#![expect(
    unsafe_code,
    reason = "translation tables are shared with the MMU, which no Rust type can describe"
)]
//! The kernel's half of the address space: descriptors, and the tables behind TTBR1.
//!
//! Upper half, 39 bits: at [`LINEAR_BASE`] all memory by its physical address, never executable; at [`DEVICE_BASE`]
//! devices; at [`TREE_BASE`] the device tree; at the top the kernel itself. The 2 MiB that hold the kernel are left
//! out of the linear map, so that no writable alias of its text exists.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use aarch64_cpu::asm::barrier;
use seawall_firmware::board::Range;
use seawall_firmware::native;

/// All memory lies here plus its physical address.
pub(crate) const LINEAR_BASE: u64 = 0xffff_ff80_0000_0000;
/// Devices, in windows of 2 MiB.
pub(crate) const DEVICE_BASE: u64 = 0xffff_ffc0_0000_0000;
/// The last page of the kernel's 2 MiB, which the linker leaves free: see [`open_window`].
pub(crate) const WINDOW: u64 = 0xffff_ffff_801f_f000;
/// The device tree: two windows of 2 MiB.
pub(crate) const TREE_BASE: u64 = 0xffff_ffc0_4000_0000;

pub(crate) const BLOCK: u64 = 2 << 20;
const GIGABYTE: u64 = 1 << 30;

// Descriptor bits [Arm ARM D8.3.2]: type 1:0, AttrIndx 4:2, AP 7:6, SH 9:8, AF 10, nG 11, PXN 53, UXN 54.
const PAGE: u64 = 3;
const USER: u64 = 1 << 6;
pub(crate) const READ_ONLY: u64 = 1 << 7;
const SHARED: u64 = 3 << 8;
const ACCESSED: u64 = 1 << 10;
const NOT_GLOBAL: u64 = 1 << 11;
const PXN: u64 = 1 << 53;
pub(crate) const UXN: u64 = 1 << 54;

/// For software, bits 58:55: the page is as the program's image has it. A program's text and constants always are, its
/// data until it writes them.
pub(crate) const CLEAN: u64 = 1 << 55;
/// The program may write the page, and has not yet: it is mapped read-only until then.
pub(crate) const WRITABLE: u64 = 1 << 56;

/// Bits 63:60 of an invalid descriptor: a page that was lost. Its frame is in the place of an address.
pub(crate) const LOST_MASK: u64 = 0xf << 60;
pub(crate) const LOST: u64 = 0xd << 60;

/// Kernel text.
pub(crate) const NORMAL_RX: u64 = PAGE | READ_ONLY | SHARED | ACCESSED | UXN;
/// Kernel constants.
pub(crate) const NORMAL_RO: u64 = NORMAL_RX | PXN;
/// Kernel data.
pub(crate) const NORMAL_RW: u64 = PAGE | SHARED | ACCESSED | UXN | PXN;
/// A device.
pub(crate) const DEVICE: u64 = PAGE | (1 << 2) | ACCESSED | UXN | PXN;
/// A program's text.
pub(crate) const USER_RX: u64 = PAGE | USER | READ_ONLY | SHARED | ACCESSED | NOT_GLOBAL | PXN;
/// A program's constants.
pub(crate) const USER_RO: u64 = USER_RX | UXN;
/// A program's data.
pub(crate) const USER_RW: u64 = PAGE | USER | SHARED | ACCESSED | NOT_GLOBAL | PXN | UXN;
/// A device page that a program may write.
pub(crate) const USER_DEVICE: u64 = DEVICE | USER | NOT_GLOBAL;

/// A block descriptor differs from a page's in its type alone.
const fn as_block(attributes: u64) -> u64 {
    attributes & !2
}

/// One table of 512 descriptors.
#[repr(C, align(4096))]
pub(crate) struct Table(UnsafeCell<[u64; 512]>);

// SAFETY: tables are written with one CPU running and exceptions masked, by `Table::set` and `linear` alone.
unsafe impl Sync for Table {}

impl Table {
    const fn empty() -> Self {
        Self(UnsafeCell::new([0; 512]))
    }

    fn slot(&self, index: u64) -> *mut u64 {
        self.0.get().cast::<u64>().wrapping_add(native(index & 511))
    }

    fn set(&self, index: u64, descriptor: u64) {
        // SAFETY: one of the table's 512 slots; volatile, because the MMU reads what is written.
        unsafe { self.slot(index).write_volatile(descriptor) }
    }

    fn get(&self, index: u64) -> u64 {
        // SAFETY: one of the table's 512 slots.
        unsafe { self.slot(index).read_volatile() }
    }
}

#[unsafe(link_section = ".bss.tables")]
pub(crate) static KERNEL_LEVEL1: Table = Table::empty();
#[unsafe(link_section = ".bss.tables")]
pub(crate) static KERNEL_LEVEL2: Table = Table::empty();
#[unsafe(link_section = ".bss.tables")]
pub(crate) static KERNEL_LEVEL3: Table = Table::empty();
#[unsafe(link_section = ".bss.tables")]
pub(crate) static IDENTITY_LEVEL1: Table = Table::empty();
#[unsafe(link_section = ".bss.tables")]
pub(crate) static IDENTITY_LEVEL2: Table = Table::empty();
/// What TTBR0 names while no task runs: nothing is mapped.
#[unsafe(link_section = ".bss.tables")]
pub(crate) static NOTHING: Table = Table::empty();
#[unsafe(link_section = ".bss.tables")]
static DEVICE_LEVEL2: Table = Table::empty();
#[unsafe(link_section = ".bss.tables")]
static TREE_LEVEL2: Table = Table::empty();

/// Level-2 tables for the linear map: at most two for each bank, and one for the gigabyte of the kernel.
#[unsafe(link_section = ".bss.tables")]
static LINEAR_LEVEL2: [Table; 18] = [const { Table::empty() }; 18];
static LINEAR_USED: AtomicUsize = AtomicUsize::new(0);
static DEVICES_USED: AtomicUsize = AtomicUsize::new(0);
/// Where the Image lies, for whoever looks for the kernel's own tables later.
static IMAGE: AtomicU64 = AtomicU64::new(0);

/// The kernel's own table as the MMU needs it. The kernel is linked in one piece, so its physical addresses are found
/// from where it was loaded.
fn physical(table: &'static Table, image: u64) -> u64 {
    let offset = (core::ptr::from_ref(table) as u64).wrapping_sub(super::memory::kernel_base());
    image + offset
}

/// Where something of the kernel's image lies, by its address in the upper half.
pub(crate) fn physical_of(address: u64) -> u64 {
    IMAGE
        .load(Ordering::Relaxed)
        .wrapping_add(address.wrapping_sub(super::memory::kernel_base()))
}

/// The table of level 2 that maps the device tree, and what it maps.
pub(crate) fn tree_table() -> (u64, u64) {
    (core::ptr::from_ref(&TREE_LEVEL2) as u64, TREE_BASE)
}

/// The physical address of the empty table.
pub(crate) fn nothing(image: u64) -> u64 {
    physical(&NOTHING, image)
}

/// New descriptors over invalid ones are visible once this has passed [Arm ARM D8.17.1].
fn publish() {
    barrier::dsb(barrier::ISHST);
    barrier::isb(barrier::SY);
}

fn index(address: u64, level: u32) -> u64 {
    (address >> (39 - 9 * level)) & 511
}

/// Maps the 4 MiB from the 2 MiB boundary below `tree`; gives the virtual address of `tree`.
pub(crate) fn map_tree(tree: u64, image: u64) -> u64 {
    let block = tree & !(BLOCK - 1);
    TREE_LEVEL2.set(0, block | as_block(NORMAL_RO));
    TREE_LEVEL2.set(1, (block + BLOCK) | as_block(NORMAL_RO));
    KERNEL_LEVEL1.set(index(TREE_BASE, 1), physical(&TREE_LEVEL2, image) | PAGE);
    publish();
    TREE_BASE + (tree - block)
}

/// Maps the 2 MiB around a device's register, once; gives its virtual address. `None` when all windows are in use.
pub(crate) fn map_device(address: u64, image: u64) -> Option<u64> {
    let block = address & !(BLOCK - 1);
    let used = DEVICES_USED.load(Ordering::Relaxed) as u64;
    let known = (0..used).find(|slot| DEVICE_LEVEL2.get(*slot) & 0x0000_ffff_ffe0_0000 == block);
    let slot = known.unwrap_or(used);
    if slot >= 512 {
        return None;
    }
    if known.is_none() {
        DEVICES_USED.store(native(slot) + 1, Ordering::Relaxed);
        DEVICE_LEVEL2.set(slot, block | as_block(DEVICE));
        KERNEL_LEVEL1.set(index(DEVICE_BASE, 1), physical(&DEVICE_LEVEL2, image) | PAGE);
        publish();
    }
    Some(DEVICE_BASE + slot * BLOCK + (address - block))
}

/// Maps a bank of memory into the linear map, but for the 2 MiB blocks that `kernel` touches; gives what of the bank
/// is mapped, which is whole blocks of 2 MiB. `None` when the tables for it are used up.
pub(crate) fn map_bank(bank: Range, kernel: Range, image: u64) -> Option<Range> {
    IMAGE.store(image, Ordering::Relaxed);
    let mapped = Range {
        start: bank.start.next_multiple_of(BLOCK),
        end: bank.end & !(BLOCK - 1),
    };
    let mut at = mapped.start;
    while at < mapped.end {
        let slot = index(LINEAR_BASE + at, 1);
        let whole = at.is_multiple_of(GIGABYTE)
            && at + GIGABYTE <= mapped.end
            && !Range::of(at, GIGABYTE).overlaps(&kernel);
        if whole {
            KERNEL_LEVEL1.set(slot, at | as_block(NORMAL_RW));
            at += GIGABYTE;
            continue;
        }
        let table = level2(slot, image)?;
        let end = ((at & !(GIGABYTE - 1)) + GIGABYTE).min(mapped.end);
        while at < end {
            if !Range::of(at, BLOCK).overlaps(&kernel) {
                table.set(index(LINEAR_BASE + at, 2), at | as_block(NORMAL_RW));
            }
            at += BLOCK;
        }
    }
    publish();
    Some(mapped)
}

/// The level-2 table behind a slot of level 1, made when there is none yet.
fn level2(slot: u64, image: u64) -> Option<&'static Table> {
    let present = KERNEL_LEVEL1.get(slot) & 0x0000_ffff_ffff_f000;
    if present != 0 {
        return LINEAR_LEVEL2
            .iter()
            .find(|table| physical(table, image) == present);
    }
    let table = LINEAR_LEVEL2.get(LINEAR_USED.fetch_add(1, Ordering::Relaxed))?;
    KERNEL_LEVEL1.set(slot, physical(table, image) | PAGE);
    Some(table)
}

/// The entry of level 1 for an address of the upper half.
pub(super) fn linear_level1(address: u64) -> *mut u64 {
    KERNEL_LEVEL1.slot(index(address, 1))
}

/// Where the kernel's own mapping has a table that lies at this physical address, if it is one of the kernel's statics.
pub(super) fn of_the_kernel(table: u64) -> Option<*mut u64> {
    let offset = table.checked_sub(IMAGE.load(Ordering::Relaxed))?;
    LINEAR_LEVEL2
        .iter()
        .map(|known| known.slot(0))
        .find(|known| (*known as u64).wrapping_sub(super::memory::kernel_base()) == offset)
}

/// Maps a table that is a frame apart from the linear map; what was there before has been forgotten.
pub(super) fn open_window(table: u64) -> *mut u64 {
    KERNEL_LEVEL3.set(WINDOW >> 12, table | NORMAL_RW);
    publish();
    core::ptr::with_exposed_provenance_mut(native(WINDOW))
}

/// The entry that maps the window.
pub(super) fn window() -> *mut u64 {
    KERNEL_LEVEL3.slot(WINDOW >> 12)
}
