//! Looks at this host. Nothing is changed, and nothing is judged.

use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::host::{
    Answers, Artefact, Backends, Device, Host, LabKernel, MemoryFailure, Offer, Qemu, Sandbox, Userfaultfd,
};
use crate::kvm::needs::page_bytes;
use crate::lab::{self, Lab};
use crate::run::place::PlaceArguments;
use crate::scenario::{Platform, library};

const DEVICE: &str = "/dev/kvm";

/// Looks at this host, and at the parts that `place` names.
#[must_use]
pub fn gather(place: &PlaceArguments) -> Host {
    let folder = place.folder();
    let device = device();
    Host {
        architecture: env::consts::ARCH.to_owned(),
        release: line("/proc/sys/kernel/osrelease"),
        page_size: page_bytes(),
        kvm: if device == Device::Opens { ask() } else { None },
        device,
        memory_failure: memory_failure(),
        userfaultfd: flag("/proc/sys/vm/unprivileged_userfaultfd").map(|unprivileged| Userfaultfd {
            unprivileged,
            device: Path::new("/dev/userfaultfd").exists(),
        }),
        sys_admin: fs::read_to_string("/proc/self/status")
            .ok()
            .and_then(|status| sys_admin(&status)),
        sandbox: sandbox(),
        qemu: qemu(),
        lab_kernel: lab_kernel(place, &folder),
        guest: artefact(place.image()),
        shim: artefact(folder.join("shim.Image")),
        init: artefact(folder.join("seawall-arm64")),
        backends: Backends {
            kvm: crate::kvm::Kvm::open().map(drop),
            lab: Lab::find(&folder, place.kernel.as_deref()).map(drop),
            qemu: crate::qemu::Qemu::find(&folder).map(drop),
        },
        is_lab: lab::is_inside(),
        offers: offers(),
    }
}

#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
fn ask() -> Option<Answers> {
    super::ask::ask()
}

/// Another architecture's KVM has other capabilities under these numbers.
#[cfg(not(all(target_arch = "aarch64", target_os = "linux")))]
const fn ask() -> Option<Answers> {
    None
}

fn device() -> Device {
    match File::options().read(true).write(true).open(DEVICE) {
        Ok(_) => Device::Opens,
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound => Device::Absent,
            io::ErrorKind::PermissionDenied => Device::Denied,
            _ => Device::Fails(error.to_string()),
        },
    }
}

fn line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn flag(path: &str) -> Option<bool> {
    line(path).map(|text| text != "0")
}

fn memory_failure() -> Option<MemoryFailure> {
    let found = MemoryFailure {
        early_kill: flag("/proc/sys/vm/memory_failure_early_kill"),
        recovery: flag("/proc/sys/vm/memory_failure_recovery"),
    };
    (found != MemoryFailure::default()).then_some(found)
}

/// [Linux `include/uapi/linux/capability.h`] CAP_SYS_ADMIN is 21.
fn sys_admin(status: &str) -> Option<bool> {
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    let set = u64::from_str_radix(set.trim(), 16).ok()?;
    Some(set & (1 << 21) != 0)
}

/// Each probe in a process of its own, which it has to end.
#[cfg(target_os = "linux")]
fn sandbox() -> Result<Sandbox, String> {
    use crate::kvm::sandbox::probe::Probe;
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let mut found = Sandbox::default();
    for probe in Probe::FORBIDDEN {
        found.tried += 1;
        if !probe.is_stopped(&program).map_err(|error| error.to_string())? {
            found.let_through.push(format!("{probe:?}").to_lowercase());
        }
    }
    Ok(found)
}

#[cfg(not(target_os = "linux"))]
fn sandbox() -> Result<Sandbox, String> {
    Err(format!("{} has no seccomp", env::consts::OS))
}

/// Where the backends look for it too.
fn qemu() -> Option<Qemu> {
    let program = match env::var_os("SEAWALL_QEMU").filter(|named| !named.is_empty()) {
        Some(named) => Some(PathBuf::from(named)),
        None => env::split_paths(&env::var_os("PATH").unwrap_or_default())
            .map(|folder| folder.join("qemu-system-aarch64"))
            .find(|program| program.is_file()),
    }?;
    let said = Command::new(&program)
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let version = match said {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            match text.lines().next() {
                Some(first) if output.status.success() => Ok(first.trim().to_owned()),
                _ => Err(format!("`--version` ended with {}", output.status)),
            }
        }
        Err(error) => Err(error.to_string()),
    };
    Some(Qemu { program, version })
}

fn lab_kernel(place: &PlaceArguments, folder: &Path) -> Option<LabKernel> {
    let path = place
        .kernel
        .clone()
        .unwrap_or_else(|| folder.join("lab-kernel.Image"));
    let image = fs::read(&path).ok()?;
    Some(LabKernel {
        path,
        release: banner(&image),
    })
}

/// The release in an Image's `Linux version …` banner.
fn banner(mut image: &[u8]) -> Option<String> {
    // To the next first letter, at the speed of memchr: an Image has some 40 MB.
    while image.skip_until(b'L').is_ok_and(|skipped| skipped > 0) {
        let Some(rest) = image.strip_prefix(b"inux version ") else {
            continue;
        };
        let release: String = rest
            .iter()
            .map(|byte| char::from(*byte))
            .take(64)
            .take_while(|c| c.is_ascii_alphanumeric() || ".+-~_".contains(*c))
            .collect();
        if release.starts_with(|first: char| first.is_ascii_digit()) {
            return Some(release);
        }
    }
    None
}

fn artefact(path: PathBuf) -> Artefact {
    Artefact {
        exists: path.is_file(),
        path,
    }
}

/// What this command can do is what its own scenarios ask for.
fn offers() -> Vec<Offer> {
    let scenarios = library::load(&[]).unwrap_or_default();
    let offer = |route: &&str| {
        let line = format!("route = \"{route}\"");
        let mut found = scenarios
            .iter()
            .filter(|scenario| scenario.source.contains(&line))
            .peekable();
        found.peek()?;
        Some(Offer {
            route: (*route).to_owned(),
            on_qemu: found.any(|scenario| scenario.platforms.contains(&Platform::Qemu)),
        })
    };
    super::routes::OFFERS.iter().filter_map(offer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_read() {
        let status = "Name:\tseawall\nCapPrm:\t0000000000000000\nCapEff:\t000001fffeffffff\n";
        assert_eq!(sys_admin(status), Some(true));
        assert_eq!(sys_admin("CapEff:\t000001ffffdfffff\n"), Some(false));
        assert_eq!(sys_admin("CapEff:\t0000000000000000\n"), Some(false));
        assert_eq!(sys_admin("CapEff:\tno\n"), None);
        assert_eq!(sys_admin(""), None);
    }

    #[test]
    fn an_images_banner_is_found_and_its_format_string_is_not() {
        let image = b"ARMd\0LLinux version %s (%s)\0Linux version 7.2.13+deb14-arm64 (debian@x)\n\0";
        assert_eq!(banner(image).as_deref(), Some("7.2.13+deb14-arm64"));
        assert_eq!(banner(b"Linux version "), None);
        assert_eq!(banner(b"L"), None);
        assert_eq!(banner(b""), None);
    }
}
