//! Proves the sandbox on the host at hand: a thread enters it and does what it may not. Each probe ends the process that
//! it runs in, or has found a hole; so each runs in one of its own.
#![expect(
    unsafe_code,
    reason = "some of what is forbidden has no safe form in std either"
)]

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{fs, io, net, thread};

/// What a thread in the sandbox tries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Probe {
    /// What it may: memory, a lock, a channel, its own end
    Work,
    /// A panic, which is caught
    Panic,
    /// A SIGBUS that is nobody's
    Bus,
    /// Open a file
    Open,
    /// Make a socket
    Socket,
    /// Run a program
    Run,
    /// Start a thread
    Thread,
    /// Write to standard output
    Write,
    /// An ioctl that is not KVM's
    Ioctl,
    /// Advice about memory that is not for poison
    Advise,
    /// Executable memory
    Executable,
    /// A signal to another process
    Signal,
}

impl Probe {
    /// Those that have to end the process.
    pub const FORBIDDEN: &[Self] = &[
        Self::Open,
        Self::Socket,
        Self::Run,
        Self::Thread,
        Self::Write,
        Self::Ioctl,
        Self::Advise,
        Self::Executable,
        Self::Signal,
    ];

    fn attempt(self) {
        match self {
            Self::Work => work(),
            #[expect(clippy::panic, reason = "that is what is tried")]
            Self::Panic => panic!("tried"),
            Self::Bus => {
                // std's handler, which is for stacks that overflow, gives the default action back and no more.
                raise(libc::SIGBUS);
                raise(libc::SIGBUS);
            }
            Self::Open => drop(fs::File::open("/")),
            Self::Socket => drop(net::UdpSocket::bind("127.0.0.1:0")),
            Self::Run => drop(Command::new("/").spawn()),
            Self::Thread => drop(thread::Builder::new().spawn(|| ())),
            Self::Write => drop(io::Write::write(&mut io::stdout(), b"\n")),
            Self::Ioctl => drop(io::IsTerminal::is_terminal(&io::stdin())),
            Self::Advise => advise(),
            Self::Executable => executable(),
            Self::Signal => signal(),
        }
    }

    /// Tries it in the sandbox, on a thread of its own. Where the sandbox holds, a forbidden one does not return.
    ///
    /// # Errors
    /// What went wrong before, for people.
    pub fn run(self) -> Result<(), String> {
        let tried = thread::spawn(move || super::enter().map(|()| self.attempt())).join();
        match tried {
            Ok(entered) => entered,
            Err(_) if self == Self::Panic => Ok(()),
            Err(_) => Err("the thread panicked".into()),
        }
    }

    /// Tries it by running `program`, this command, again.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn is_stopped(self, program: &Path) -> io::Result<bool> {
        use clap::ValueEnum as _;
        let name = self.to_possible_value();
        let status = Command::new(program)
            .arg("sandbox-probe")
            .args(name.as_ref().map(|name| name.get_name()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        Ok(status.signal() == Some(libc::SIGSYS))
    }
}

/// Memory small and large that grows and goes, and what wakes another thread.
fn work() {
    let (say, hear) = std::sync::mpsc::channel();
    let mut lists: Vec<Vec<u64>> = Vec::new();
    for round in 0..64_u64 {
        lists.push((0..round * 1024).collect());
        if round % 3 == 0 {
            lists.swap_remove(0);
        }
        let _ = say.send(round);
    }
    drop(hear);
    drop(lists);
}

fn raise(signal: libc::c_int) {
    // SAFETY: the call takes no pointer, and std's handler for what is raised here touches nothing of ours.
    unsafe { libc::raise(signal) };
}

fn advise() {
    // SAFETY: no memory is meant, and to keep it out of core dumps would change nothing about it.
    unsafe { libc::madvise(std::ptr::null_mut(), 0, libc::MADV_DONTDUMP) };
}

fn executable() {
    let protection = libc::PROT_READ | libc::PROT_EXEC;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping, of which nobody else knows.
    unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0) };
}

fn signal() {
    // SAFETY: signal 0 is none; the call takes no pointer.
    unsafe { libc::kill(libc::getppid(), 0) };
}
