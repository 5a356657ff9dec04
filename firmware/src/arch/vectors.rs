#![expect(unsafe_code, reason = "this is assembly")]
//! The vectors: sixteen named slots, in two tables.
//!
//! [Arm ARM D1.3.5] From EL0 the frame is saved where SP_EL1 points, which while a task runs is the task's own frame;
//! the handler gets the one kernel stack, and gives back the frame to go on with. Nothing else is kept on that stack
//! between exceptions: there is no such thing as a sleeping kernel context.
//!
//! From EL1, anything is an accident, but for an abort in a copy that may fail. The stack may be what failed, so these
//! slots touch only the emergency block, and a second accident in there ends in `last_resort`, on a stack of its own.
//!
//! The two tables differ in one thing: with FEAT_RAS a call's border is synchronised by ESB and DISR_EL1 is looked at;
//! without, DISR_EL1 does not exist. Calls are what a table of their own pays for; all else asks a flag.

use core::arch::global_asm;
use core::mem::{offset_of, size_of};

use super::entry::Emergency;
use super::frame::Frame;

const _: () = assert!(size_of::<Frame>() == 272 && size_of::<Frame>().is_multiple_of(16));
const _: () =
    assert!(offset_of!(Frame, x) == 0 && offset_of!(Frame, elr) == 248 && offset_of!(Frame, spsr) == 256);

// save_frame: INPUTS: sp = the frame. OUTPUTS: the frame holds x0 to x30, ELR, SPSR; SP_EL0 is saved when another task
// is switched to, for the kernel never uses it. CLOBBERS: x0, x1. ENDING: falls through.
global_asm!(
    ".macro save_frame",
    "    stp     x0, x1, [sp, #0]",
    "    stp     x2, x3, [sp, #16]",
    "    stp     x4, x5, [sp, #32]",
    "    stp     x6, x7, [sp, #48]",
    "    stp     x8, x9, [sp, #64]",
    "    stp     x10, x11, [sp, #80]",
    "    stp     x12, x13, [sp, #96]",
    "    stp     x14, x15, [sp, #112]",
    "    stp     x16, x17, [sp, #128]",
    "    stp     x18, x19, [sp, #144]",
    "    stp     x20, x21, [sp, #160]",
    "    stp     x22, x23, [sp, #176]",
    "    stp     x24, x25, [sp, #192]",
    "    stp     x26, x27, [sp, #208]",
    "    stp     x28, x29, [sp, #224]",
    "    mrs     x0, elr_el1",
    "    mrs     x1, spsr_el1",
    "    stp     x30, x0, [sp, #240]",
    "    str     x1, [sp, #256]",
    ".endm",
    // from_el0: a slot that hands over to \handler(frame) on the kernel stack.
    ".macro from_el0 handler",
    "    save_frame",
    "    mov     x0, sp",
    "    adrp    x1, _stack_top",
    "    mov     sp, x1",
    "    b       \\handler",
    ".endm",
    // from_el0_sync: the same, with SVC told from all else, which is given ESR_EL1 and FAR_EL1 as they are now:
    // \other(frame, ESR, FAR).
    ".macro from_el0_sync call, other",
    "    save_frame",
    "    mov     x0, sp",
    "    adrp    x1, _stack_top",
    "    mov     sp, x1",
    "    mrs     x1, esr_el1",
    "    lsr     w2, w1, #26",
    "    cmp     w2, #0x15",
    "    b.ne    1f",
    "    bl      \\call",
    "    b       leave",
    "1:  mrs     x2, far_el1",
    "    b       \\other",
    ".endm",
    // accident: a slot that nothing good comes through. \number: the slot's, for the epitaph.
    ".macro accident number",
    "    msr     tpidr_el1, x0",
    "    mov     x0, #\\number",
    "    b       emergency",
    ".endm",
    ".macro vector_table name, call, other, irq, serror",
    ".balign 0x800",
    ".global \\name",
    "\\name:",
    ".org \\name + 0x000", // current EL with SP_EL0: never used
    "    accident 0",
    ".org \\name + 0x080",
    "    accident 1",
    ".org \\name + 0x100",
    "    accident 2",
    ".org \\name + 0x180",
    "    accident 3",
    ".org \\name + 0x200", // current EL with SP_ELx
    "    accident 4",
    ".org \\name + 0x280",
    "    accident 5",
    ".org \\name + 0x300",
    "    accident 6",
    ".org \\name + 0x380",
    "    accident 7",
    ".org \\name + 0x400", // lower EL, AArch64
    "    from_el0_sync \\call, \\other",
    ".org \\name + 0x480",
    "    from_el0 \\irq",
    ".org \\name + 0x500",
    "    accident 10",
    ".org \\name + 0x580",
    "    from_el0 \\serror",
    ".org \\name + 0x600", // lower EL, AArch32: no task is
    "    accident 12",
    ".org \\name + 0x680",
    "    accident 13",
    ".org \\name + 0x700",
    "    accident 14",
    ".org \\name + 0x780",
    "    accident 15",
    ".org \\name + 0x800",
    ".endm",
    ".pushsection .text.vectors, \"ax\"",
    "    vector_table vectors_plain, {call_plain}, {synchronous}, {irq}, {serror}",
    "    vector_table vectors_ras, {call_ras}, {synchronous}, {irq}, {serror}",
    ".popsection",
    call_plain = sym super::entry::el0_call::<false>,
    call_ras = sym super::entry::el0_call::<true>,
    synchronous = sym super::entry::el0_synchronous,
    irq = sym super::entry::el0_irq,
    serror = sym super::entry::el0_serror,
);

