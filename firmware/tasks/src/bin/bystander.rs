//! Does nobody harm and wants none: checks its memory, its stack and all its registers, round after round.
#![no_std]
#![no_main]
#![expect(
    unsafe_code,
    reason = "memory is checked as it lies there, and registers by instruction"
)]

use seawall_tasks::{background, progress};

seawall_tasks::program!(main);

/// Words of memory that are watched.
const WORDS: usize = 256;

static mut MEMORY: [u64; WORDS] = [0; WORDS];

unsafe extern "C" {
    fn check_registers(seed: u64) -> u64;
}

// check_registers(seed) -> how many registers changed.
// Fills x1 to x29 with the seed plus their number, waits long enough for a turn to end in between now and then, and
// looks whether they, the flags and the stack pointer are as they were. INPUTS: x0. OUTPUTS: x0. CLOBBERS: x1 to x18.
// ENDING: RET; x19 to x30 are kept on the stack, which is so checked as well.
core::arch::global_asm!(
    ".pushsection .text.check_registers, \"ax\"",
    ".global check_registers",
    "check_registers:",
    "    stp     x29, x30, [sp, #-96]!",
    "    stp     x19, x20, [sp, #16]",
    "    stp     x21, x22, [sp, #32]",
    "    stp     x23, x24, [sp, #48]",
    "    stp     x25, x26, [sp, #64]",
    "    stp     x27, x28, [sp, #80]",
    ".irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29",
    "    add     x\\n, x0, #\\n",
    ".endr",
    // x30 counts the waiting down; what it holds matters as much as the others do.
    "    mov     x30, #400",
    "1:  subs    x30, x30, #1",
    "    b.ne    1b",
    // Z is set now, and x30 is zero; both must still be so.
    "    cset    x30, ne",
    ".irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29",
    "    sub     x\\n, x\\n, #\\n",
    "    cmp     x\\n, x0",
    "    cinc    x30, x30, ne",
    ".endr",
    "    mov     x0, x30",
    "    ldp     x19, x20, [sp, #16]",
    "    ldp     x21, x22, [sp, #32]",
    "    ldp     x23, x24, [sp, #48]",
    "    ldp     x25, x26, [sp, #64]",
    "    ldp     x27, x28, [sp, #80]",
    "    ldp     x29, x30, [sp], #96",
    "    ret",
    ".popsection",
);

fn pattern(seed: u64, index: usize) -> u64 {
    seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ index as u64
}

fn main(slot: u64, _: bool) -> u64 {
    background(true);
    let mut damage = 0_u64;
    let mut stack = [0_u64; 64];
    let memory = (&raw mut MEMORY).cast::<u64>();
    for round in 0.. {
        let seed = slot << 32 | round;
        for index in 0..WORDS {
            // SAFETY: the index lies in MEMORY, which nobody else uses.
            unsafe { memory.add(index).write_volatile(pattern(seed, index)) };
        }
        for (index, word) in stack.iter_mut().enumerate() {
            *word = pattern(!seed, index);
        }
        core::hint::black_box(&mut stack);
        // SAFETY: it keeps the procedure call standard.
        damage += unsafe { check_registers(seed) };
        progress(round + 1, damage);
        for index in 0..WORDS {
            // SAFETY: as above.
            damage += u64::from(unsafe { memory.add(index).read_volatile() } != pattern(seed, index));
        }
        core::hint::black_box(&mut stack);
        damage += stack
            .iter()
            .enumerate()
            .filter(|(index, word)| **word != pattern(!seed, *index))
            .count() as u64;
    }
    damage
}
