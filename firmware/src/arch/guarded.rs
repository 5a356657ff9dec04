#![expect(
    unsafe_code,
    reason = "accesses that may abort, with a way back, are assembly that the vectors know"
)]
//! Accesses that may fail: copies from and to programs' memory, probes for devices, calls to a conduit that may not exist; and
//! the one place where the kernel lets in an SError that it had masked.
//!
//! Between `guarded_start` and `guarded_end` an exception from EL1 goes on at `guarded_failed` and the function gives
//! an error, in place of an epitaph. Copies use the unprivileged loads and stores, so that a program can have the kernel
//! read and write only what it could itself; memory of a program that does not run is read through the linear map, by
//! frames of which the kernel knows whose they are.

use core::arch::global_asm;

use seawall_agent::FrameNumber;

use super::memory;

// All: INPUTS as declared below. OUTPUTS: x0, x1. CLOBBERS: x0 to x17. ENDING: RET.
global_asm!(
    ".pushsection .text.guarded, \"ax\"",
    ".global guarded_start, guarded_end, guarded_failed",
    "guarded_start:",
    // guarded_copy(to, from, bytes) -> bytes not copied
    ".global guarded_copy",
    "guarded_copy:",
    "    mov     x3, x2",
    "1:  cbz     x3, 2f",
    "    ldtrb   w4, [x1]",
    "    strb    w4, [x0], #1",
    "    add     x1, x1, #1",
    "    sub     x3, x3, #1",
    "    b       1b",
    "2:  mov     x0, #0",
    "    ret",
    // guarded_copy_out(to, from, bytes) -> bytes not copied
    ".global guarded_copy_out",
    "guarded_copy_out:",
    "    mov     x3, x2",
    "1:  cbz     x3, 2f",
    "    ldrb    w4, [x1], #1",
    "    sttrb   w4, [x0]",
    "    add     x0, x0, #1",
    "    sub     x3, x3, #1",
    "    b       1b",
    "2:  mov     x0, #0",
    "    ret",
    // guarded_copy_frame(to, from, bytes) -> bytes not copied; both of the kernel's half
    ".global guarded_copy_frame",
    "guarded_copy_frame:",
    "    mov     x3, x2",
    "1:  cbz     x3, 2f",
    "    ldrb    w4, [x1], #1",
    "    strb    w4, [x0], #1",
    "    sub     x3, x3, #1",
    "    b       1b",
    "2:  mov     x0, #0",
    "    ret",
    // guarded_copy_page(to, from) -> 0; both frames, by the linear map
    ".global guarded_copy_page",
    "guarded_copy_page:",
    "    add     x3, x1, #4096",
    "1:  ldp     x4, x5, [x1], #16",
    "    stp     x4, x5, [x0], #16",
    "    cmp     x1, x3",
    "    b.lo    1b",
    "    mov     x0, #0",
    "    ret",
    // guarded_load(address) -> a program's word, or all ones
    ".global guarded_load",
    "guarded_load:",
    "    ldtr    w0, [x0]",
    "    ret",
    // guarded_fill(to, from, bytes) -> 0. Not for a program's own addresses.
    ".global guarded_fill",
    "guarded_fill:",
    "    subs    x2, x2, #128",
    "    b.lo    2f",
    "1:  ldp     x4, x5, [x1]",
    "    ldp     x6, x7, [x1, #16]",
    "    ldp     x8, x9, [x1, #32]",
    "    ldp     x10, x11, [x1, #48]",
    "    ldp     x12, x13, [x1, #64]",
    "    ldp     x14, x15, [x1, #80]",
    "    ldp     x16, x17, [x1, #96]",
    "    stp     x4, x5, [x0]",
    "    ldp     x4, x5, [x1, #112]",
    "    stp     x6, x7, [x0, #16]",
    "    stp     x8, x9, [x0, #32]",
    "    stp     x10, x11, [x0, #48]",
    "    stp     x12, x13, [x0, #64]",
    "    stp     x14, x15, [x0, #80]",
    "    stp     x16, x17, [x0, #96]",
    "    stp     x4, x5, [x0, #112]",
    "    add     x1, x1, #128",
    "    add     x0, x0, #128",
    "    subs    x2, x2, #128",
    "    b.hs    1b",
    "2:  adds    x2, x2, #(128 - 8)",
    "    b.mi    4f",
    "3:  ldr     x4, [x1], #8",
    "    str     x4, [x0], #8",
    "    subs    x2, x2, #8",
    "    b.pl    3b",
    "4:  adds    x2, x2, #8",
    "    b.eq    6f",
    "5:  ldrb    w4, [x1], #1",
    "    strb    w4, [x0], #1",
    "    subs    x2, x2, #1",
    "    b.ne    5b",
    "6:  mov     x0, #0",
    "    ret",
    // guarded_zero(to, end, step) -> 0: from `to` to `end`, by DC ZVA of `step` bytes
    ".global guarded_zero",
    "guarded_zero:",
    "1:  dc      zva, x0",
    "    add     x0, x0, x2",
    "    cmp     x0, x1",
    "    b.lo    1b",
    "    mov     x0, #0",
    "    ret",
    // guarded_descriptors(to, end, one, two, step) -> 0: pairs of words from `to` to `end`, each `step` more than the last
    ".global guarded_descriptors",
    "guarded_descriptors:",
    "1:  stp     x2, x3, [x0], #16",
    "    add     x2, x2, x4",
    "    add     x3, x3, x4",
    "    cmp     x0, x1",
    "    b.lo    1b",
    "    mov     x0, #0",
    "    ret",
    // guarded_read32(address) -> value, or all ones
    ".global guarded_read32",
    "guarded_read32:",
    "    ldr     w0, [x0]",
    "    ret",
    // guarded_read64(address) -> value, or all ones
    ".global guarded_read64",
    "guarded_read64:",
    "    ldr     x0, [x0]",
    "    ret",
    // guarded_copy_user_page(to, from, bytes) -> 0, or all ones: a page of the running program's, as it reads it itself, or a
    // part of one by units of 32 bytes
    ".global guarded_copy_user_page",
    "guarded_copy_user_page:",
    "    mov     x3, x2",
    "1:  ldtr    x4, [x1, #0]",
    "    ldtr    x5, [x1, #8]",
    "    ldtr    x6, [x1, #16]",
    "    ldtr    x7, [x1, #24]",
    "    stp     x4, x5, [x0], #16",
    "    stp     x6, x7, [x0], #16",
    "    add     x1, x1, #32",
    "    subs    x3, x3, #32",
    "    b.ne    1b",
    "    mov     x0, #0",
    "    ret",
    // guarded_hvc, guarded_smc(function) -> result, or all ones
    ".global guarded_hvc",
    "guarded_hvc:",
    "    hvc     #0",
    "    ret",
    ".global guarded_smc",
    "guarded_smc:",
    "    smc     #0",
    "    ret",
    // guarded_walk(root table, address, linear map) -> the last-level descriptor or 0, and the table last read; or all
    // ones, and the table whose reading aborted
    ".global guarded_walk",
    "guarded_walk:",
    "    mov     x3, x0",
    "    ubfx    x4, x1, #30, #9",
    "    add     x5, x3, x2",
    "    ldr     x0, [x5, x4, lsl #3]",
    "    mvn     x6, x0",
    "    tst     x6, #3",
    "    b.ne    3f",
    "    and     x3, x0, #0x0000fffffffff000",
    "    ubfx    x4, x1, #21, #9",
    "    add     x5, x3, x2",
    "    ldr     x0, [x5, x4, lsl #3]",
    "    mvn     x6, x0",
    "    tst     x6, #3",
    "    b.ne    3f",
    "    and     x3, x0, #0x0000fffffffff000",
    "    ubfx    x4, x1, #12, #9",
    "    add     x5, x3, x2",
    "    ldr     x0, [x5, x4, lsl #3]",
    "    mov     x1, x3",
    "    ret",
    "3:  mov     x0, #0",
    "    mov     x1, x3",
    "    ret",
    // guarded_let_in() -> 0, or all ones when an SError was pending
    ".global guarded_let_in",
    "guarded_let_in:",
    "    msr     daifclr, #4",
    "    isb",
    "    msr     daifset, #4",
    "    mov     x0, #0",
    "    ret",
    "guarded_end:",
    // SErrors are masked again: it may be one that came in.
    "guarded_failed:",
    "    msr     daifset, #4",
    "    mov     x0, #-1",
    "    mov     x1, x3",
    "    ret",
    ".popsection",
);

