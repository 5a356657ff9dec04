//! Processes that end with this command, whatever ends it, and that leave none of their own behind.
#![expect(
    unsafe_code,
    reason = "kill(2) of a group and prctl(2) have no safe form in std"
)]

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};

/// Has the child lead a group of its own, and be killed where the thread that starts it ends before it does: by a signal
/// that ends this command too. The thread has to be one that lives as long as the child may.
pub(crate) fn bound(command: &mut Command) -> &mut Command {
    command.process_group(0);
    #[cfg(target_os = "linux")]
    {
        let parent = std::process::id();
        let with_parent = move || {
            // SAFETY: this command of prctl takes an integer, and neither call touches memory of ours.
            let (set, now) = unsafe {
                (
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL),
                    libc::getppid(),
                )
            };
            if set != 0 {
                return Err(std::io::Error::last_os_error());
            }
            // It ended before the signal was asked for.
            if u32::try_from(now) != Ok(parent) {
                return Err(std::io::ErrorKind::BrokenPipe.into());
            }
            Ok(())
        };
        // SAFETY: between fork and exec it makes two system calls, and neither allocates nor locks.
        unsafe { command.pre_exec(with_parent) };
    }
    command
}

/// Kills the child with its group, and reaps it.
pub(crate) fn end(child: &mut Child) {
    // Once it is reaped its number may be somebody else's.
    if let (Ok(None), Ok(group)) = (child.try_wait(), i32::try_from(child.id())) {
        // SAFETY: no memory is involved; the child is not reaped, so the number is its own, and its group's.
        unsafe { libc::kill(-group, libc::SIGKILL) };
        // Both fail only when it has ended already.
        let _ = child.kill();
        let _ = child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_child_ends_with_the_thread_that_started_it() {
        let start = || bound(Command::new("sleep").arg("60")).spawn().unwrap();
        let mut child = std::thread::spawn(start).join().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    }

    #[test]
    fn what_a_child_has_started_ends_with_it() {
        let mut command = Command::new("sh");
        command
            .args(["-c", "sleep 60; true"])
            .stdout(std::process::Stdio::piped());
        let mut child = bound(&mut command).spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        end(&mut child);
        // Comes to its end once nobody holds the other side.
        let start = std::time::Instant::now();
        std::io::Read::read_to_end(&mut output, &mut Vec::new()).unwrap();
        assert!(start.elapsed() < std::time::Duration::from_secs(30));
        end(&mut child);
    }
}
