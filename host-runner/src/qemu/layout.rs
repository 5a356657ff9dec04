//! Where everything lies in the memory of QEMU `virt`.
//!
//! | from | what |
//! | --- | --- |
//! | 0x4000_0000 | QEMU's own boot code |
//! | 0x4020_0000 | the shim |
//! | 0x4300_0000 | the handover |
//! | 0x4400_0000 | the transcript, 64 MiB at most |
//! | 0x4800_0000 | QEMU's device tree, for whoever it boots: here the shim, which does not look at it |
//! | 0x4a00_0000 | the Image and the device tree as they are, for a guest that begins again |
//! | 0x4c20_0000 | its journals, one for each time that it did |
//! | 0x5000_0000 | the guest's memory: its device tree, and 2 MiB on its Image |

use seawall_replay::handover::{self, Again, Handover};
use seawall_replay::transcript;

use crate::backend::Request;
use crate::guest_tree::{Gic, GuestTree, Region};

/// First byte of RAM on `virt`.
pub(super) const RAM: u64 = 0x4000_0000;
const TRANSCRIPT: u64 = 0x4400_0000;
const TRANSCRIPT_END: u64 = 0x4800_0000;
const AGAIN_IMAGE: u64 = 0x4a00_0000;
const AGAIN_TREE: u64 = 0x4c00_0000;
const JOURNALS: u64 = 0x4c20_0000;
const DEVICE_TREE: u64 = handover::GUEST_FLOOR;
const IMAGE: u64 = DEVICE_TREE + DEVICE_TREE_ROOM;
/// What a boot loader gives a device tree at most [Linux Documentation/arch/arm64/booting.rst].
const DEVICE_TREE_ROOM: u64 = 2 << 20;
/// The replay port. Without a shim nothing of `virt` lies there.
pub(crate) const PORT: u64 = 0x0b00_0000;
const UART: u64 = 0x0900_0000;
const GIC: Gic = Gic {
    distributor: Region {
        base: 0x0800_0000,
        bytes: 0x1_0000,
    },
    redistributors: Region {
        base: 0x080a_0000,
        bytes: 0x00f6_0000,
    },
};

/// A guest laid out in memory: what has to be there before the machine starts.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) handover: Handover,
    handover_block: Vec<u8>,
    device_tree: Vec<u8>,
    /// Where an initial file system lies.
    initrd: u64,
}

impl Layout {
    /// Lays `request` out, with the guest's file system, if it has one, at the end of its memory; the reason when it
    /// cannot be.
    pub(super) fn new(request: &Request<'_>, initrd: &[u8]) -> Result<Self, String> {
        check_image(request)?;
        let place = initrd_place(request, initrd)?;
        let tree = GuestTree {
            memory: Region {
                base: handover::GUEST_FLOOR,
                bytes: request.memory_bytes,
            },
            uart: UART,
            gic: GIC,
            port: PORT,
            boot_arguments: request.boot_arguments,
            initrd: (!initrd.is_empty()).then_some(Region {
                base: place,
                bytes: initrd.len() as u64,
            }),
        };
        let device_tree = tree
            .write()
            .map_err(|error| format!("the device tree: {error}"))?;
        if device_tree.len() as u64 > DEVICE_TREE_ROOM {
            return Err(format!(
                "a device tree of {} bytes: the boot arguments are too long",
                device_tree.len()
            ));
        }
        let handover = Handover {
            memory: handover::GUEST_FLOOR,
            memory_bytes: request.memory_bytes,
            entry: IMAGE,
            device_tree: DEVICE_TREE,
            port: PORT,
            transcript: TRANSCRIPT,
            transcript_bytes: transcript_bytes(request.limits.events),
            again: again(request.image.len() as u64, device_tree.len() as u64, initrd),
            plan: request.plan,
        };
        let mut handover_block = vec![0; handover::MAX_BYTES];
        handover
            .encode(&mut handover_block)
            .ok_or("the handover does not fit")?;
        // The shim checks it too, but says less.
        Handover::decode(&handover_block).map_err(|error| error.to_string())?;
        Ok(Self {
            handover,
            handover_block,
            device_tree,
            initrd: place,
        })
    }

    /// Bytes of RAM that the machine needs.
    pub(super) const fn ram_bytes(&self) -> u64 {
        self.handover.memory_end() - RAM
    }

    /// What lies where at the start.
    pub(super) fn contents<'a>(&'a self, image: &'a [u8], initrd: &'a [u8]) -> [(u64, &'a [u8]); 6] {
        let (again_image, again_tree): (&[u8], &[u8]) = match self.handover.again {
            Some(_) => (image, &self.device_tree),
            None => (&[], &[]),
        };
        [
            (handover::ADDRESS, &self.handover_block),
            (DEVICE_TREE, &self.device_tree),
            (IMAGE, image),
            (self.initrd, initrd),
            (AGAIN_IMAGE, again_image),
            (AGAIN_TREE, again_tree),
        ]
    }
}

/// What it takes to begin again. A foreign guest may be too large, and one with a file system has changed that by then.
fn again(image_bytes: u64, device_tree_bytes: u64, initrd: &[u8]) -> Option<Again> {
    (image_bytes <= AGAIN_TREE - AGAIN_IMAGE && initrd.is_empty()).then_some(Again {
        image: AGAIN_IMAGE,
        image_bytes,
        device_tree: AGAIN_TREE,
        device_tree_bytes,
        journals: JOURNALS,
        journals_bytes: handover::GUEST_FLOOR - JOURNALS,
    })
}

