//! The bench's child: reads the instruction counter into x19 and loads from a page that is poisoned.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "an exact instruction sequence")]

use seawall_tasks::Page;

seawall_tasks::touch!(TARGET: Page::zeroed(), |page| {
    // SAFETY: the address lies in this program's own page; x19 is given back as it was.
    unsafe {
        core::arch::asm!(
            "mov {kept}, x19",
            "mrs x19, pmevcntr0_el0",
            "ldr {scratch}, [{page}]",
            "mov x19, {kept}",
            kept = out(reg) _, scratch = out(reg) _, page = in(reg) page + 0x40, options(nostack)
        );
    }
    true
});
