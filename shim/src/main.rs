//! The shim: an EL2 program that runs Seawall's guest on plain QEMU and replays aborts into it.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod arch;
#[cfg(target_os = "none")]
mod epitaph;
#[cfg(target_os = "none")]
mod lives;
#[cfg(target_os = "none")]
mod record;
#[cfg(target_os = "none")]
mod replayer;

/// The shim runs on bare metal alone; here there is nothing for it to do.
#[cfg(not(target_os = "none"))]
fn main() {}

/// Where the first instructions lead: EL2, one CPU, everything masked.
#[cfg(target_os = "none")]
extern "C" fn main() -> ! {
    let handover = match arch::memory::handover() {
        Ok(handover) => handover,
        Err(error) => epitaph::of_start(&error),
    };
    match replayer::Replayer::new(&handover) {
        Ok(mut replayer) => {
            replayer.start();
            arch::vectors::start(&mut replayer, handover.entry, handover.device_tree)
        }
        Err(error) => epitaph::of_start(&error),
    }
}

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    epitaph::of_panic(info)
}
