//! Which backend runs, why that one, and why not those before it.

use std::env;
use std::path::Path;

use super::BackendName;
use super::place::{PlaceArguments, on_path};
use crate::backend::{Backend as Runs, Missing};
use crate::events::Unavailable;
use crate::kvm::Kvm;
use crate::lab::Lab;
use crate::qemu::Qemu;

/// The machinery.
pub(super) enum Backend {
    /// Guests run from this process; and the guest's Image.
    Direct(Box<dyn Runs>, Vec<u8>),
    /// This command runs again inside the lab.
    Lab(Lab),
}

/// A backend that can run.
pub(super) struct Choice {
    pub(super) name: &'static str,
    pub(super) backend: Backend,
    pub(super) why: String,
    pub(super) not: Vec<Unavailable>,
}

/// No backend can run.
pub(super) enum Unchosen {
    /// The host lacks something: what each backend says.
    Environment(Vec<(&'static str, Missing)>),
    /// The lab was asked for and has no kernel: its scenarios are skips.
    Skip(Missing),
}

/// Of its own accord it chooses no backend without KVM where that is needed.
pub(super) fn choose(name: BackendName, needs_kvm: bool, place: &PlaceArguments) -> Result<Choice, Unchosen> {
    let open = |name: BackendName| -> Result<(&'static str, Backend), (&'static str, Missing)> {
        let direct = |word: &'static str, backend: Result<Box<dyn Runs>, Missing>| {
            let backend = backend.map_err(|missing| (word, missing))?;
            let image = place.read_image().map_err(|missing| (word, missing))?;
            Ok((word, Backend::Direct(backend, image)))
        };
        match name {
            BackendName::Auto | BackendName::Kvm => {
                direct("kvm", Kvm::open().map(|kvm| Box::new(kvm) as Box<dyn Runs>))
            }
            BackendName::Qemu => direct(
                "qemu",
                Qemu::find(&place.folder()).map(|qemu| Box::new(qemu) as Box<dyn Runs>),
            ),
            BackendName::Lab => {
                let lab = Lab::find(&place.folder(), place.kernel.as_deref())
                    .map_err(|missing| ("lab", missing))?;
                let lab = Lab {
                    image: place.image.clone().unwrap_or_else(|| lab.image.clone()),
                    ..lab
                };
                Ok(("lab", Backend::Lab(lab)))
            }
        }
    };
    if name != BackendName::Auto {
        return match open(name) {
            Ok((name, backend)) => Ok(Choice {
                name,
                backend,
                why: "requested".into(),
                not: Vec::new(),
            }),
            Err((_, missing)) if name == BackendName::Lab && is_kernel_missing(place) => {
                Err(Unchosen::Skip(missing))
            }
            Err(missing) => Err(Unchosen::Environment(vec![missing])),
        };
    }
    let mut missing = Vec::new();
    let candidates: &[BackendName] = if needs_kvm {
        &[BackendName::Kvm, BackendName::Lab]
    } else {
        &[BackendName::Kvm, BackendName::Lab, BackendName::Qemu]
    };
    for &candidate in candidates {
        match open(candidate) {
            Ok((name, backend)) => {
                let why = if missing.is_empty() {
                    "the host's own KVM"
                } else {
                    "the first that works here"
                };
                let not = missing.into_iter().map(unavailable).collect();
                return Ok(Choice {
                    name,
                    backend,
                    why: why.into(),
                    not,
                });
            }
            Err(reason) => missing.push(reason),
        }
    }
    Err(Unchosen::Environment(missing))
}

/// Whether the lab lacks its kernel and nothing before it. A kernel is the one part that a host may rightly not have:
/// what it would have run is skipped. Without QEMU or the build, the environment is broken.
fn is_kernel_missing(place: &PlaceArguments) -> bool {
    let named = env::var_os("SEAWALL_QEMU").filter(|named| !named.is_empty());
    let qemu = named.map_or_else(
        || on_path("qemu-system-aarch64"),
        |named| Path::new(&named).is_file(),
    );
    // One that was named by hand was looked at before.
    let by_default = place.folder().join("lab-kernel.Image");
    qemu && place.kernel.is_none() && !by_default.is_file()
}

fn unavailable((backend, missing): (&'static str, Missing)) -> Unavailable {
    Unavailable {
        backend: backend.into(),
        reason: missing.what,
        fix: missing.fix,
    }
}
