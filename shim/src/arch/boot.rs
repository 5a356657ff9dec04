//! The first instructions: is this EL2, is this the right place; then vectors, a clean bss and a stack.
//!
//! The MMU of EL2 stays off: the shim is a few thousand instructions on an emulator without caches. The target has
//! `strict-align`, so no access of its own can be an unaligned one to what is then Device memory [Arm ARM B2.15.2].
#![expect(unsafe_code, reason = "the entry is asm")]

use core::arch::global_asm;

use super::memory::Uninitialised;
use super::uart;
use seawall_shim::psci;

const STACK_BYTES: usize = 64 << 10;

#[unsafe(link_section = ".uninitialised.stack")]
static STACK: Uninitialised<STACK_BYTES> = Uninitialised::new();

// `_start`
// INPUTS: none; QEMU's device tree in x0 is not looked at. Any EL, any address, MMU off.
// OUTPUTS: calls `main` at EL2 with VBAR_EL2 set, TPIDR_EL2 = 0, bss zero, SP at the top of `STACK`.
// CLOBBERS: x0 to x3, the flags.
// ENDING: never returns; at the wrong EL or address it says so on the UART and switches the machine off.
//
// `seawall_stop`
// INPUTS: x0 = address of a message that ends with a zero byte. Any EL from 1 up.
// CLOBBERS: x0 to x3, the flags. No stack and no memory are used.
// ENDING: switches the machine off by SMC at EL2, by HVC at EL1 (where QEMU without EL2 has its PSCI); sleeps should
// that come back.
global_asm!(
    r#"
.section .text.boot, "ax"
.global _start
.type _start, %function
_start:
    mrs     x1, CurrentEL
    cmp     x1, #(2 << 2)
    b.ne    1f
    adr     x1, _head
    ldr     x2, =_head
    cmp     x1, x2
    b.ne    2f

    adrp    x1, _vectors
    add     x1, x1, :lo12:_vectors
    msr     vbar_el2, x1
    msr     tpidr_el2, xzr
    isb
    adrp    x1, _bss
    add     x1, x1, :lo12:_bss
    adrp    x2, _bss_end
    add     x2, x2, :lo12:_bss_end
0:  cmp     x1, x2
    b.hs    0f
    stp     xzr, xzr, [x1], #16
    b       0b
0:  adrp    x1, {stack}
    add     x1, x1, :lo12:{stack}
    mov     x2, #{stack_bytes}
    add     sp, x1, x2
    b       {main}

1:  adr     x0, seawall_not_el2
    b       seawall_stop
2:  adr     x0, seawall_elsewhere
    b       seawall_stop
    .ltorg

seawall_stop:
    ldr     x1, ={uart}
0:  ldrb    w2, [x0], #1
    cbz     w2, 2f
1:  ldr     w3, [x1, #{uart_flags}]
    tbnz    w3, #{uart_full}, 1b
    str     w2, [x1, #{uart_data}]
    b       0b
2:  ldr     w0, ={off}
    mrs     x1, CurrentEL
    cmp     x1, #(2 << 2)
    b.eq    3f
    hvc     #0
    b       4f
3:  smc     #0
4:  wfi
    b       4b
    .ltorg

seawall_not_el2:
    .asciz "seawall-shim: not started at EL2: QEMU wants -M virt,virtualization=on\n"
seawall_elsewhere:
    .asciz "seawall-shim: not loaded at its address: QEMU wants -M virt and -kernel\n"
    .balign 4
"#,
    stack = sym STACK,
    stack_bytes = const STACK_BYTES,
    main = sym crate::main,
    uart = const uart::BASE,
    uart_data = const uart::DATA,
    uart_flags = const uart::FLAGS,
    uart_full = const uart::FULL_BIT,
    off = const psci::SYSTEM_OFF,
);
