#![expect(unsafe_code, reason = "this is assembly")]
//! From the first instruction to `guest_main`: leave EL2, clear what must be zero, switch the MMU on, go to the upper
//! half.
//!
//! Everything here runs at the physical address the Image was loaded at, and so uses addresses relative to the program
//! counter only. The kernel is linked at `KERNEL_BASE`; one last-level table maps it there page by page, with text
//! read-only and executable, constants read-only, data writable, and nothing at all on the guard pages.

use core::arch::global_asm;

use super::tables::{DEVICE, NORMAL_RO, NORMAL_RW, NORMAL_RX};

// INPUTS: x0 = device tree; MMU and data cache off; EL1 or EL2 [Linux `Documentation/arch/arm64/booting.rst`].
// OUTPUTS: calls guest_main(device tree, physical address of the Image) at EL1 in the upper half.
// CLOBBERS: everything. ENDING: never returns.
global_asm!(
    ".pushsection .text.boot, \"ax\"",
    ".global _start",
    "_start:",
    "    msr     daifset, #0xf",
    "    mov     x20, x0",
    "    adr     x21, _head",
    // An Image that is not even page aligned has no page it could map itself by.
    "    tst     x21, #0xfff",
    "    b.ne    refuse",
    "    mrs     x1, CurrentEL",
    "    cmp     x1, #(2 << 2)",
    "    b.ne    start_at_el1",
    "    b       leave_el2",
    "start_at_el1:",
    "    msr     cpacr_el1, xzr",
    "    b       start_counter",
    "start_mapping:",
    // Zero .bss: page aligned at both ends.
    "    adrp    x1, _bss_start",
    "    adrp    x2, _bss_end",
    "1:  stp     xzr, xzr, [x1], #16",
    "    stp     xzr, xzr, [x1], #16",
    "    stp     xzr, xzr, [x1], #16",
    "    stp     xzr, xzr, [x1], #16",
    "    cmp     x1, x2",
    "    b.lo    1b",
    // The last-level table of the kernel.
    "    adrp    x22, {kernel_level3}",
    "    add     x22, x22, :lo12:{kernel_level3}",
    "    adrp    x1, _head",
    "    adrp    x2, _text_end",
    "    ldr     x3, ={rx}",
    "    bl      map_kernel",
    "    adrp    x1, _text_end",
    "    adrp    x2, _rodata_end",
    "    ldr     x3, ={ro}",
    "    bl      map_kernel",
    "    adrp    x1, _rodata_end",
    "    adrp    x2, _bss_end",
    "    ldr     x3, ={rw}",
    "    bl      map_kernel",
    // What follows .bss: stacks, each with a page below it that stays unmapped, and the heap.
    "    adrp    x1, _stack_bottom",
    "    adrp    x2, _stack_top",
    "    bl      map_kernel",
    "    adrp    x1, _last_bottom",
    "    adrp    x2, _end",
    "    bl      map_kernel",
    // Level 1 of the upper half: the kernel's gigabyte. Level 2: its first 2 MiB.
    "    adrp    x1, {kernel_level1}",
    "    add     x1, x1, :lo12:{kernel_level1}",
    "    adrp    x2, {kernel_level2}",
    "    add     x2, x2, :lo12:{kernel_level2}",
    "    orr     x3, x2, #3",
    "    str     x3, [x1, #(510 * 8)]",
    "    orr     x3, x22, #3",
    "    str     x3, [x2]",
    "    msr     ttbr1_el1, x1",
    // The lower half, until the jump: the 2 MiB that the jump lies in, at its own address. They are not those of
    // the header where the Image was loaded just below a boundary.
    "    adrp    x1, {identity_level1}",
    "    add     x1, x1, :lo12:{identity_level1}",
    "    adrp    x2, {identity_level2}",
    "    add     x2, x2, :lo12:{identity_level2}",
    "    msr     ttbr0_el1, x1",
    "    orr     x3, x2, #3",
    "    adr     x5, switch_on",
    "    ubfx    x4, x5, #30, #9",
    "    str     x3, [x1, x4, lsl #3]",
    "    ldr     x3, ={rx} & ~2",
    "    ubfx    x4, x5, #21, #9",
    "    and     x5, x5, #~0x1fffff",
    "    orr     x3, x3, x5",
    "    str     x3, [x2, x4, lsl #3]",
    // Stale lines of what was just written past the cache must not come back.
    "    adrp    x1, _bss_start",
    "    adrp    x2, _bss_end",
    "    mrs     x3, ctr_el0",
    "    ubfx    x3, x3, #16, #4",
    "    mov     x4, #4",
    "    lsl     x4, x4, x3",
    "    dmb     sy",
    "1:  dc      ivac, x1",
    "    add     x1, x1, x4",
    "    cmp     x1, x2",
    "    b.lo    1b",
    "    dsb     sy",
    "    ldr     x1, ={mair}",
    "    msr     mair_el1, x1",
    // TCR_EL1: the physical size the CPU has, but not its 52 bits; 16-bit ASIDs where there are such.
    "    ldr     x1, ={tcr}",
    "    mrs     x2, id_aa64mmfr0_el1",
    "    and     x3, x2, #0xf",
    "    cmp     x3, #5",
    "    mov     x4, #5",
    "    csel    x3, x3, x4, lo",
    "    bfi     x1, x3, #32, #3",
    "    ubfx    x3, x2, #4, #4",
    "    cmp     x3, #2",
    "    b.ne    1f",
    "    orr     x1, x1, #(1 << 36)",
    "1:  msr     tcr_el1, x1",
    "    tlbi    vmalle1",
    "    ic      iallu",
    "    dsb     sy",
    "    isb",
    // SCTLR_EL1: SPAN stays 1 where there is no PAN; IESB where there is RAS.
    "    ldr     x1, ={sctlr}",
    "    mrs     x2, id_aa64mmfr1_el1",
    "    ubfx    x2, x2, #20, #4",
    "    cbnz    x2, 1f",
    "    orr     x1, x1, #(1 << 23)",
    "1:  mrs     x2, id_aa64mmfr2_el1",
    "    ubfx    x2, x2, #12, #4",
    "    cbz     x2, 1f",
    "    orr     x1, x1, #(1 << 21)",
    "1:  ldr     x2, =upper_half",
    // All in one page: nothing else is read or fetched in the lower half once the MMU is on.
    "    .balign 16",
    "switch_on:",
    "    msr     sctlr_el1, x1",
    "    isb",
    "    br      x2",
    "upper_half:",
    "    ldr     x1, =_stack_top",
    "    mov     sp, x1",
    "    msr     contextidr_el1, xzr", // no accident is handled: `vectors.rs`
    "    ldr     x1, =vectors_plain",
    "    msr     vbar_el1, x1",
    "    isb",
    "    mov     x29, xzr",
    "    mov     x30, xzr",
    "    mov     x0, x20",
    "    mov     x1, x21",
    "    b       {main}",
    // Maps the kernel's pages from x1 to before x2 with the attributes x3. CLOBBERS: x1, x4, x5.
    "map_kernel:",
    "1:  cmp     x1, x2",
    "    b.hs    2f",
    "    sub     x4, x1, x21",
    "    lsr     x4, x4, #12",
    "    orr     x5, x1, x3",
    "    str     x5, [x22, x4, lsl #3]",
    "    add     x1, x1, #0x1000",
    "    b       1b",
    "2:  ret",
    ".popsection",
    kernel_level1 = sym super::tables::KERNEL_LEVEL1,
    kernel_level2 = sym super::tables::KERNEL_LEVEL2,
    kernel_level3 = sym super::tables::KERNEL_LEVEL3,
    identity_level1 = sym super::tables::IDENTITY_LEVEL1,
    identity_level2 = sym super::tables::IDENTITY_LEVEL2,
    rx = const NORMAL_RX,
    ro = const NORMAL_RO,
    rw = const NORMAL_RW,
    mair = const MAIR,
    tcr = const TCR,
    sctlr = const SCTLR,
    main = sym crate::guest_main,
);

