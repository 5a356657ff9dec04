//! The sandbox of a vCPU's thread, on this host and by its own system calls: what it forbids ends the process with
//! SIGSYS, and what a guest needs does not.
#![cfg(target_os = "linux")]

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Output, Stdio};

use seawall_host_runner::kvm::sandbox::probe::Probe;

fn probe(name: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_seawall"))
        .args(["sandbox-probe", name])
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn ended(name: &str) -> ExitStatus {
    probe(name).status
}

/// As the sandbox has to say it, and not as it does.
const FORBIDDEN: [&str; 9] = [
    "open",
    "socket",
    "run",
    "thread",
    "write",
    "ioctl",
    "advise",
    "executable",
    "signal",
];

#[test]
fn what_the_sandbox_forbids_ends_the_process() {
    for name in FORBIDDEN {
        // [Linux include/uapi/asm-generic/signal.h] SIGSYS is 31.
        let status = ended(name);
        assert_eq!((status.signal(), status.code()), (Some(31), None), "{name}");
    }
    assert_eq!(
        Probe::FORBIDDEN.len(),
        FORBIDDEN.len(),
        "`seawall doctor` tries them all"
    );
}

#[test]
fn what_a_guests_thread_needs_is_left_to_it() {
    assert_eq!(ended("work").code(), Some(0));
    // A panic is told and costs the thread alone.
    let panic = probe("panic");
    assert_eq!(panic.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&panic.stderr).contains("tried"));
    // A SIGBUS that is not the guest's ends the process as what it is: 7.
    assert_eq!(ended("bus").signal(), Some(7));
}