// leave: INPUTS: x0 = the frame to go on with. OUTPUTS: EL0 runs; SP_EL1 = that frame. ENDING: ERET.
// enter_first: the same, for Rust to call: never returns.
global_asm!(
    ".pushsection .text.vectors, \"ax\"",
    ".global leave",
    "leave:",
    "    mov     sp, x0",
    "    ldp     x30, x0, [sp, #240]",
    "    ldr     x1, [sp, #256]",
    "    msr     elr_el1, x0",
    "    msr     spsr_el1, x1",
    "    ldp     x2, x3, [sp, #16]",
    "    ldp     x4, x5, [sp, #32]",
    "    ldp     x6, x7, [sp, #48]",
    "    ldp     x8, x9, [sp, #64]",
    "    ldp     x10, x11, [sp, #80]",
    "    ldp     x12, x13, [sp, #96]",
    "    ldp     x14, x15, [sp, #112]",
    "    ldp     x16, x17, [sp, #128]",
    "    ldp     x18, x19, [sp, #144]",
    "    ldp     x20, x21, [sp, #160]",
    "    ldp     x22, x23, [sp, #176]",
    "    ldp     x24, x25, [sp, #192]",
    "    ldp     x26, x27, [sp, #208]",
    "    ldp     x28, x29, [sp, #224]",
    "    ldp     x0, x1, [sp, #0]",
    "    eret",
    ".popsection",
);

