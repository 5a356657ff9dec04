//! Linker scripts for what runs without an operating system, for use from build scripts.
//!
//! Each script lies beside this file; `image-header.ld` is the arm64 Image header that both Images begin with. All
//! sizes and places that code relies on are held by `ASSERT`s in the scripts.

use std::env;
use std::path::{Path, PathBuf};

/// A linker script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Script {
    /// The shim: an Image for EL2, at the one address where QEMU `virt` puts it.
    Shim,
    /// The guest: an Image for any 2 MiB aligned address.
    Image,
    /// One of the guest's EL0 programs.
    Program,
}

impl Script {
    const fn file(self) -> &'static str {
        match self {
            Self::Shim => "shim.ld",
            Self::Image => "image.ld",
            Self::Program => "program.ld",
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Has Cargo link the package's binaries by `script`, when they are built for bare metal; for any other target, such as
/// the host's, nothing changes.
pub fn link(script: Script) {
    let folder = folder();
    let path = folder.join(script.file());
    println!("cargo:rerun-if-changed={}", path.display());
    println!(
        "cargo:rerun-if-changed={}",
        folder.join("image-header.ld").display()
    );
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    // The folder is for `INCLUDE`. The page size is 4 KiB by the scripts; the linker's own 64 KiB would only pad.
    for argument in [
        format!("-T{}", path.display()),
        format!("-L{}", folder.display()),
        "-zmax-page-size=4096".to_owned(),
    ] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}
