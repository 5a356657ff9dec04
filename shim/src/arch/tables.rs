//! The pool of stage-2 tables, and the barriers and invalidations that belong to them.
#![expect(
    unsafe_code,
    reason = "TLB maintenance is asm, and the pool is handed out once"
)]

use core::arch::asm;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

use seawall_shim::stage2::{ENTRIES, Maintenance, Table};

/// 4 MiB: more than a thousand holes, each in a 2 MiB of its own. Not cleared at the start, so it costs nothing.
const TABLES: usize = 1024;

#[repr(transparent)]
struct Pool(UnsafeCell<[Table; TABLES]>);

// SAFETY: `pool` gives its inside away once.
unsafe impl Sync for Pool {}

#[unsafe(link_section = ".uninitialised.tables")]
static POOL: Pool = Pool(UnsafeCell::new([Table([0; ENTRIES]); TABLES]));
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The pool and its physical address; `None` after the first time.
pub(crate) fn pool() -> Option<(&'static mut [Table], u64)> {
    // A load and a store, not a swap: exclusives are not for memory without an MMU, and there is one CPU.
    if TAKEN.load(Ordering::Relaxed) {
        return None;
    }
    TAKEN.store(true, Ordering::Relaxed);
    let tables = POOL.0.get();
    // SAFETY: the first and only reference, by `TAKEN`. The section is RAM that the linker set aside; any words are a
    // table. With the MMU off its address is the physical one.
    Some((unsafe { &mut *tables }, tables.expose_provenance() as u64))
}

/// Makes changes known to this CPU, which is the only one.
#[derive(Debug)]
pub(crate) struct Translations;

impl Maintenance for Translations {
    fn publish(&mut self) {
        // SAFETY: barriers change nothing. Not `nomem`, so the compiler too has the tables written before it.
        unsafe { asm!("dsb ishst", "isb", options(nostack, preserves_flags)) }
    }

    fn invalidate(&mut self, ipa: u64) {
        // The order of [Arm ARM D8.17.6]: the IPA's own entries first, then those that combine both stages, which are
        // kept by virtual address and so all have to go.
        // SAFETY: taking away cached translations is always allowed; the shim's own accesses are not translated.
        unsafe {
            asm!(
                "dsb ishst",
                "tlbi ipas2e1is, {page}",
                "dsb ish",
                "tlbi vmalle1is",
                "dsb ish",
                "isb",
                page = in(reg) ipa >> 12,
                options(nostack, preserves_flags),
            );
        }
    }
}

/// Nothing of the guest's own translations and instructions is remembered.
pub(crate) fn forget_guest() {
    // SAFETY: as for `invalidate`; dropped instructions are fetched again.
    unsafe {
        asm!(
            "dsb ish",
            "tlbi alle1",
            "ic iallu",
            "dsb ish",
            "isb",
            options(nostack, preserves_flags)
        );
    }
}
