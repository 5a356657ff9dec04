//! The end of a run that the guest did not end: one line on the UART, `Stuck` in the transcript, off.

use core::fmt::{self, Write};

use seawall_replay::transcript::{Event, What};
use seawall_shim::trap::Snapshot;

use crate::arch::cpu::Cpu;
use crate::arch::vectors;
use crate::arch::{firmware, uart};
use crate::record::Record;

struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(uart::send);
        Ok(())
    }
}

fn say(words: fmt::Arguments<'_>) {
    uart::prepare();
    // The console takes everything.
    let _ = writeln!(Console, "seawall-shim: {words}");
}

/// The shim cannot begin, and there is no transcript to say it in.
pub(crate) fn of_start(reason: &dyn fmt::Display) -> ! {
    say(format_args!("{reason}"));
    firmware::off()
}

/// The guest did what the shim has no answer to, or the answer failed for `reason`.
pub(crate) fn of_guest(snapshot: &Snapshot, record: Record, reason: &dyn fmt::Display) -> ! {
    stuck(snapshot, Some(record), reason)
}

/// An exception that no vector of EL2 expects.
pub(crate) fn of_exception(slot: u64, record: Option<Record>) -> ! {
    // From slot 8 up it came from the guest's levels.
    let place = if slot < 8 {
        "in the shim itself"
    } else {
        "from the guest"
    };
    stuck(
        &Cpu::snapshot(),
        record,
        &format_args!("exception {place}, vector {slot}"),
    )
}

/// A bug in the shim.
pub(crate) fn of_panic(reason: &dyn fmt::Display) -> ! {
    let record = vectors::interrupted();
    stuck(&Cpu::snapshot(), record, reason)
}

fn stuck(snapshot: &Snapshot, record: Option<Record>, reason: &dyn fmt::Display) -> ! {
    let Snapshot {
        esr,
        far,
        hpfar,
        elr,
        spsr,
    } = *snapshot;
    // First the transcript, which cannot fail, then the UART, which is the guest's.
    if let Some(record) = record {
        record.add(&Event {
            ipa: elr,
            syndrome: esr,
            address: far,
            ..Event::of(What::Stuck)
        });
    }
    say(format_args!(
        "{reason}: ESR_EL2 {esr:#x} FAR_EL2 {far:#x} HPFAR_EL2 {hpfar:#x} ELR_EL2 {elr:#x} SPSR_EL2 {spsr:#x}"
    ));
    firmware::off()
}
