//! The `qemu` backend: the guest under the shim, on QEMU `virt` without KVM.
//!
//! All of the machine's memory is a file. The runner puts the guest, its device tree and the handover there, QEMU maps
//! it, and what the guest and the shim left is read from it afterwards: nothing passes through the machine's devices
//! but the console.

mod aftermath;
mod layout;
mod plain;
mod process;
mod ram;

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::backend::{Backend, Missing, Request, Run, RunEnd, VmOptions};
pub(crate) use layout::PORT;

use aftermath::Aftermath;
use layout::Layout;
use ram::Ram;

/// QEMU and the shim.
#[derive(Clone, Debug)]
pub struct Qemu {
    /// `qemu-system-aarch64`.
    pub program: PathBuf,
    /// The shim's Image.
    pub shim: PathBuf,
    /// QEMU's `-cpu`.
    pub cpu: String,
}

const PROGRAM: &str = "qemu-system-aarch64";
/// Names QEMU by hand.
const PROGRAM_VARIABLE: &str = "SEAWALL_QEMU";
/// The newest CPU there is; the plain hash for pointer authentication, as the architected one costs much time.
const CPU: &str = "max,pauth-impdef=on";

/// Virtual time is the count of instructions: a run repeats to the bit, and idling takes no time.
const ICOUNT: [&str; 2] = ["-icount", "shift=0,sleep=off"];
/// A serial line, and no more: neither a file of the user's nor a reset may start anything else.
const NOTHING_ELSE: [&str; 11] = [
    "-display",
    "none",
    "-serial",
    "stdio",
    "-monitor",
    "none",
    "-nic",
    "none",
    "-nodefaults",
    "-no-user-config",
    "-no-reboot",
];

impl Qemu {
    /// Finds QEMU on the path (or where `SEAWALL_QEMU` says) and the shim among the artefacts.
    ///
    /// # Errors
    /// [`Missing`], with the line that installs or builds it.
    pub fn find(artefacts: &Path) -> Result<Self, Missing> {
        let program = match env::var_os(PROGRAM_VARIABLE).filter(|name| !name.is_empty()) {
            Some(named) => PathBuf::from(named),
            None => on_path(&env::var_os("PATH").unwrap_or_default()).ok_or_else(|| no_qemu(PROGRAM))?,
        };
        if !program.is_file() {
            return Err(Missing {
                what: format!("{}, which {PROGRAM_VARIABLE} names", program.display()),
                fix: format!("unset {PROGRAM_VARIABLE}"),
            });
        }
        let shim = artefacts.join("shim.Image");
        if !shim.is_file() {
            return Err(Missing {
                what: format!("the shim, {}", shim.display()),
                fix: "cargo xtask build".into(),
            });
        }
        Ok(Self {
            program,
            shim,
            cpu: CPU.into(),
        })
    }

    fn command(&self, ram: &Ram, ram_bytes: u64, vm: VmOptions) -> Command {
        let megabytes = ram_bytes >> 20;
        let mut backend = OsString::from(format!(
            "memory-backend-file,id=ram,size={megabytes}M,share=on,mem-path="
        ));
        backend.push(doubled_commas(&ram.path()));
        let mut command = Command::new(&self.program);
        command
            .args([
                "-M",
                "virt,virtualization=on,gic-version=3,memory-backend=ram",
                "-cpu",
                vm.cpu.map_or(&self.cpu, |cpu| cpu.word()),
            ])
            .args(["-smp", "1", "-m", &format!("{megabytes}M"), "-object"])
            .arg(backend)
            .args(ICOUNT)
            .args(NOTHING_ELSE)
            .arg("-kernel")
            .arg(&self.shim);
        command
    }
}

