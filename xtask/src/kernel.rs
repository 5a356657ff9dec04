//! The lab's kernel: an arm64 Linux Image, named by hand, kept from an earlier run, or fetched once through
//! the system's own package tool.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::fetch::fetch;
use crate::linux_image::{OLDEST, check_header, numbers, version_of};
use crate::process::{capture, say};
use crate::workspace::Workspace;

/// Which kernel out of the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// The newest: what the lab boots.
    Newest,
    /// One from before `KVM_EXIT_ARM_SEA`, which came with Linux 6.19: the tests boot it beside the other.
    Older,
}

impl Which {
    /// The cache's record of it.
    const fn record(self) -> &'static str {
        match self {
            Self::Newest => "kernel.json",
            Self::Older => "kernel-older.json",
        }
    }

    /// Whether this version is meant.
    pub(crate) fn includes(self, version: (u32, u32)) -> bool {
        version >= OLDEST && (self == Self::Newest || version < (6, 19))
    }
}

/// A usable Image.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    pub(crate) image: PathBuf,
    pub(crate) version: String,
}

/// What the cache says about its Image.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    version: String,
    file: String,
    bytes: u64,
    sha256: String,
}

/// The kernel for the lab; an error says why there is none. Only a kernel named by hand that is no Image is a
/// mistake of the caller, and told apart by [`by_hand`].
pub(crate) fn ensure(workspace: &Workspace, which: Which) -> Result<Kernel> {
    let cache = cache_folder(workspace);
    if let Ok(kernel) = cached(&cache, which) {
        return Ok(kernel);
    }
    fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    fetch(&cache, which)
}

/// The Image that `--kernel` or `SEAWALL_KERNEL` names.
pub(crate) fn by_hand(path: &Path) -> Result<Kernel> {
    let context = || format!("kernel {}", path.display());
    let image = fs::canonicalize(path).with_context(context)?;
    check_header(&image).with_context(context)?;
    let version = version_of(&image).unwrap_or_else(|_| "unknown".to_owned());
    if numbers(&version).is_some_and(|found| found < OLDEST) {
        say(format!(
            "kernel {version} is older than {}.{}: scenarios may be skipped",
            OLDEST.0, OLDEST.1
        ));
    }
    Ok(Kernel { image, version })
}

/// Puts the kernel, or its absence, where the runner looks for it.
pub(crate) fn place(workspace: &Workspace, kernel: Option<&Kernel>) -> Result<()> {
    fs::create_dir_all(workspace.artefacts())?;
    let link = workspace.artefact("lab-kernel.Image");
    let label = workspace.artefact("lab-kernel.version");
    let Some(kernel) = kernel else {
        for path in [link, label] {
            remove(&path)?;
        }
        return Ok(());
    };
    // A link, because the file belongs to the cache or to the user and must not be written through.
    if fs::read_link(&link).ok().as_deref() != Some(kernel.image.as_path()) {
        remove(&link)?;
        symlink(&kernel.image, &link).with_context(|| format!("cannot make {}", link.display()))?;
    }
    fs::write(label, format!("{}\n", kernel.version))?;
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// A folder that outlives clones, or one inside of this clone where the user has no home.
fn cache_folder(workspace: &Workspace) -> PathBuf {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map_or_else(
            || workspace.root.join("target/cache"),
            |cache| cache.join("seawall"),
        )
}

/// The Image of an earlier run. Size and header are checked each time; the digest is for people, since whoever
/// can write to the cache can write the record too.
fn cached(cache: &Path, which: Which) -> Result<Kernel> {
    let record: Record = serde_json::from_slice(&fs::read(cache.join(which.record()))?)?;
    let image = cache.join(&record.file);
    ensure!(
        fs::metadata(&image)?.len() == record.bytes,
        "{} has another size",
        image.display()
    );
    check_header(&image)?;
    Ok(Kernel {
        image,
        version: record.version,
    })
}

/// Copies under a temporary name and renames, the record last: an interrupted run leaves nothing half.
pub(crate) fn store(cache: &Path, image: &Path, which: Which) -> Result<Kernel> {
    check_header(image)?;
    let version = version_of(image)?;
    let mut copy = tempfile::NamedTempFile::new_in(cache)?;
    let bytes = std::io::copy(&mut fs::File::open(image)?, &mut copy)?;
    copy.as_file().sync_all()?;
    let digest = capture(Command::new("sha256sum").arg(copy.path()))?;
    let file = format!("kernel-{version}.Image");
    let record = Record {
        file: file.clone(),
        bytes,
        sha256: digest.split_whitespace().next().unwrap_or_default().to_owned(),
        version: version.clone(),
    };
    copy.as_file()
        .set_permissions(fs::Permissions::from_mode(0o644))?;
    copy.persist(cache.join(&file))?;
    let mut text = tempfile::NamedTempFile::new_in(cache)?;
    serde_json::to_writer_pretty(&mut text, &record)?;
    text.as_file()
        .set_permissions(fs::Permissions::from_mode(0o644))?;
    text.persist(cache.join(which.record()))?;
    Ok(Kernel {
        image: cache.join(file),
        version,
    })
}
