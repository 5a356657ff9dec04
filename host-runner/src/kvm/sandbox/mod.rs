//! The sandbox: from before its guest's first instruction on, a vCPU's thread may ask the kernel for what `list` has and
//! for nothing else. It opens nothing, runs nothing and speaks to nobody. Anything else ends the whole process at once,
//! with SIGSYS: a thread that does what it has no reason to do is no longer ours.
//!
//! There is no way to run without it. Debuggers and tracers need none: they ask from outside.
#![expect(unsafe_code, reason = "gettid(2) has no safe form in std")]

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use crate::backend::Missing;

mod list;
pub mod probe;

use list::{LIST, Only};

/// Puts this thread into the sandbox, for good.
///
/// # Errors
/// What the host lacks, for people; the thread must not run a guest then.
pub(super) fn enter() -> Result<(), String> {
    let filter = filter(LIST, std::process::id(), this_thread())?;
    // Sets PR_SET_NO_NEW_PRIVS first.
    seccompiler::apply_filter(&filter).map_err(|error| format!("the sandbox: {error}"))
}

/// What the sandbox needs and this host lacks, if it lacks anything.
#[cfg_attr(
    not(target_arch = "aarch64"),
    expect(dead_code, reason = "guests run where KVM is")
)]
pub(super) fn missing() -> Option<Missing> {
    let actions = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    let has = actions
        .split_ascii_whitespace()
        .any(|action| action == "kill_process");
    (!has).then(|| Missing {
        what: "seccomp filters that end a process (CONFIG_SECCOMP_FILTER): a guest runs in a sandbox alone"
            .into(),
        fix: "boot a kernel with CONFIG_SECCOMP_FILTER, or use --backend lab".into(),
    })
}

fn this_thread() -> u32 {
    // SAFETY: the call takes nothing and cannot fail.
    let id = unsafe { libc::gettid() };
    id.cast_unsigned()
}

/// The program for the kernel.
fn filter(list: &[list::Allowed], process: u32, thread: u32) -> Result<BpfProgram, String> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for row in list {
        let of_call = rules.entry(row.call).or_default();
        if row.only.is_empty() {
            continue;
        }
        let conditions = row.only.iter().map(|only| condition(*only, process, thread));
        let conditions = conditions
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        of_call.push(SeccompRule::new(conditions).map_err(|error| error.to_string())?);
    }
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::KillProcess,
        SeccompAction::Allow,
        architecture,
    );
    filter
        .and_then(BpfProgram::try_from)
        .map_err(|error| error.to_string())
}

fn condition(only: Only, process: u32, thread: u32) -> Result<SeccompCondition, seccompiler::BackendError> {
    use SeccompCmpArgLen::{Dword, Qword};
    let equal =
        |argument, value: u32| SeccompCondition::new(argument, Dword, SeccompCmpOp::Eq, u64::from(value));
    match only {
        // What the kernel takes as an int: a C library may have filled the upper half with the sign.
        Only::Is(argument, value) => equal(argument, value),
        Only::ThisThread(argument) => equal(argument, thread),
        Only::ThisProcess(argument) => equal(argument, process),
        Only::Without(argument, mask) => {
            SeccompCondition::new(argument, Qword, SeccompCmpOp::MaskedEq(mask), 0)
        }
        Only::With(argument, mask) => {
            SeccompCondition::new(argument, Qword, SeccompCmpOp::MaskedEq(mask), mask)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_allowed_with_conditions_or_without_and_not_both() {
        for row in LIST {
            let of_call: Vec<_> = LIST.iter().filter(|other| other.call == row.call).collect();
            assert!(
                of_call.len() == 1 || of_call.iter().all(|row| !row.only.is_empty()),
                "call {}: a row without conditions would have no effect beside one with them",
                row.call
            );
        }
    }

    #[test]
    fn nothing_is_allowed_that_opens_runs_or_speaks() {
        for call in [
            libc::SYS_openat,
            libc::SYS_openat2,
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_clone,
            libc::SYS_clone3,
            libc::SYS_socket,
            libc::SYS_connect,
            libc::SYS_sendmsg,
            libc::SYS_ptrace,
            libc::SYS_process_vm_writev,
            libc::SYS_seccomp,
            libc::SYS_prctl,
            libc::SYS_userfaultfd,
            libc::SYS_io_uring_setup,
            libc::SYS_bpf,
            libc::SYS_exit_group,
        ] {
            assert!(LIST.iter().all(|row| row.call != call), "{call}");
        }
        // What takes a descriptor or an address of anything is held to what it is for.
        for call in [
            libc::SYS_ioctl,
            libc::SYS_madvise,
            libc::SYS_mmap,
            libc::SYS_mprotect,
            libc::SYS_write,
            libc::SYS_rt_sigaction,
            libc::SYS_tkill,
            libc::SYS_tgkill,
        ] {
            let mut rows = LIST.iter().filter(|row| row.call == call).peekable();
            assert!(rows.peek().is_some() && rows.all(|row| !row.only.is_empty()));
        }
    }
}