impl Qemu {
    /// Runs a guest that has an initial file system; one without has an empty one.
    ///
    /// # Errors
    /// As for [`Backend::run`].
    pub(crate) fn run_with(&self, request: &Request<'_>, initrd: &[u8]) -> Result<Run, Missing> {
        let start = Instant::now();
        let layout = match Layout::new(request, initrd) {
            Ok(layout) => layout,
            Err(reason) => return Ok(nothing_ran(reason, start)),
        };
        let ram = Ram::new(&layout, request.image, initrd).map_err(no_room)?;
        let mut command = self.command(&ram, layout.ram_bytes(), request.vm);
        let ended = match process::run(&mut command, &request.limits) {
            Ok(ended) => ended,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(no_qemu(&self.program.display().to_string()));
            }
            Err(error) => return Ok(nothing_ran(format!("{}: {error}", self.program.display()), start)),
        };
        let Aftermath {
            end,
            events,
            events_lost,
            journal,
            earlier,
        } = Aftermath::read(&ram, &layout.handover, &ended);
        Ok(Run {
            end,
            console: ended.console,
            journal,
            earlier,
            events,
            events_lost,
            usage: None,
            wall: start.elapsed(),
        })
    }
}

impl Backend for Qemu {
    fn name(&self) -> &'static str {
        "qemu"
    }

    fn run(&self, request: &Request<'_>) -> Result<Run, Missing> {
        self.run_with(request, &[])
    }
}

fn nothing_ran(reason: String, start: Instant) -> Run {
    Run {
        end: RunEnd::Stuck(reason),
        console: Vec::new(),
        journal: None,
        earlier: Vec::new(),
        events: Vec::new(),
        events_lost: 0,
        usage: None,
        wall: start.elapsed(),
    }
}

fn no_qemu(name: &str) -> Missing {
    Missing {
        what: name.into(),
        fix: "sudo apt-get install qemu-system-arm".into(),
    }
}

fn no_room(error: io::Error) -> Missing {
    Missing {
        what: format!("a place for the machine's memory: {error}"),
        fix: "export TMPDIR=<a folder with room>".into(),
    }
}

fn on_path(path: &OsString) -> Option<PathBuf> {
    env::split_paths(path)
        .map(|folder| folder.join(PROGRAM))
        .find(|program| program.is_file())
}

/// In QEMU's options a comma ends a value, and two are one.
fn doubled_commas(path: &Path) -> OsString {
    let mut doubled = OsString::new();
    for (index, part) in path
        .as_os_str()
        .as_encoded_bytes()
        .split(|byte| *byte == b',')
        .enumerate()
    {
        if index > 0 {
            doubled.push(",,");
        }
        doubled.push(String::from_utf8_lossy(part).as_ref());
    }
    doubled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_a_path_are_doubled() {
        assert_eq!(doubled_commas(Path::new("/tmp/a,b,,c")), "/tmp/a,,b,,,,c");
        assert_eq!(
            doubled_commas(Path::new("/dev/shm/seawall-1/ram")),
            "/dev/shm/seawall-1/ram"
        );
    }

    #[test]
    fn what_is_missing_comes_with_its_line() {
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(on_path(&empty.path().into()), None);
        let missing = Qemu::find(empty.path()).unwrap_err();
        assert!(
            missing.fix == "cargo xtask build" || missing.fix.contains("qemu-system-arm"),
            "{missing:?}"
        );
    }

    #[test]
    fn a_guest_that_cannot_be_laid_out_is_a_run_and_not_an_error() {
        use crate::backend::Limits;
        let qemu = Qemu {
            program: "/nowhere/qemu".into(),
            shim: "/nowhere/shim".into(),
            cpu: CPU.into(),
        };
        let request = Request {
            image: b"not an Image",
            memory_bytes: 64 << 20,
            boot_arguments: "",
            plan: seawall_replay::plan::Plan::EMPTY,
            budget: None,
            limits: Limits::default(),
            state: crate::backend::State::default(),
            vm: VmOptions::default(),
        };
        let run = qemu.run(&request).unwrap();
        assert_eq!(run.end, RunEnd::Stuck("the guest is not an arm64 Image".into()));
    }
}
