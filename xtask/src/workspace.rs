//! Where things are: the workspace's root, its pinned toolchain, and the folder of artefacts.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Bare metal: the guest, its programs and the shim. Soft float, so that no vector register is ever touched
/// on the way of an abort.
pub(crate) const BARE_METAL: &str = "aarch64-unknown-none-softfloat";
/// A static Linux program: the runner as the lab's init.
pub(crate) const STATIC_ARM64: &str = "aarch64-unknown-linux-musl";

/// The workspace that this xtask belongs to.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// The pinned toolchain, as `rust-toolchain.toml` names it.
    pub(crate) toolchain: String,
}

impl Workspace {
    pub(crate) fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("the xtask package has no parent folder")?
            .to_path_buf();
        let pin = root.join("rust-toolchain.toml");
        let text = fs::read_to_string(&pin).with_context(|| format!("cannot read {}", pin.display()))?;
        let toolchain = channel(&text)
            .with_context(|| format!("{} names no channel", pin.display()))?
            .to_owned();
        Ok(Self { root, toolchain })
    }

    /// The folder of artefacts; always the same place, whatever cargo's own target directory is.
    pub(crate) fn artefacts(&self) -> PathBuf {
        self.root.join("target/seawall")
    }

    pub(crate) fn artefact(&self, name: &str) -> PathBuf {
        self.artefacts().join(name)
    }
}

/// The value of the `channel` key. The file is this project's own, so one line is all that is parsed.
fn channel(text: &str) -> Option<&str> {
    text.lines().find_map(|line| {
        let value = line
            .trim()
            .strip_prefix("channel")?
            .trim_start()
            .strip_prefix('=')?;
        Some(value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::channel;

    #[test]
    fn pinned_channel_is_read() {
        assert_eq!(
            channel("[toolchain]\nchannel = \"1.95.0\"\ntargets = []\n"),
            Some("1.95.0")
        );
        assert_eq!(channel("[toolchain]\n"), None);
    }
}
