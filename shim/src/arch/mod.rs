//! Everything that touches a register, a physical address or the stack: asm lives here and nowhere else.

pub(crate) mod boot;
pub(crate) mod cpu;
mod fine;
pub(crate) mod firmware;
pub(crate) mod memory;
pub(crate) mod registers;
pub(crate) mod tables;
pub(crate) mod uart;
pub(crate) mod vectors;
