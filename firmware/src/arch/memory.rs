#![expect(unsafe_code, reason = "frames are reached by address, through the linear map")]
//! Memory by frame: the linear map, and the few ways in which the kernel touches a frame that is not a Rust value.
//!
//! Every function takes frames or physical ranges that the frame table gave out to the caller, so that no two owners
//! exist; frames that were retired are never passed here, for a touch would be a second abort.

use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;

use aarch64_cpu::asm::barrier;
use seawall_agent::address::FrameNumber;
use seawall_firmware::board::Range;
use seawall_firmware::native;
use seawall_firmware::regions::{Region, Regions};

use super::tables::{self, LINEAR_BASE};

unsafe extern "C" {
    static _head: u8;
    static _end: u8;
    static _heap_start: u8;
    static _heap_end: u8;
    static _text_end: u8;
    static _rodata_end: u8;
    static _bss_end: u8;
    static _tables_start: u8;
    static _tables_end: u8;
    static _stack_bottom: u8;
    static _stack_top: u8;
    static _last_bottom: u8;
    static _last_top: u8;
    static _emergency_bottom: u8;
    static _emergency_top: u8;
}

/// What lies where in the kernel's half: the books by their physical ranges.
pub(crate) fn regions(books: [(Range, Region); 4], programs: &[u8]) -> Regions {
    let range = |start: *const u8, end: *const u8| Range {
        start: start as u64,
        end: end as u64,
    };
    let programs = programs.as_ptr_range();
    let image = Regions::EMPTY
        .with(range(&raw const _head, &raw const _text_end), Region::Text)
        .with(range(programs.start, programs.end), Region::Programs)
        .with(
            range(&raw const _text_end, &raw const _rodata_end),
            Region::Constants,
        )
        .with(
            range(&raw const _tables_start, &raw const _tables_end),
            Region::Tables,
        )
        .with(range(&raw const _rodata_end, &raw const _bss_end), Region::Data)
        .with(
            range(&raw const _stack_bottom, &raw const _stack_top),
            Region::Stack,
        )
        .with(
            range(&raw const _last_bottom, &raw const _last_top),
            Region::LastStack,
        )
        .with(
            range(&raw const _emergency_bottom, &raw const _emergency_top),
            Region::EmergencyStack,
        )
        .with(range(&raw const _heap_start, &raw const _heap_end), Region::Heap);
    books
        .into_iter()
        .fold(image, |regions, (book, region)| {
            regions.with(Range::of(LINEAR_BASE + book.start, book.end - book.start), region)
        })
        .with(Range::of(tables::TREE_BASE, 2 * tables::BLOCK), Region::Tree)
        .with(
            Range {
                start: tables::DEVICE_BASE,
                end: tables::TREE_BASE,
            },
            Region::Device,
        )
        .with(
            Range {
                start: LINEAR_BASE,
                end: tables::DEVICE_BASE,
            },
            Region::Frame,
        )
}

/// Where the kernel is linked.
pub(crate) fn kernel_base() -> u64 {
    &raw const _head as u64
}

/// Bytes of the kernel in memory, with all that its Image only names.
pub(crate) fn kernel_bytes() -> u64 {
    &raw const _end as u64 - kernel_base()
}

/// The heap's region.
pub(crate) fn heap() -> (*mut u8, usize) {
    let start = &raw const _heap_start;
    (start.cast_mut(), &raw const _heap_end as usize - start as usize)
}

fn virtual_address(physical: u64) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(native(LINEAR_BASE + physical))
}

/// A frame's first byte in the linear map.
pub(crate) fn frame(frame: FrameNumber) -> *mut u8 {
    virtual_address(frame.address().0)
}

/// Bytes cleared by one DC ZVA, as DCZID_EL0 says; `None` where it is prohibited [Arm ARM D24.2.36], or where a page is
/// not made of such blocks.
pub(crate) fn zva_bytes() -> Option<usize> {
    let dczid: u64;
    // SAFETY: reads an identification register.
    unsafe {
        core::arch::asm!("mrs {}, dczid_el0", out(reg) dczid, options(nomem, nostack, preserves_flags))
    };
    (dczid & 0x10 == 0)
        .then_some(4 << (dczid & 0xf))
        .filter(|step| 4096 % step == 0)
}

/// Clears a physical range that belongs to the caller; both ends on frames.
pub(crate) fn clear(range: Range) {
    let (start, length) = (virtual_address(range.start), native(range.end - range.start));
    match zva_bytes() {
        Some(step) => {
            for offset in (0..length).step_by(step) {
                let line = start.wrapping_add(offset);
                // SAFETY: the line lies in the caller's own range, which is normal memory in the linear map.
                unsafe { core::arch::asm!("dc zva, {}", in(reg) line, options(nostack, preserves_flags)) };
            }
        }
        // SAFETY: the range is the caller's own and mapped writable.
        None => unsafe { start.write_bytes(0, length) },
    }
}

/// Clears a frame that was just handed out.
pub(crate) fn clear_frame(number: FrameNumber) {
    clear(Range::of(number.address().0, 4096));
}

/// Copies bytes into a frame that was just handed out; what does not fit is left out.
pub(crate) fn fill_frame(number: FrameNumber, offset: usize, bytes: &[u8]) {
    let length = bytes.len().min(4096_usize.saturating_sub(offset));
    // SAFETY: offset plus length stay in the frame, which is the caller's own; `bytes` lie in the kernel's image.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), frame(number).wrapping_add(offset), length) }
}