// Says that the Image lies where it cannot run, on a PL011 where machines usually have it, and switches off.
// The vectors are branches all over, so that any 2 KiB boundary in them serves, wherever the Image lies: what aborts
// here, for there may be no PL011 and no firmware to call, ends in waiting.
// INPUTS: none. CLOBBERS: everything. ENDING: never returns.
global_asm!(
    ".pushsection .text.boot, \"ax\"",
    "refuse:",
    "    adr     x1, refuse_vectors",
    "    add     x1, x1, #0x7ff",
    "    and     x1, x1, #~0x7ff",
    "    mrs     x6, CurrentEL",
    "    cmp     x6, #(2 << 2)",
    "    b.eq    1f",
    "    msr     vbar_el1, x1",
    "    b       2f",
    "1:  msr     vbar_el2, x1",
    "2:  isb",
    "    mov     w0, #0x0008", // PSCI SYSTEM_OFF [Arm DEN 0022]
    "    movk    w0, #0x8400, lsl #16",
    "    mov     x3, #0x09000000",
    "    ldr     w4, [x3, #0xfe0]", // UARTPeriphID0 [DDI 0183 3.3.15]
    "    and     w4, w4, #0xff",
    "    cmp     w4, #0x11",
    "    b.ne    4f",
    "    adr     x5, refuse_message",
    "3:  ldrb    w4, [x5], #1",
    "    cbz     w4, 4f",
    "    str     w4, [x3]",
    "    b       3b",
    "4:  cmp     x6, #(2 << 2)",
    "    b.eq    5f",
    "    hvc     #0",
    "5:  smc     #0",
    // Also where an exception to EL2 ends up once the boot has left it: an HVC gets an answer, in case somebody tries to
    // call PSCI so; nothing else is expected.
    "6:  mrs     x6, CurrentEL",
    "    cmp     x6, #(2 << 2)",
    "    b.ne    7f",
    "    mrs     x6, esr_el2",
    "    lsr     x6, x6, #26",
    "    cmp     x6, #0x16",
    "    b.ne    7f",
    "    mov     x0, #-1",
    "    eret",
    "7:  wfi",
    "    b       7b",
    "refuse_vectors:",
    "    .rept   1024",
    "    b       6b",
    "    .endr",
    "refuse_message:",
    "    .asciz  \"seawall: the Image was not loaded on a 2 MiB boundary\\r\\nseawall: verdict: failed\\r\\n\"",
    "    .balign 4",
    ".popsection",
);

