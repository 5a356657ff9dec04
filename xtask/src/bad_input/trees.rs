//! QEMU's own device trees, and ways to spoil them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use dtoolkit::Node;
use dtoolkit::fdt::Fdt;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};

use super::{MEMORY_MIB, machine};
use crate::process::capture;

/// QEMU's own device trees.
pub(super) struct Trees {
    pub(super) usual: Vec<u8>,
    pub(super) small: Vec<u8>,
}

impl Trees {
    pub(super) fn dump(folder: &Path) -> Result<Self> {
        let dump = |memory_mib| -> Result<Vec<u8>> {
            let file = folder.join("dumped.dtb");
            capture(&mut machine(&format!(",dumpdtb={}", file.display()), memory_mib))?;
            // Written anew, and so without the padding of 1 MiB.
            Ok(read(&fs::read(&file)?)?.to_dtb())
        };
        Ok(Self {
            usual: dump(MEMORY_MIB)?,
            small: dump(8)?,
        })
    }

    /// The usual tree, edited.
    pub(super) fn with(&self, edit: impl FnOnce(&mut DeviceTreeNode) -> Result<()>) -> Result<Vec<u8>> {
        let mut tree = read(&self.usual)?;
        edit(&mut tree.root)?;
        Ok(tree.to_dtb())
    }

    pub(super) fn without(&self, prefix: &str) -> Result<Vec<u8>> {
        self.with(|root| {
            let name = named(root, prefix)?.name().to_owned();
            root.remove_child(&name);
            Ok(())
        })
    }

    pub(super) fn with_regions(&self, prefix: &str, regions: &[(u64, u64)]) -> Result<Vec<u8>> {
        let cells: Vec<u8> = regions
            .iter()
            .flat_map(|(base, size)| [base.to_be_bytes(), size.to_be_bytes()].concat())
            .collect();
        self.with(|root| {
            named(root, prefix)?.add_property(DeviceTreeProperty::new_unchecked("reg", cells));
            Ok(())
        })
    }

    pub(super) fn with_arguments(&self, arguments: &str) -> Result<Vec<u8>> {
        self.with(|root| {
            named(root, "chosen")?.add_property(DeviceTreeProperty::new_unchecked("bootargs", arguments));
            Ok(())
        })
    }

    pub(super) fn with_reserved(&self, regions: &[(u64, u64)]) -> Result<Vec<u8>> {
        self.with(|root| {
            let mut parent = DeviceTreeNode::new_unchecked("reserved-memory");
            for name in ["#address-cells", "#size-cells"] {
                parent.add_property(DeviceTreeProperty::new_unchecked(name, 2_u32));
            }
            for (base, size) in regions {
                let mut child = DeviceTreeNode::new_unchecked(format!("taken@{base:x}"));
                let cells = [base.to_be_bytes(), size.to_be_bytes()].concat();
                child.add_property(DeviceTreeProperty::new_unchecked("reg", cells));
                parent.add_child(child);
            }
            root.add_child(parent);
            Ok(())
        })
    }

    /// The usual tree with a few bits of its structure block flipped, always the same ones.
    pub(super) fn flipped(&self, seed: u64) -> Vec<u8> {
        let mut tree = self.usual.clone();
        let word = |at: usize| -> usize {
            tree.get(at..at + 4)
                .and_then(|raw| raw.try_into().ok())
                .map_or(0, |raw| u32::from_be_bytes(raw) as usize)
        };
        let (start, length) = (word(8), word(36).max(1));
        // xorshift64 [Marsaglia, "Xorshift RNGs", 2003].
        let mut state = seed;
        for _ in 0..4 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let bits = state.to_le_bytes();
            let at = start + (usize::from(bits[0]) | usize::from(bits[1]) << 8) % length;
            if let Some(byte) = tree.get_mut(at) {
                *byte ^= 1 << (bits[2] & 7);
            }
        }
        tree
    }
}

pub(super) fn read(blob: &[u8]) -> Result<DeviceTree> {
    let fdt = Fdt::new(blob).map_err(|error| anyhow::anyhow!("QEMU's device tree: {error}"))?;
    Ok(DeviceTree::from_fdt(&fdt))
}

/// The child of this name, whatever its unit address.
pub(super) fn named<'a>(root: &'a mut DeviceTreeNode, prefix: &str) -> Result<&'a mut DeviceTreeNode> {
    root.children_mut()
        .find(|child| child.name_without_address() == prefix)
        .with_context(|| format!("QEMU's device tree has no {prefix}"))
}

/// Writes a big-endian word into the header.
pub(super) fn header(mut tree: Vec<u8>, offset: usize, word: u32) -> Vec<u8> {
    if let Some(place) = tree.get_mut(offset..offset + 4) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    tree
}
