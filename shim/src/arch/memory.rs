//! Physical memory outside of the program: what was handed over, the guest's RAM, the transcript.
#![expect(unsafe_code, reason = "physical addresses")]

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

use seawall_replay::handover::{self, Handover, HandoverError};

/// Memory that nothing loads and nothing clears.
#[repr(C, align(4096))]
pub(crate) struct Uninitialised<const BYTES: usize>(UnsafeCell<MaybeUninit<[u8; BYTES]>>);

// SAFETY: only asm takes its address, to make a stack of it; no reference to the inside is ever made.
unsafe impl<const BYTES: usize> Sync for Uninitialised<BYTES> {}

impl<const BYTES: usize> Uninitialised<BYTES> {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }
}

/// A pointer to the physical address: without an MMU the two are one.
pub(super) const fn pointer<T>(address: u64) -> *mut T {
    const { assert!(size_of::<usize>() == size_of::<u64>()) };
    #[expect(clippy::cast_possible_truncation, reason = "asserted above")]
    let address = address as usize;
    core::ptr::with_exposed_provenance_mut(address)
}

/// A range of physical memory that is not the program's, read and written by whole words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    base: u64,
    bytes: u64,
}

impl Window {
    /// Memory that a checked `Handover` names, beside the guest's: it lies above the program.
    pub(crate) const fn new(base: u64, bytes: u64) -> Self {
        Self { base, bytes }
    }

    /// The guest's RAM. A `Handover` can only be had checked, and lies above the program and its own block.
    pub(crate) fn of_guest(handover: &Handover) -> Self {
        Self {
            base: handover.memory,
            bytes: handover.memory_bytes,
        }
    }

    /// The transcript, likewise.
    pub(crate) fn of_transcript(handover: &Handover) -> Self {
        Self {
            base: handover.transcript,
            bytes: handover.transcript_bytes,
        }
    }

    /// The last word before the plan: the PSCI function that ended the run goes there.
    pub(crate) fn of_outcome() -> Self {
        Self {
            base: handover::ADDRESS + handover::OUTCOME_OFFSET as u64,
            bytes: 8,
        }
    }

    /// First byte, and first byte behind it.
    pub(crate) const fn range(self) -> core::ops::Range<u64> {
        self.base..self.base.saturating_add(self.bytes)
    }

    /// Its length in bytes.
    pub(crate) const fn bytes(self) -> u64 {
        self.bytes
    }

    /// Whether the page at `address` lies inside.
    pub(crate) fn has_page(self, address: u64) -> bool {
        self.offset(address, 0x1000).is_some()
    }

    /// The word at `address`, if it is aligned and inside.
    pub(crate) fn read(self, address: u64) -> Option<u64> {
        self.offset(address, 8)?;
        // SAFETY: aligned, and inside of a window that the handover's check keeps apart from the program's memory; any
        // bytes are a word, and volatile as the guest or the runner wrote them.
        Some(unsafe { pointer::<u64>(address).read_volatile() })
    }

    /// The word at `offset` from the window's first byte.
    pub(crate) fn read_at(self, offset: u64) -> Option<u64> {
        self.read(self.base.checked_add(offset)?)
    }

    /// Writes the word at `offset` from the window's first byte; `None` and no change when it is not inside.
    pub(crate) fn write_at(self, offset: u64, word: u64) -> Option<()> {
        self.write(self.base.checked_add(offset)?, word)
    }

    /// Whether so many bytes from this word on lie inside.
    pub(crate) fn has(self, address: u64, bytes: u64) -> bool {
        let offset = address.checked_sub(self.base);
        let end = offset.and_then(|offset| offset.checked_add(bytes));
        address.is_multiple_of(8) && end.is_some_and(|end| end <= self.bytes)
    }

    /// Writes the word at `address`; `None` and no change when it is not inside.
    pub(crate) fn write(self, address: u64, word: u64) -> Option<()> {
        self.offset(address, 8)?;
        // SAFETY: as for `read`: no object of the program's can lie under this address.
        unsafe { pointer::<u64>(address).write_volatile(word) }
        Some(())
    }

    /// Where a naturally aligned object of `size` bytes at `address` lies from the first byte.
    fn offset(self, address: u64, size: u64) -> Option<u64> {
        let offset = address.checked_sub(self.base)?;
        (address.is_multiple_of(size) && offset.checked_add(size)? <= self.bytes).then_some(offset)
    }
}

/// Reads what the runner handed over.
pub(crate) fn handover() -> Result<Handover, HandoverError> {
    // SAFETY: RAM on `virt`, above everything the linker placed (`shim.ld` asserts it). The runner wrote it before the
    // machine started, and nothing writes to it while this slice lives.
    let block = unsafe { core::slice::from_raw_parts(pointer::<u8>(handover::ADDRESS), handover::MAX_BYTES) };
    Handover::decode(block)
}