// Returns: an instruction of the kernel's that lies in a page which nothing runs in once the boot is over.
// INPUTS: none. CLOBBERS: nothing. ENDING: RET.
global_asm!(
    ".pushsection .text.boot.first, \"ax\"",
    ".global boot_return",
    "boot_return:",
    "    ret",
    ".popsection",
);

// Leaves EL2 for EL1, with nothing trapped and nothing virtual.
// INPUTS: x20, x21 kept. OUTPUTS: goes on at start_at_el1. CLOBBERS: x1 to x3.
global_asm!(
    ".pushsection .text.boot, \"ax\"",
    "leave_el2:",
    "    mov     x1, #(1 << 31)", // HCR_EL2.RW: EL1 is AArch64
    "    msr     hcr_el2, x1",
    "    isb",
    "    mrs     x2, hcr_el2", // E2H may be RES1: then CPTR_EL2 and CNTHCTL_EL2 have their other layouts
    "    tbnz    x2, #34, 1f",
    "    mov     x1, #0x33ff",
    "    msr     cptr_el2, x1",
    "    mov     x1, #3",
    "    msr     cnthctl_el2, x1",
    "    b       2f",
    "1:  mov     x1, #(3 << 20)",
    "    msr     cptr_el2, x1",
    "    mov     x1, #(3 << 10)",
    "    msr     cnthctl_el2, x1",
    "2:  adr     x1, refuse_vectors",
    "    add     x1, x1, #0x7ff",
    "    and     x1, x1, #~0x7ff",
    "    msr     vbar_el2, x1",
    "    msr     cntvoff_el2, xzr",
    "    msr     hstr_el2, xzr",
    "    msr     vttbr_el2, xzr",
    "    mrs     x1, midr_el1",
    "    msr     vpidr_el2, x1",
    "    mrs     x1, mpidr_el1",
    "    msr     vmpidr_el2, x1",
    // MDCR_EL2: no traps, and all event counters for EL1 (HPMN = PMCR_EL0.N) where there is a PMU.
    "    mrs     x1, id_aa64dfr0_el1",
    "    ubfx    x1, x1, #8, #4",
    "    mov     x2, xzr",
    "    cbz     x1, 3f",
    "    cmp     x1, #15",
    "    b.eq    3f",
    "    mrs     x2, pmcr_el0",
    "    ubfx    x2, x2, #11, #5",
    "3:  msr     mdcr_el2, x2",
    // ICC_SRE_EL2: system registers for the GIC, at EL1 too.
    "    mrs     x1, id_aa64pfr0_el1",
    "    ubfx    x1, x1, #24, #4",
    "    cbz     x1, 4f",
    "    mrs     x1, S3_4_C12_C9_5",
    "    orr     x1, x1, #1",
    "    orr     x1, x1, #8",
    "    msr     S3_4_C12_C9_5, x1",
    "    isb",
    "    msr     S3_4_C12_C11_0, xzr", // ICH_HCR_EL2
    "4:  ldr     x1, =0x30d00800",
    "    msr     sctlr_el1, x1",
    "    mov     x1, #0x3c5",
    "    msr     spsr_el2, x1",
    "    adr     x1, start_at_el1",
    "    msr     elr_el2, x1",
    "    eret",
    ".popsection",
);