/// As many events as asked for, as far as there is room.
fn transcript_bytes(events: u32) -> u64 {
    let wanted = u64::from(events) * transcript::EVENT_BYTES as u64 + transcript::HEADER_BYTES as u64;
    wanted.min(TRANSCRIPT_END - TRANSCRIPT)
}

/// Where the file system lies: on a page, up to the end of memory, and clear of the Image as it is once it runs
/// (`image_size` at 16, which counts its bss).
fn initrd_place(request: &Request<'_>, initrd: &[u8]) -> Result<u64, String> {
    const PAGE: u64 = 4096;
    let image_size = request.image.get(16..24).and_then(|raw| raw.try_into().ok());
    let image_size = image_size
        .map_or(0, u64::from_le_bytes)
        .max(request.image.len() as u64);
    let end = handover::GUEST_FLOOR.saturating_add(request.memory_bytes);
    let place = end.saturating_sub(initrd.len() as u64) & !(PAGE - 1);
    if !initrd.is_empty() && place < IMAGE.saturating_add(image_size) {
        return Err(format!(
            "an Image of {image_size} bytes and a file system of {} do not fit into {}",
            initrd.len(),
            request.memory_bytes
        ));
    }
    Ok(place)
}

/// The Image header's magic at 56, and text_offset at 8, which has to be zero: what is entered is 2 MiB aligned.
fn check_image(request: &Request<'_>) -> Result<(), String> {
    let image = request.image;
    if image.get(56..60) != Some(b"ARM\x64") {
        return Err("the guest is not an arm64 Image".into());
    }
    if image.get(8..16) != Some(&[0; 8]) {
        return Err("the guest's Image wants to be off a 2 MiB boundary (text_offset)".into());
    }
    if image.len() as u64 > request.memory_bytes.saturating_sub(DEVICE_TREE_ROOM) {
        return Err(format!(
            "an Image of {} bytes does not fit into {} bytes",
            image.len(),
            request.memory_bytes
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Limits;
    use seawall_replay::plan::Plan;

    fn request(image: &[u8], memory_bytes: u64) -> Request<'_> {
        Request {
            image,
            memory_bytes,
            boot_arguments: "",
            plan: Plan::EMPTY,
            budget: None,
            limits: Limits::default(),
            state: crate::backend::State::default(),
            vm: crate::backend::VmOptions::default(),
        }
    }

    fn image() -> Vec<u8> {
        let mut image = vec![0; 4096];
        image[56..60].copy_from_slice(b"ARM\x64");
        image
    }

    fn blob_of(layout: &Layout) -> &[u8] {
        &layout.device_tree
    }

    #[test]
    fn a_guest_is_laid_out_as_the_table_says() {
        let image = image();
        let layout = Layout::new(&request(&image, 64 << 20), b"cpio").unwrap();
        assert_eq!(layout.ram_bytes(), (256 + 64) << 20);
        let [
            (handover, block),
            (tree, blob),
            (entry, guest),
            (initrd, files),
            again @ ..,
        ] = layout.contents(&image, b"cpio");
        assert_eq!(again, [(0x4a00_0000, &[][..]), (0x4c00_0000, &[][..])]);
        let twice = Layout::new(&request(&image, 64 << 20), b"").unwrap();
        let [.., (again, same), (_, same_tree)] = twice.contents(&image, b"");
        assert_eq!(
            (again, same, same_tree),
            (0x4a00_0000, &image[..], blob_of(&twice))
        );
        assert_eq!((initrd, files), (0x53ff_f000, &b"cpio"[..]));
        assert_eq!((handover, tree, entry), (0x4300_0000, 0x5000_0000, 0x5020_0000));
        assert_eq!(
            (&block[..8], &blob[..4]),
            (&b"SEAWALLH"[..], &[0xd0, 0x0d, 0xfe, 0xed][..])
        );
        assert_eq!(guest, image);
        assert_eq!(layout.handover.transcript_bytes, 32 + 16_384 * 32);
        assert_eq!(transcript_bytes(u32::MAX), 64 << 20);
    }

    #[test]
    fn what_cannot_be_laid_out_is_said() {
        let good = image();
        let mut displaced = good.clone();
        displaced[8] = 8;
        let mut foreign = good.clone();
        foreign[56] = 0;
        for (image, memory, part) in [
            (&foreign, 64 << 20, "not an arm64 Image"),
            (&vec![], 64 << 20, "not an arm64 Image"),
            (&displaced, 64 << 20, "text_offset"),
            (&good, 2 << 20, "does not fit"),
            (&good, (64 << 20) + 4096, "guest memory"),
            (&good, 1 << 40, "guest memory"),
        ] {
            let error = Layout::new(&request(image, memory), &[]).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        // An Image of a page that takes 61 MiB once it runs: with 1 MiB and a byte beside it, 64 MiB are too few.
        let mut grows = good.clone();
        grows[16..24].copy_from_slice(&(61_u64 << 20).to_le_bytes());
        let files = vec![0; (1 << 20) + 1];
        assert!(Layout::new(&request(&grows, 64 << 20), &files[1..]).is_ok());
        let error = Layout::new(&request(&grows, 64 << 20), &files).unwrap_err();
        assert!(error.contains("do not fit"), "{error}");
    }
}
