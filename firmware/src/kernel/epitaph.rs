//! Epitaphs: what is said when the rules do not let the guest live, or when it cannot.
//!
//! An epitaph uses nothing that may have failed: no heap, no lock, no `core::fmt`, only the serial port and the replay
//! port. Accidents while one is handled are counted in a register by the vectors, each gets a stack that the one before
//! did not have, and each does less: the first says what came and where, the second names both, the third says that
//! there was one, the fourth only ends the run, and what comes then switches the machine off without memory.

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use seawall_agent::engine::Snapshot;
use seawall_agent::{Disr, Esr};
use seawall_firmware::regions::Regions;
use seawall_replay::port::End;
use spin::Once;

use super::end::leave;
use crate::arch::{uart, vectors};

static REGIONS: Once<Regions> = Once::new();
/// How often an end was begun. Each further one does less, so that the last always ends.
static ENDINGS: AtomicU8 = AtomicU8::new(0);
/// The accident that is being handled: ESR, FAR and ELR; and ESR, FAR and DISR of the error that it came in.
static FIRST: [AtomicU64; 6] = [const { AtomicU64::new(0) }; 6];

/// The registers of an error that was being dealt with when another came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Handling {
    /// ESR_EL1; zero when nothing was taken.
    pub(crate) esr: u64,
    /// FAR_EL1.
    pub(crate) far: u64,
    /// DISR_EL1; zero when nothing was deferred.
    pub(crate) disr: u64,
}

/// Words that the first accident and the second begin with: in one place, so that a page that has them is one page.
#[repr(align(64))]
struct Words([u8; 59]);

static WORDS: Words = Words(*b"\nseawall: epitaph: a second accident while one was handled\n");

/// What every epitaph begins with.
fn begins() {
    uart::write(WORDS.0.get(..19).unwrap_or_default());
}

/// Where those words lie.
pub(super) fn words() -> u64 {
    WORDS.0.as_ptr() as u64
}

/// Says what lies where, once.
pub(crate) fn know_regions(regions: Regions) {
    REGIONS.call_once(|| regions);
}

/// What lies where.
pub(super) fn regions() -> Option<&'static Regions> {
    REGIONS.get()
}

fn hexadecimal(value: u64) {
    let mut digits = [b'0'; 16];
    for (byte, pair) in value.to_be_bytes().iter().zip(digits.chunks_exact_mut(2)) {
        for (digit, nibble) in pair.iter_mut().zip([byte >> 4, byte & 0xf]) {
            *digit = if nibble < 10 {
                b'0' + nibble
            } else {
                b'a' + nibble - 10
            };
        }
    }
    uart::write(b"0x");
    uart::write(&digits);
}

fn line(label: &str, value: u64) {
    uart::write(b"seawall: epitaph:   ");
    uart::write(label.as_bytes());
    hexadecimal(value);
    uart::write(b"\n");
}

fn text(line: &str) {
    uart::write(b"seawall: epitaph:   ");
    uart::write(line.as_bytes());
    uart::write(b"\n");
}

/// What was lost, where the syndrome says: by the address, or the table that a walk for it met.
fn lost(esr: u64, far: u64) {
    let Some(abort) = Esr(esr).abort() else { return };
    if abort.walk_level().is_some() && far >> 63 != 0 {
        return text("in a translation table of the kernel's");
    }
    if !abort.far_valid() {
        return text("at an address that the syndrome does not give");
    }
    let region = REGIONS.get().unwrap_or(&Regions::EMPTY).at(far);
    uart::write(b"seawall: epitaph:   in ");
    uart::write(region.name().as_bytes());
    uart::write(b"\n");
}

fn taken_as(esr: u64, far: u64) {
    text(Esr(esr).class().name());
    line("ESR  ", esr);
    line("FAR  ", far);
    lost(esr, far);
}

fn while_handling(handling: Handling) {
    // The address alone may be that of an error which was dealt with.
    if handling.esr == 0 && handling.disr == 0 {
        return;
    }
    uart::write(b"seawall: epitaph: while another error was handled\n");
    if handling.disr != 0 {
        line("DISR ", handling.disr);
    } else {
        taken_as(handling.esr, handling.far);
    }
}

/// The last thing said: what came where, and how bad it was.
pub(crate) fn epitaph(place: &str, taken: &Snapshot) -> ! {
    epitaph_beside(place, taken, Handling::default())
}

/// The same, when another error was being dealt with: both are named.
pub(crate) fn epitaph_beside(place: &str, taken: &Snapshot, handling: Handling) -> ! {
    if begin() > 0 {
        uart::write(b"\nseawall: epitaph: a second end while there was one\n");
    }
    begins();
    uart::write(place.as_bytes());
    uart::write(b"\n");
    if taken.disr != 0 {
        text("SError deferred");
        line("DISR ", Disr(taken.disr).0);
    } else {
        taken_as(taken.esr, taken.far);
    }
    line("ELR  ", taken.elr);
    line("SPSR ", taken.spsr);
    while_handling(handling);
    uart::write(b"seawall: verdict: halted\n");
    leave(End::Halted)
}

/// Keeps what came first, and what was being dealt with by then, in case something else comes while it is handled.
pub(crate) fn keep_first(taken: &Snapshot, handling: Handling) {
    let Handling { esr, far, disr } = handling;
    for (kept, value) in FIRST
        .iter()
        .zip([taken.esr, taken.far, taken.elr, esr, far, disr])
    {
        kept.store(value, Ordering::Relaxed);
    }
}

/// Names the accident that was being handled.
fn say_first() {
    let [esr, far, elr, outer_esr, outer_far, outer_disr] =
        FIRST.each_ref().map(|kept| kept.load(Ordering::Relaxed));
    if esr == 0 {
        return text("is not known: what it was to be kept in is lost");
    }
    taken_as(esr, far);
    line("ELR  ", elr);
    while_handling(Handling {
        esr: outer_esr,
        far: outer_far,
        disr: outer_disr,
    });
}

/// An accident while one was handled: the second, or one further on.
pub(crate) fn last_resort(depth: u64, esr: u64, far: u64, elr: u64) -> ! {
    match depth {
        ..=2 => {
            uart::write(&WORDS.0);
            taken_as(esr, far);
            line("ELR  ", elr);
            uart::write(b"seawall: epitaph: the first\n");
            say_first();
            uart::write(b"seawall: verdict: halted\n");
        }
        3 => uart::write(vectors::last_words()),
        _ => {}
    }
    leave(End::Halted)
}

/// How many ends were begun before this one.
fn begin() -> u8 {
    let before = ENDINGS.load(Ordering::Relaxed);
    ENDINGS.store(before.saturating_add(1), Ordering::Relaxed);
    before
}

/// A panic is a bug of the kernel's; it ends like an accident.
pub(crate) fn panicked(file: &str, line_number: u32) -> ! {
    if begin() > 1 {
        leave(End::Halted);
    }
    uart::write(b"\nseawall: epitaph: the kernel panicked in ");
    uart::write(file.as_bytes());
    uart::write(b"\n");
    line("line ", u64::from(line_number));
    uart::write(b"seawall: verdict: halted\n");
    leave(End::Halted)
}