// emergency: an exception from EL1.
// INPUTS: x0 = the slot, TPIDR_EL1 = the interrupted x0, CONTEXTIDR_EL1 = accidents that are being handled.
// OUTPUTS: calls accident(block, slot) on the emergency stack; if that returns, the interrupted code goes on at the
// block's ELR. In an accident: calls last_resort(accidents). CLOBBERS: TPIDR_EL1, TPIDRRO_EL0, nothing else.
// Accidents are counted in a register before any memory is touched, for that may be what is lost: so there are seven at
// most, whatever aborts.
global_asm!(
    ".pushsection .text.vectors, \"ax\"",
    "emergency:",
    "    msr     tpidrro_el0, x1",
    "    mrs     x1, contextidr_el1",
    "    cbnz    x1, 1f",
    "    mov     x1, #1",
    "    msr     contextidr_el1, x1",
    "    adrp    x1, _emergency_top",
    "    sub     x1, x1, #{size}",
    "    stp     x2, x3, [x1, #16]",
    "    stp     x4, x5, [x1, #32]",
    "    stp     x6, x7, [x1, #48]",
    "    stp     x8, x9, [x1, #64]",
    "    stp     x10, x11, [x1, #80]",
    "    stp     x12, x13, [x1, #96]",
    "    stp     x14, x15, [x1, #112]",
    "    stp     x16, x17, [x1, #128]",
    "    stp     x18, x19, [x1, #144]",
    "    stp     x20, x21, [x1, #160]",
    "    stp     x22, x23, [x1, #176]",
    "    stp     x24, x25, [x1, #192]",
    "    stp     x26, x27, [x1, #208]",
    "    stp     x28, x29, [x1, #224]",
    "    mrs     x2, tpidr_el1",
    "    mrs     x3, tpidrro_el0",
    "    stp     x2, x3, [x1]",
    "    mrs     x2, elr_el1",
    "    mrs     x3, spsr_el1",
    "    stp     x30, x2, [x1, #240]",
    "    mov     x2, sp",
    "    stp     x3, x2, [x1, #256]",
    "    msr     tpidrro_el0, xzr",
    "    mov     sp, x1",
    "    mov     x19, x1",
    "    mov     x1, x0",
    "    mov     x0, x19",
    "    bl      {accident}",
    "    msr     contextidr_el1, xzr",
    "    ldp     x3, x2, [x19, #256]",
    "    mov     sp, x2",
    "    ldp     x30, x2, [x19, #240]",
    "    msr     spsr_el1, x3",
    "    msr     elr_el1, x2",
    "    mov     x1, x19",
    "    ldp     x2, x3, [x1, #16]",
    "    ldp     x4, x5, [x1, #32]",
    "    ldp     x6, x7, [x1, #48]",
    "    ldp     x8, x9, [x1, #64]",
    "    ldp     x10, x11, [x1, #80]",
    "    ldp     x12, x13, [x1, #96]",
    "    ldp     x14, x15, [x1, #112]",
    "    ldp     x16, x17, [x1, #128]",
    "    ldp     x18, x19, [x1, #144]",
    "    ldp     x20, x21, [x1, #160]",
    "    ldp     x22, x23, [x1, #176]",
    "    ldp     x24, x25, [x1, #192]",
    "    ldp     x26, x27, [x1, #208]",
    "    ldp     x28, x29, [x1, #224]",
    "    ldp     x0, x1, [x1]",
    "    eret",
    // Each time on another stack, and then on none.
    "1:  add     x0, x1, #1",
    "    msr     contextidr_el1, x0",
    "    adrp    x2, _last_top",
    "    adrp    x3, _stack_top",
    "    adrp    x4, _emergency_top",
    "    cmp     x0, #3",
    "    csel    x2, x2, x3, lo",
    "    csel    x2, x2, x4, ls",
    "    mov     sp, x2",
    "    cmp     x0, #4",
    "    b.ls    {last_resort}",
    // SYSTEM_OFF [Arm DEN 0022] by HVC; where that is undefined, which is one more accident, by SMC; then no more.
    "    mov     w3, w0",
    "    mov     w0, #0x0008",
    "    movk    w0, #0x8400, lsl #16",
    "    cmp     w3, #6",
    "    b.eq    2f",
    "    b.hi    3f",
    "    hvc     #0",
    "2:  smc     #0",
    "3:  wfi",
    "    b       3b",
    ".popsection",
    size = const size_of::<Emergency>(),
    accident = sym super::entry::accident,
    last_resort = sym super::entry::last_resort,
);

// What is said when not even the kernel's constants can be read: it lies in the text.
global_asm!(
    ".pushsection .text.vectors, \"ax\"",
    "last_words:",
    "    .ascii  \"\\nseawall: epitaph: accidents without an end\\nseawall: verdict: halted\\n\"",
    "last_words_end:",
    "    .balign 4",
    ".global last_words, last_words_end",
    ".popsection",
);

/// The words of an epitaph that no constant is needed for.
pub(crate) fn last_words() -> &'static [u8] {
    unsafe extern "C" {
        static last_words: u8;
        static last_words_end: u8;
    }
    let (start, end) = (&raw const last_words, &raw const last_words_end);
    // SAFETY: the bytes between the two lie in the text, which is mapped, and which nobody writes.
    unsafe { core::slice::from_raw_parts(start, end as usize - start as usize) }
}