unsafe extern "C" {
    fn guarded_copy(to: *mut u8, from: u64, bytes: usize) -> usize;
    fn guarded_copy_out(to: u64, from: *const u8, bytes: usize) -> usize;
    fn guarded_copy_frame(to: *mut u8, from: *const u8, bytes: usize) -> usize;
    fn guarded_load(address: u64) -> u64;
    fn guarded_copy_page(to: u64, from: u64) -> u64;
    fn guarded_fill(to: *mut u8, from: *const u8, bytes: usize) -> u64;
    fn guarded_zero(to: *mut u8, end: *mut u8, step: usize) -> u64;
    fn guarded_descriptors(to: *mut u8, end: *mut u8, one: u64, two: u64, step: u64) -> u64;
    fn guarded_read32(address: u64) -> u64;
    fn guarded_read64(address: u64) -> u64;
    fn guarded_copy_user_page(to: *mut u8, from: u64, bytes: usize) -> u64;
    fn guarded_hvc(function: u64) -> u64;
    fn guarded_smc(function: u64) -> u64;
    fn guarded_let_in() -> u64;
    fn guarded_walk();
    static guarded_start: u8;
    static guarded_end: u8;
    static guarded_failed: u8;
}

/// What walking a program's tables in software gave.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Walk {
    /// The last-level descriptor; zero when there is none.
    Descriptor(u64),
    /// Reading the table at this physical address aborted.
    Aborted(u64),
}