/// Makes a frame's content fetchable: cleaned to the point of unification, stale instructions dropped [Arm ARM
/// B2.7.4.2]. CTR_EL0 says how long a line is (DminLine, bits 19:16, in words), and what the caches do by themselves (IDC,
/// bit 28, and DIC, bit 29) [Arm ARM D24.2.33].
pub(crate) fn publish_text(number: FrameNumber) {
    let cache: u64;
    // SAFETY: reads an identification register.
    unsafe { core::arch::asm!("mrs {}, ctr_el0", out(reg) cache, options(nomem, nostack, preserves_flags)) };
    if cache & (1 << 28) == 0 {
        let mut line = frame(number);
        let end = line.wrapping_add(4096);
        let step = 4_usize << ((cache >> 16) & 0xf);
        while line < end {
            // SAFETY: cleaning a line that is mapped changes no value.
            unsafe { core::arch::asm!("dc cvau, {}", in(reg) line, options(nostack, preserves_flags)) };
            line = line.wrapping_add(step);
        }
    }
    barrier::dsb(barrier::ISH);
    if cache & (1 << 29) == 0 {
        // SAFETY: dropping cached instructions changes no value.
        unsafe { core::arch::asm!("ic ialluis", options(nostack, preserves_flags)) };
        barrier::dsb(barrier::ISH);
    }
    barrier::isb(barrier::SY);
}

/// Where a physical address lies in the linear map, which is never at zero.
pub(crate) fn place(physical: u64) -> NonNull<u8> {
    NonNull::new(virtual_address(physical)).unwrap_or(NonNull::dangling())
}

/// Turns a physical range that nobody else has into words that live as long as the guest.
pub(crate) fn words(range: Range) -> &'static mut [u64] {
    let start = virtual_address(range.start).cast();
    // SAFETY: the range was carved out of memory at boot for this one caller, is mapped, aligned to a frame, and every
    // bit pattern is a u64.
    unsafe { core::slice::from_raw_parts_mut(start, native((range.end - range.start) / 8)) }
}

/// The same as words that a reader outside of the guest may look at while they are written.
pub(crate) fn shared_words(range: Range) -> &'static [AtomicU64] {
    let words = words(range);
    // SAFETY: AtomicU64 has the layout of u64, and the only reference to the words becomes this one.
    unsafe { core::slice::from_raw_parts(words.as_mut_ptr().cast(), words.len()) }
}

/// The same as entries of the frame table.
pub(crate) fn entries(range: Range) -> &'static mut [seawall_firmware::frames::Entry] {
    let words = words(range);
    // SAFETY: an Entry is eight bytes of plain integers, for which every bit pattern is a value, aligned to four.
    unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), words.len()) }
}

/// The same as numbers of such entries.
pub(crate) fn numbers(range: Range) -> &'static mut [u32] {
    let words = words(range);
    // SAFETY: every bit pattern is a u32, and two of them lie in each word.
    unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), words.len() * 2) }
}

/// The device tree, from its mapping.
pub(crate) fn tree(address: u64, length: usize) -> &'static [u8] {
    let start = core::ptr::with_exposed_provenance(native(address));
    // SAFETY: `length` was read from the tree's own header and cut to the 2 MiB that are mapped from it on; nobody
    // writes to it, for it is left out of the frame table.
    unsafe { core::slice::from_raw_parts(start, length) }
}

/// Reads a descriptor of a translation table.
pub(crate) fn descriptor(table: FrameNumber, index: u64) -> u64 {
    let slot = frame(table).cast::<u64>().wrapping_add(native(index & 511));
    // SAFETY: the frame is a table of a task that lives; the index was cut to its 512 slots.
    unsafe { slot.read_volatile() }
}

/// Writes a descriptor of a translation table.
pub(crate) fn set_descriptor(table: FrameNumber, index: u64, descriptor: u64) {
    let slot = frame(table).cast::<u64>().wrapping_add(native(index & 511));
    // SAFETY: as above; volatile, because the MMU reads what is written.
    unsafe { slot.write_volatile(descriptor) }
}

/// A page of variables that nothing is kept in: what it is for is to be lost.
#[repr(C, align(4096))]
struct Spare([AtomicU64; 512]);

static SPARE: Spare = Spare([const { AtomicU64::new(0) }; 512]);

/// The address of that page.
pub(crate) fn spare() -> u64 {
    SPARE.0.as_ptr() as u64
}

/// The address of the page that the stack pointer is in.
pub(crate) fn stack_page() -> u64 {
    let stack: u64;
    // SAFETY: reads the stack pointer.
    unsafe { core::arch::asm!("mov {}, sp", out(reg) stack, options(nomem, nostack, preserves_flags)) };
    stack & !0xfff
}

/// The address of the first page of text, in which nothing runs after the boot but [`run_first_text`].
pub(crate) fn first_text() -> u64 {
    kernel_base()
}

/// Runs an instruction of the first page of text.
pub(crate) fn run_first_text() {
    unsafe extern "C" {
        fn boot_return();
    }
    // SAFETY: returns at once, and uses no register and no memory.
    unsafe { boot_return() }
}

/// Reads a word at an address of the kernel's half the way any kernel code would: with no way back from an abort.
pub(crate) fn touch_at(address: u64) -> u64 {
    let word = core::ptr::with_exposed_provenance::<u64>(native(address));
    // SAFETY: callers give an address of the kernel's own memory, aligned, of which every bit pattern is a word.
    unsafe { word.read_volatile() }
}

/// Reads a word of a kernel frame the way any kernel code would: with no way back from an abort.
pub(crate) fn touch(number: FrameNumber) -> u64 {
    // SAFETY: the frame belongs to the kernel and is mapped.
    unsafe { frame(number).cast::<u64>().read_volatile() }
}
