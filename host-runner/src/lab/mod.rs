//! The lab: real arm64 KVM on any host, under QEMU's emulation of EL2.
//!
//! QEMU boots an arm64 Linux kernel whose init is this same command, built for arm64: [`init`] runs it a second time as
//! its child, with the arguments that the outer command gave, and sends what it prints over the serial line. [`Lab`] is
//! the outer half. Between them: `newc` (the file system), `frame` (the serial line).

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::backend::Missing;

mod breaker;
mod frame;
mod gdb;
mod message;
pub(crate) mod newc;
#[cfg(target_os = "linux")]
#[cfg_attr(
    not(any(test, target_arch = "aarch64")),
    expect(dead_code, reason = "the lab's inside is an arm64 machine")
)]
pub(crate) mod outside;
mod parcel;
mod session;
mod stage2;
#[cfg(test)]
mod stub;

#[cfg(target_os = "linux")]
mod init;

pub use parcel::{OUT, Parcel};

/// Names the QEMU program, if it is not the one on the path.
const PROGRAM_VARIABLE: &str = "SEAWALL_QEMU";
/// The kernel gives it to init as an environment variable; tells a lab from a container, where a command may be pid 1 too.
const MARK: &str = "SEAWALL_LAB";
/// A file of the lab's: if it is there, the command inside runs without privileges.
const UNPRIVILEGED: &str = "/unprivileged";

/// The same, where somebody outside answers what is asked there.
const OUTSIDE: &str = "SEAWALL_OUTSIDE";

/// QEMU, an arm64 Linux kernel, and this command built for arm64 to be its init.
#[derive(Clone, Debug)]
pub struct Lab {
    /// `qemu-system-aarch64`.
    pub program: PathBuf,
    /// The arm64 Linux Image.
    pub kernel: PathBuf,
    /// The static arm64 build of this command.
    pub init: PathBuf,
    /// The guest's Image.
    pub image: PathBuf,
    /// The command inside runs as a user who owns `/dev/kvm` and has no privilege.
    pub unprivileged: bool,
}

/// What a session is to do.
#[derive(Clone, Copy, Debug)]
pub struct Orders<'a> {
    /// For this command, inside.
    pub arguments: &'a [String],
    /// Put into the lab's file system first, at absolute paths.
    pub files: &'a [(String, Vec<u8>)],
    /// Wall-clock limit.
    pub wall: Duration,
    /// Whether somebody outside is to break walks of stage 2 when he is asked to.
    pub outside: bool,
    /// Whether KVM is to nest, where QEMU's CPU can: all else takes ten times as long then.
    pub nested: bool,
}

/// What a session in the lab said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line<'a> {
    /// A line of the inner command's standard output.
    Out(&'a str),
    /// A line of its standard error.
    Err(&'a str),
    /// A line of the lab kernel's own.
    Kernel(&'a str),
    /// A part of a file that the inner command left behind; [`Parcel`] puts them together.
    File(&'a str),
}

/// How a session ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SessionEnd {
    /// The inner command's exit code.
    Exited(i32),
    /// The lab went down or stood still before the inner command ended: what was last seen.
    Lost(String),
}

impl Lab {
    /// Finds all parts. `kernel` names an Image by hand; else it is the one among the artefacts.
    ///
    /// # Errors
    /// [`Missing`], with the line that gets it.
    pub fn find(artefacts: &Path, kernel: Option<&Path>) -> Result<Self, Missing> {
        let program = program()?;
        let (kernel, fix) = match kernel {
            Some(named) => (
                named.to_owned(),
                "name an uncompressed arm64 Linux Image with --kernel",
            ),
            None => (artefacts.join("lab-kernel.Image"), "cargo xtask setup"),
        };
        check(&kernel, "the lab's arm64 Linux kernel", fix, is_image)?;
        let init = artefacts.join("seawall-arm64");
        check(
            &init,
            "the static arm64 build of seawall",
            "cargo xtask build",
            is_arm64_program,
        )?;
        let image = artefacts.join("seawall.Image");
        check(&image, "the guest's Image", "cargo xtask build", is_image)?;
        Ok(Self {
            program,
            kernel,
            init,
            image,
            unprivileged: false,
        })
    }

    /// Boots the lab and runs this command inside. Lines come as they are printed.
    ///
    /// # Errors
    /// [`Missing`] when QEMU cannot be started.
    pub fn session(&self, orders: Orders<'_>, line: &mut dyn FnMut(Line<'_>)) -> Result<SessionEnd, Missing> {
        session::hold(self, orders, line)
    }
}

fn program() -> Result<PathBuf, Missing> {
    let fix = "sudo apt-get install qemu-system-arm";
    if let Some(named) = std::env::var_os(PROGRAM_VARIABLE).filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        let what = format!("{PROGRAM_VARIABLE} names {}, which is no file", named.display());
        return if named.is_file() {
            Ok(named)
        } else {
            Err(Missing {
                what,
                fix: fix.into(),
            })
        };
    }
    let name = "qemu-system-aarch64";
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .ok_or_else(|| Missing {
            what: format!("{name} is not on the path ({PROGRAM_VARIABLE} names it too)"),
            fix: fix.into(),
        })
}