/// Follows an address of the lower half through the tables at `root`, both physical.
///
/// Called by an instruction of its own, for the walk uses seven registers and a call by the compiler would save eleven
/// more: this stands on the way of an abort.
#[inline(always)]
pub(crate) fn walk(root: u64, address: u64) -> Walk {
    match walk_to_table(root, address) {
        (u64::MAX, table) => Walk::Aborted(table),
        (descriptor, _) => Walk::Descriptor(descriptor),
    }
}

/// The same, with the last-level table's physical address beside its descriptor; all ones beside the table whose reading
/// aborted.
#[inline(always)]
pub(crate) fn walk_to_table(root: u64, address: u64) -> (u64, u64) {
    let (descriptor, table): (u64, u64);
    // SAFETY: tables are read through the linear map, by the indices of the address; what aborts comes back. The
    // registers named are all that `guarded_walk` uses.
    unsafe {
        core::arch::asm!(
            "bl {walk}",
            walk = sym guarded_walk,
            inout("x0") root => descriptor,
            inout("x1") address => table,
            inout("x2") super::tables::LINEAR_BASE => _,
            out("x3") _, out("x4") _, out("x5") _, out("x6") _, out("x30") _,
            options(nostack, readonly)
        );
    }
    (descriptor, table)
}

/// Where an exception at this address goes on, if it was in a guarded access.
#[inline]
pub(crate) fn way_back(address: u64) -> Option<u64> {
    let range = (&raw const guarded_start as u64)..(&raw const guarded_end as u64);
    if range.contains(&address) {
        Some(&raw const guarded_failed as u64)
    } else {
        None
    }
}

/// Copies from the running program; false when it could not read all of that itself.
pub(crate) fn copy_from_task(to: &mut [u8], from: u64) -> bool {
    // SAFETY: writes `to` alone; the unprivileged loads read only what the program may, and abort into the way back.
    unsafe { guarded_copy(to.as_mut_ptr(), from, to.len()) == 0 }
}

/// Copies to the running program; false when it could not write all of that itself.
pub(crate) fn copy_to_task(to: u64, from: &[u8]) -> bool {
    // SAFETY: reads `from` alone; the unprivileged stores write only what the program may, and abort into the way back.
    unsafe { guarded_copy_out(to, from.as_ptr(), from.len()) == 0 }
}

/// Copies from a frame of whichever program, as far as it reaches; false when that could not be read.
pub(crate) fn copy_from_frame(to: &mut [u8], from: FrameNumber, offset: usize) -> bool {
    let bytes = to.len().min(4096_usize.saturating_sub(offset));
    let start = memory::frame(from).wrapping_add(offset);
    // SAFETY: writes `to` alone; reads one frame by the linear map, and aborts into the way back.
    unsafe { guarded_copy_frame(to.as_mut_ptr(), start, bytes) == 0 }
}

