//! What the vectors save of a task, and give back to it.

/// A task's registers, as the vectors save them.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub(crate) struct Frame {
    /// x0 to x30.
    pub(crate) x: [u64; 31],
    /// Where it goes on.
    pub(crate) elr: u64,
    /// PSTATE it goes on with.
    pub(crate) spsr: u64,
    _reserved: u64,
}

impl Frame {
    /// All zero.
    pub(crate) const EMPTY: Self = Self {
        x: [0; 31],
        elr: 0,
        spsr: 0,
        _reserved: 0,
    };
}
