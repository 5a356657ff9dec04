#![expect(
    unsafe_code,
    reason = "descriptors that the machine uses while they are replaced"
)]
//! The linear map at page granularity: a retired frame is taken out of it, and what shared its block stays.
//!
//! A block becomes a table of the same memory by break-before-make [Arm ARM D8.17.1]: the entry is made invalid, the
//! translations of it are forgotten everywhere, and only then is the table written. In between nothing of the block is
//! mapped, and none of the kernel's own code, data or stack lies in the linear map. The finer table may lie in the very
//! block, so it is filled before; and one whose entry is replaced, if it is a frame, is reached by a window that does not
//! go through the linear map.

use core::sync::atomic::{AtomicU64, Ordering};

use seawall_agent::{FrameNumber, IntermediateAddress};
use seawall_firmware::frames::TakenOut;
use seawall_firmware::native;

use super::tables::{self, LINEAR_BASE};
use super::{counter, guarded, memory, unfit};

const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
/// Bits 1:0 of a descriptor: a block, and a table or a page.
const TYPE: u64 = 3;
const BLOCK: u64 = 1;
const TABLE: u64 = 3;
const PAGE: u64 = 4096;
const MIB_2: u64 = 2 << 20;

/// The most instructions that one attempt took; for the bench.
static DEAREST: AtomicU64 = AtomicU64::new(0);

/// Instructions that it took at most to take one frame out, where they are counted.
pub(crate) fn dearest() -> u64 {
    DEAREST.load(Ordering::Relaxed)
}

/// Where the linear map has a frame, if it does.
pub(crate) fn address(frame: FrameNumber) -> u64 {
    LINEAR_BASE + frame.address().0
}

/// Takes a frame out of the linear map; `spare` is for the table that this may need.
pub(crate) fn take_out(frame: FrameNumber, spare: Option<FrameNumber>) -> TakenOut {
    let before = counter::now();
    let done = taken_out(frame.address().0, spare);
    let cost = counter::now().wrapping_sub(before) & 0xffff_ffff;
    DEAREST.store(cost.max(dearest()), Ordering::Relaxed);
    done
}

fn taken_out(physical: u64, spare: Option<FrameNumber>) -> TakenOut {
    let address = LINEAR_BASE + physical;
    let first = tables::linear_level1(address);
    let table = match get(first) & TYPE {
        BLOCK => {
            return match split(first, address, MIB_2, spare) {
                Ok(()) => TakenOut::Again,
                Err(why) => why,
            };
        }
        TABLE => get(first) & ADDRESS,
        _ => return TakenOut::Done,
    };
    match tables::of_the_kernel(table) {
        Some(table) => out_of(table, address, spare),
        None => {
            let done = out_of(tables::open_window(table), address, spare);
            replace(tables::window(), 0, tables::WINDOW);
            done
        }
    }
}

/// Takes a page out, from level 2 on; `table` is not reached through the linear map.
fn out_of(table: *mut u64, address: u64, spare: Option<FrameNumber>) -> TakenOut {
    let second = table.wrapping_add(index(address, 21));
    match get(second) & TYPE {
        BLOCK => match split(second, address, PAGE, spare) {
            Ok(()) => TakenOut::WithTable,
            Err(why) => why,
        },
        TABLE => {
            // A page is taken out and none put in its place: the table, which the kernel itself stands on, is mapped still.
            let third = memory::frame(frame_of(get(second))).cast::<u64>();
            replace(third.wrapping_add(index(address, 12)), 0, address);
            TakenOut::Done
        }
        _ => TakenOut::Done,
    }
}

/// Makes of the block at `slot` a table of blocks of 2 MiB, or of pages without the one at `address`.
fn split(slot: *mut u64, address: u64, size: u64, spare: Option<FrameNumber>) -> Result<(), TakenOut> {
    let spare = spare.filter(|_| unfit::has_room()).ok_or(TakenOut::NoSpare)?;
    let block = get(slot);
    // A page's descriptor differs from a block's in its type alone.
    let descriptor = if size == PAGE { block | 2 } else { block };
    if !guarded::fill_table(spare, descriptor, size) {
        unfit::note(spare);
        return Err(TakenOut::Unfit);
    }
    if size == PAGE {
        let table = memory::frame(spare).cast::<u64>();
        // SAFETY: an entry of the same table, which nobody walks yet.
        unsafe { table.wrapping_add(index(address, 12)).write(0) };
    }
    replace(slot, spare.address().0 | TABLE, address);
    Ok(())
}

fn frame_of(descriptor: u64) -> FrameNumber {
    FrameNumber::from_address(IntermediateAddress(descriptor & ADDRESS))
}

fn index(address: u64, shift: u32) -> usize {
    native((address >> shift) & 511)
}

fn get(slot: *mut u64) -> u64 {
    // SAFETY: callers give an entry of a table that is mapped.
    unsafe { slot.read_volatile() }
}

/// Puts another descriptor into a table that the machine walks: break, forget, make.
///
/// What was written to the new table before is seen by walks after the first barrier, and no access lies between the
/// first store and the last but that to the entry.
fn replace(slot: *mut u64, descriptor: u64, address: u64) {
    // TLBI by VA takes bits 55:12 of it, and forgets a block by any address in it, with every ASID.
    let page = (address >> 12) & 0x0fff_ffff_ffff;
    // SAFETY: the entry is of a table that is mapped by what is not behind this entry. What is mapped afterwards is the same
    // memory as before, but for a page that was retired, to which no reference is left.
    unsafe {
        core::arch::asm!(
            "dsb ishst",
            "str xzr, [{slot}]",
            "dsb ishst",
            "tlbi vaae1is, {page}",
            "dsb ish",
            "isb",
            "str {descriptor}, [{slot}]",
            "dsb ishst",
            "isb",
            slot = in(reg) slot, page = in(reg) page, descriptor = in(reg) descriptor,
            options(nostack, preserves_flags)
        );
    }
}