// Counts instructions from here on, where there is a PMU with a counter: event 0x08, INST_RETIRED, at EL1 and EL0.
// INPUTS: none. OUTPUTS: goes on at start_mapping. CLOBBERS: x1, x2.
global_asm!(
    ".pushsection .text.boot, \"ax\"",
    "start_counter:",
    "    mrs     x1, id_aa64dfr0_el1",
    "    ubfx    x1, x1, #8, #4",
    "    cbz     x1, start_mapping",
    "    cmp     x1, #15",
    "    b.eq    start_mapping",
    "    mrs     x1, pmcr_el0",
    "    ubfx    x2, x1, #11, #5",
    "    cbz     x2, start_mapping",
    "    mov     x2, #8",
    "    msr     pmevtyper0_el0, x2",
    "    mov     x2, #1",
    "    msr     pmcntenset_el0, x2",
    "    orr     x1, x1, #7",
    "    msr     pmcr_el0, x1",
    "    isb",
    "    b       start_mapping",
    ".popsection",
);

/// Attribute 0: normal memory, write-back; attribute 1: Device-nGnRE [Arm ARM D24.2.109].
const MAIR: u64 = 0x04ff;
const _: () = assert!(DEVICE & (7 << 2) == 1 << 2 && NORMAL_RW & (7 << 2) == 0);

/// 39-bit halves of 4 KiB granules, walks cached and inner shareable [Arm ARM D24.2.191].
const TCR: u64 =
    25 | (1 << 8) | (1 << 10) | (3 << 12) | (25 << 16) | (1 << 24) | (1 << 26) | (3 << 28) | (2 << 30);

/// M, C, SA, SA0, SED, EOS, I, DZE, UCT, nTWI, nTWE, TSCXT, EIS, UCI, nTLSMD, LSMAOE [Arm ARM D24.2.138].
const SCTLR: u64 = 1
    | (1 << 2)
    | (1 << 3)
    | (1 << 4)
    | (1 << 8)
    | (1 << 11)
    | (1 << 12)
    | (1 << 14)
    | (1 << 15)
    | (1 << 16)
    | (1 << 18)
    | (1 << 20)
    | (1 << 22)
    | (1 << 26)
    | (1 << 28)
    | (1 << 29);