/// Reads a word of the running program at once; `None` when it could not read that itself.
pub(crate) fn load_from_task(address: u64) -> Option<u32> {
    // SAFETY: as for a copy.
    u32::try_from(unsafe { guarded_load(address) }).ok()
}

/// Copies into a frame that was just handed out, from `offset` on; false when that met an abort, on either side.
pub(crate) fn fill(number: FrameNumber, offset: usize, from: &[u8]) -> bool {
    let bytes = from.len().min(4096_usize.saturating_sub(offset));
    let to = memory::frame(number).wrapping_add(offset);
    // SAFETY: what is written lies in the frame, which is the caller's; what is read is the slice. What aborts comes back.
    unsafe { guarded_fill(to, from.as_ptr(), bytes) == 0 }
}

/// Clears a frame that was just handed out; false when that met an abort.
pub(crate) fn clear(number: FrameNumber) -> bool {
    let to = memory::frame(number);
    match memory::zva_bytes() {
        // SAFETY: the frame is the caller's, and made of whole blocks.
        Some(step) => unsafe { guarded_zero(to, to.wrapping_add(4096), step) == 0 },
        None => fill(number, 0, &[0; 4096]),
    }
}

/// Fills a frame that was just handed out with descriptors, the first of them this, and each so much more than the one before;
/// false when that met an abort.
pub(crate) fn fill_table(number: FrameNumber, first: u64, step: u64) -> bool {
    let to = memory::frame(number);
    // SAFETY: the frame is the caller's: 256 pairs of words. What aborts comes back.
    unsafe { guarded_descriptors(to, to.wrapping_add(4096), first, first + step, 2 * step) == 0 }
}

/// Copies a frame into another that the caller has just been given, and that nobody maps yet; false when that met an abort,
/// which is left to be charged.
pub(crate) fn copy_frame(to: FrameNumber, from: FrameNumber) -> bool {
    // SAFETY: the frame that is written belongs to the caller; what aborts comes back.
    unsafe { guarded_copy_page(super::linear::address(to), super::linear::address(from)) == 0 }
}

/// Copies a part, or the whole, of the running program's page at this address to the same place of a frame that was just
/// handed out; false when it could not read all of that itself.
pub(crate) fn copy_page_from_task(to: FrameNumber, page: u64, part: core::ops::Range<usize>) -> bool {
    let (start, end) = (part.start.min(4096) & !31, part.end.min(4096) & !31);
    let to = memory::frame(to).wrapping_add(start);
    // SAFETY: writes the frame alone, which is the caller's own and which the range was cut to; as above for what is
    // read.
    start >= end || unsafe { guarded_copy_user_page(to, page + start as u64, end - start) == 0 }
}

/// Reads a descriptor of a table that may be poisoned; `None` when it is.
pub(crate) fn descriptor(table: FrameNumber, index: u64) -> Option<u64> {
    let address = memory::frame(table).addr() as u64 + (index & 511) * 8;
    // SAFETY: the index was cut to the table's 512 slots; what aborts comes back.
    let descriptor = unsafe { guarded_read64(address) };
    (descriptor != u64::MAX).then_some(descriptor)
}

/// Lets in the SError that is pending, if there is one; whether there was.
pub(crate) fn let_serror_in() -> bool {
    // SAFETY: masks as they were, in either case; what is taken between comes back by the way back.
    unsafe { guarded_let_in() != 0 }
}

/// Reads a device or memory that may not be there.
pub(crate) fn probe(address: u64) -> Option<u32> {
    // SAFETY: the address is mapped; what answers nothing aborts into the way back.
    u32::try_from(unsafe { guarded_read32(address) }).ok()
}

/// Calls firmware by HVC.
pub(crate) fn hvc(function: u64) -> u64 {
    // SAFETY: SMCCC keeps x18 and up, which is what the compiler expects of a call; without EL2, the way back.
    unsafe { guarded_hvc(function) }
}

/// Calls firmware by SMC.
pub(crate) fn smc(function: u64) -> u64 {
    // SAFETY: as above.
    unsafe { guarded_smc(function) }
}
