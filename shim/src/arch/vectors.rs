//! EL2's vectors: what the guest traps goes to the shim, everything else is the end.
#![expect(unsafe_code, reason = "vectors are asm, and hand over pointers")]

use core::arch::{asm, global_asm};
use core::mem::offset_of;

use super::memory::{Uninitialised, pointer};
use crate::replayer::Replayer;
use seawall_shim::psci;

/// The guest's general registers during a trap.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Frame {
    x: [u64; 31],
    /// Keeps the stack aligned.
    unused: u64,
}

const _: () = assert!(size_of::<Frame>() == 256 && offset_of!(Frame, x) == 0);

impl Frame {
    /// Register `number`; 31 is XZR.
    pub(crate) fn get(&self, number: usize) -> u64 {
        self.x.get(number).copied().unwrap_or(0)
    }

    /// Sets register `number`; 31 is XZR, which keeps nothing.
    pub(crate) fn set(&mut self, number: usize, value: u64) {
        if let Some(x) = self.x.get_mut(number) {
            *x = value;
        }
    }
}

const EMERGENCY_STACK_BYTES: usize = 16 << 10;

#[unsafe(link_section = ".uninitialised.stack")]
static EMERGENCY_STACK: Uninitialised<EMERGENCY_STACK_BYTES> = Uninitialised::new();

/// TPIDR_EL2 holds the address of the `Replayer`; before there is one it is zero, and after `last_words` has begun it is
/// this.
const SPOKEN: u64 = 1;