/// Looks at a file's first 64 bytes.
fn check(path: &Path, name: &str, fix: &str, right: fn(&[u8; 64]) -> bool) -> Result<(), Missing> {
    let Some(problem) = problem(path, right) else {
        return Ok(());
    };
    Err(Missing {
        what: format!("{name}: {} {problem}", path.display()),
        fix: fix.to_owned(),
    })
}

/// What is wrong with a file that has to begin so.
fn problem(path: &Path, right: fn(&[u8; 64]) -> bool) -> Option<String> {
    let mut head = [0; 64];
    match File::open(path).and_then(|mut file| file.read_exact(&mut head)) {
        Ok(()) if right(&head) => None,
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => Some(format!("cannot be read: {error}")),
        // Another file, or one that is too short to be the right one.
        Ok(()) | Err(_) => Some("is something else".to_owned()),
    }
}

/// What is wrong with a file that has to be an arm64 Linux Image.
pub(crate) fn image_problem(path: &Path) -> Option<String> {
    problem(path, is_image)
}

/// [Linux `Documentation/arch/arm64/booting.rst`] the magic number at offset 56.
fn is_image(head: &[u8; 64]) -> bool {
    head[56..60] == *b"ARM\x64"
}

/// A 64-bit little-endian ELF file for machine 183, AArch64.
fn is_arm64_program(head: &[u8; 64]) -> bool {
    head[..6] == *b"\x7fELF\x02\x01" && head[18..20] == [183, 0]
}

/// Whether this process is the init of a lab.
#[must_use]
pub fn is_init() -> bool {
    std::process::id() == 1 && std::env::var_os(MARK).is_some_and(|mark| mark == "1")
}

/// Whether this process runs inside a lab, as init's child.
#[must_use]
pub fn is_inside() -> bool {
    std::process::id() != 1 && std::env::var_os(MARK).is_some_and(|mark| mark == "1")
}

/// Does init's work and switches the machine off; never returns.
#[cfg(target_os = "linux")]
pub fn init() -> ! {
    init::main()
}

/// Does init's work and switches the machine off; never returns.
#[cfg(not(target_os = "linux"))]
pub fn init() -> ! {
    std::process::exit(70)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_part_is_named_with_what_gets_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut image = [0; 64];
        image[56..60].copy_from_slice(b"ARMd");
        let mut program = [0; 64];
        program[..6].copy_from_slice(b"\x7fELF\x02\x01");
        program[18] = 183;
        let fix = |kernel: Option<&Path>| {
            Lab::find(folder.path(), kernel)
                .map(drop)
                .map_err(|missing| missing.fix)
        };
        if program_is_missing() {
            return;
        }
        assert_eq!(fix(None).unwrap_err(), "cargo xtask setup");
        std::fs::write(at("lab-kernel.Image"), [0; 64]).unwrap();
        assert_eq!(fix(None).unwrap_err(), "cargo xtask setup");
        std::fs::write(at("lab-kernel.Image"), image).unwrap();
        assert_eq!(fix(None).unwrap_err(), "cargo xtask build");
        std::fs::write(at("seawall-arm64"), program).unwrap();
        assert_eq!(fix(None).unwrap_err(), "cargo xtask build");
        std::fs::write(at("seawall.Image"), image).unwrap();
        assert_eq!(fix(None), Ok(()));
        let other = at("other.Image");
        assert!(fix(Some(&other)).unwrap_err().contains("--kernel"));
        std::fs::write(&other, image).unwrap();
        assert_eq!(Lab::find(folder.path(), Some(&other)).unwrap().kernel, other);
    }

    fn program_is_missing() -> bool {
        program().is_err_and(|missing| missing.fix == "sudo apt-get install qemu-system-arm")
    }

    #[test]
    fn a_test_is_no_init() {
        assert!(!is_init());
    }
}