// The sixteen slots, each named [Arm ARM D1.3.1]. `.org` makes a slot that is too long an error.
//
// `seawall_from_guest`: a synchronous exception from the guest
// INPUTS: the guest's x0 to x30; TPIDR_EL2 = the `Replayer`; SP is the shim's.
// OUTPUTS: calls `trap` with x0 = frame, x1 = the `Replayer`; ELR_EL2 and SPSR_EL2 as it leaves them.
// CLOBBERS: none but what `trap` changes in the frame.
// ENDING: ERET to the guest with x0 to x30 from the frame.
//
// `seawall_last_words`: an exception that nothing answers
// INPUTS: x0 = the slot's number.
// OUTPUTS: calls `last_words` on a stack of its own with x0 = slot, x1 = TPIDR_EL2 as it was.
// CLOBBERS: everything; what was interrupted never goes on.
// ENDING: never returns. The second time, switches the machine off without a word.
global_asm!(
    r#"
.section .vectors, "ax"
.balign 0x800
.macro seawall_slot offset, name, number
.org \offset
seawall_\name:
    mov     x0, #\number
    b       seawall_last_words
.endm
seawall_vectors:
    seawall_slot 0x000, synchronous_sp0, 0
    seawall_slot 0x080, irq_sp0, 1
    seawall_slot 0x100, fiq_sp0, 2
    seawall_slot 0x180, serror_sp0, 3
    seawall_slot 0x200, synchronous_spx, 4
    seawall_slot 0x280, irq_spx, 5
    seawall_slot 0x300, fiq_spx, 6
    seawall_slot 0x380, serror_spx, 7
.org 0x400
seawall_synchronous_lower:
    b       seawall_from_guest
    seawall_slot 0x480, irq_lower, 9
    seawall_slot 0x500, fiq_lower, 10
    seawall_slot 0x580, serror_lower, 11
.org 0x600
seawall_synchronous_lower32:
    b       seawall_from_guest
    seawall_slot 0x680, irq_lower32, 13
    seawall_slot 0x700, fiq_lower32, 14
    seawall_slot 0x780, serror_lower32, 15
.org 0x800

.section .text.vectors, "ax"
.balign 4
seawall_from_guest:
    sub     sp, sp, #{frame}
    stp     x0, x1, [sp, #0]
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    str     x30, [sp, #240]
    mov     x0, sp
    mrs     x1, tpidr_el2
    bl      {trap}
    ldp     x0, x1, [sp, #0]
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x18, x19, [sp, #144]
    ldp     x20, x21, [sp, #160]
    ldp     x22, x23, [sp, #176]
    ldp     x24, x25, [sp, #192]
    ldp     x26, x27, [sp, #208]
    ldp     x28, x29, [sp, #224]
    ldr     x30, [sp, #240]
    add     sp, sp, #{frame}
    eret

seawall_last_words:
    mrs     x1, tpidr_el2
    cmp     x1, #{spoken}
    b.eq    0f
    mov     x2, #{spoken}
    msr     tpidr_el2, x2
    adrp    x2, {stack}
    add     x2, x2, :lo12:{stack}
    mov     x3, #{stack_bytes}
    add     sp, x2, x3
    b       {last_words}
0:  ldr     w0, ={off}
    smc     #0
1:  wfi
    b       1b
    .ltorg
"#,
    frame = const size_of::<Frame>(),
    trap = sym trap,
    spoken = const SPOKEN,
    stack = sym EMERGENCY_STACK,
    stack_bytes = const EMERGENCY_STACK_BYTES,
    last_words = sym last_words,
    off = const psci::SYSTEM_OFF,
);

/// Starts the guest: EL1h, everything masked, x0 = device tree, as Linux wants it. `replayer` gets its traps.
pub(crate) fn start(replayer: &mut Replayer, entry: u64, device_tree: u64) -> ! {
    const EL1H_MASKED: u64 = 0x3c5;
    let replayer = core::ptr::from_mut(replayer).expose_provenance();
    // INPUTS: the operands. OUTPUTS: x0 = device tree, x1 to x30 = 0. CLOBBERS: SP stays where the stack stands, below
    // everything that is still used. ENDING: ERET to the guest; never returns.
    // SAFETY: stage 2 is on (`Cpu::set_up`), so the guest can reach nothing of the shim's; the only reference to the
    // replayer ends here and lives on in TPIDR_EL2, which EL1 cannot touch.
    unsafe {
        asm!(
            "msr tpidr_el2, {replayer}",
            "msr elr_el2, {entry}",
            "msr spsr_el2, {pstate}",
            "dsb ish",
            "tlbi alle1",
            "ic iallu",
            "dsb ish",
            "isb",
            ".irp n,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30",
            "mov x\\n, xzr",
            ".endr",
            "eret",
            replayer = in(reg) replayer,
            entry = in(reg) entry,
            pstate = in(reg) EL1H_MASKED,
            in("x0") device_tree,
            options(noreturn),
        )
    }
}

extern "C" fn trap(frame: *mut Frame, replayer: *mut Replayer) {
    // SAFETY: the vector made the frame on the stack, whole, and nothing else points there; the replayer is the one
    // `start` was given, and as EL2 does not nest, no other reference to it is alive.
    let (frame, replayer) = unsafe { (&mut *frame, &mut *replayer) };
    replayer.trap(frame);
}

extern "C" fn last_words(slot: u64, replayer: u64) -> ! {
    // SAFETY: zero, or the address that `start` put into TPIDR_EL2. Whatever held a reference was interrupted and does
    // not go on; the transcript is two plain numbers, read by copy.
    let transcript = unsafe {
        pointer::<Replayer>(replayer)
            .as_ref()
            .map(|replayer| replayer.transcript)
    };
    crate::epitaph::of_exception(slot, transcript)
}

/// For a panic: marks that last words are being spoken, and gives what they need.
pub(crate) fn interrupted() -> Option<crate::record::Record> {
    use super::registers::{read, write};
    let replayer = read!("tpidr_el2");
    write!("tpidr_el2", SPOKEN);
    if replayer == SPOKEN {
        super::firmware::off();
    }
    // SAFETY: as in `last_words`: the panic unwinds nothing, and the code that panicked does not go on.
    unsafe {
        pointer::<Replayer>(replayer)
            .as_ref()
            .map(|replayer| replayer.transcript)
    }
}
