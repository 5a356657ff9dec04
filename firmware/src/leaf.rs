//! What a last-level descriptor says, to the MMU and beyond.
//!
//! [Arm ARM D8.3.2] Of a valid descriptor bits 58:55 are software's. Of an invalid one all but bit 0 are, and 0xD in
//! bits 63:60 makes it a marker: here was a page, and its frame, which bits 47:12 still name, was lost. All else is as it
//! was, so that a page that can be had again is mapped as before.

use seawall_agent::address::{FrameNumber, IntermediateAddress};

const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
const PAGE: u64 = 3;
/// AP[2].
const READ_ONLY: u64 = 1 << 7;
/// The page is as the program's image has it.
const CLEAN: u64 = 1 << 55;
/// The program may write the page, and has not yet.
const WRITABLE: u64 = 1 << 56;
/// Read-only because others map the frame as well, and not for its own sake: a write gets a frame of its own.
const COPY_ON_WRITE: u64 = 1 << 57;
/// Writable by all who map the frame, whatever forks come.
const SHARED: u64 = 1 << 58;
const MARKER: u64 = 0xd << 60;
const MARKER_BITS: u64 = 0xf << 60 | 1;

/// A last-level descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leaf(
    /// As the MMU has it.
    pub u64,
);

impl Leaf {
    /// The marker of a page that is mapped, when its frame is lost.
    #[must_use]
    pub const fn marker(self) -> Self {
        let writable = match self.0 & (READ_ONLY | COPY_ON_WRITE) {
            READ_ONLY => 0,
            _ => WRITABLE,
        };
        Self(self.0 & !MARKER_BITS | MARKER | writable)
    }

    /// The page of a marker, when it is had again in another frame: `None` when only the lost frame had what it held.
    #[must_use]
    pub fn had_again(self, frame: FrameNumber) -> Option<Self> {
        let is_clean = self.lost().is_some() && self.0 & CLEAN != 0;
        is_clean.then(|| Self(self.0 & !(MARKER_BITS | ADDRESS) | frame.address().0 | 1))
    }

    /// The frame that was lost, of a marker.
    #[must_use]
    pub fn lost(self) -> Option<FrameNumber> {
        (self.0 & MARKER_BITS == MARKER).then(|| self.named())
    }

    /// The frame of a page that is mapped.
    #[must_use]
    pub fn frame(self) -> Option<FrameNumber> {
        (self.0 & PAGE == PAGE).then(|| self.named())
    }

    fn named(self) -> FrameNumber {
        FrameNumber::from_address(IntermediateAddress(self.0 & ADDRESS))
    }

    /// The frame of a page that is to be copied before it is written.
    #[must_use]
    pub fn copied_on_write(self) -> Option<FrameNumber> {
        self.frame().filter(|_| self.0 & COPY_ON_WRITE != 0)
    }

    /// As both sides of a fork have it from then on.
    #[must_use]
    pub const fn forked(self) -> Self {
        if self.is_writable() && self.0 & SHARED == 0 {
            Self(self.0 | READ_ONLY | COPY_ON_WRITE)
        } else {
            self
        }
    }

    /// Whether the program may write the page as it is, or has not done so yet.
    const fn is_writable(self) -> bool {
        self.0 & PAGE == PAGE && (self.0 & READ_ONLY == 0 || self.0 & (WRITABLE | COPY_ON_WRITE) == WRITABLE)
    }

    /// Stays writable across forks; only what is writable now can. It counts as written.
    #[must_use]
    pub const fn shared(self) -> Option<Self> {
        if self.is_writable() {
            Some(Self(self.0 & !(READ_ONLY | CLEAN | WRITABLE) | SHARED))
        } else {
            None
        }
    }

    /// Writable, in a frame that is nobody else's.
    #[must_use]
    pub const fn own(self, frame: FrameNumber) -> Self {
        Self(self.0 & !(READ_ONLY | COPY_ON_WRITE | CLEAN | WRITABLE | ADDRESS) | frame.address().0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program's data page in frame 0x40123: valid, AttrIndx 0, EL0 (AP[1]), inner shareable, AF, nG, PXN, UXN
    /// [Arm ARM D8.3.2].
    const DATA: Leaf = Leaf(0x0060_0000_4012_3f43);
    /// Its text: AP[2] set, UXN clear.
    const TEXT: Leaf = Leaf(0x0020_0000_4012_3fc3);

    #[test]
    fn a_fork_takes_the_write_from_data_and_leaves_text_alone() {
        let forked = DATA.forked();
        assert_eq!(forked, Leaf(0x0260_0000_4012_3fc3), "AP[2] and bit 57");
        assert_eq!(forked.copied_on_write(), Some(FrameNumber(0x40123)));
        assert_eq!((TEXT.forked(), TEXT.copied_on_write()), (TEXT, None));
        assert_eq!(forked.forked(), forked, "once more changes nothing");
        assert_eq!(forked.own(FrameNumber(0x777)), Leaf(0x0060_0000_0077_7f43));
        assert_eq!(Leaf(0).forked(), Leaf(0), "what is not mapped stays so");
    }

    #[test]
    fn a_shared_page_stays_writable_and_only_a_writable_one_can_be_shared() {
        let shared = DATA.shared().unwrap();
        assert_eq!(shared, Leaf(0x0460_0000_4012_3f43), "bit 58");
        assert_eq!(shared.forked(), shared);
        assert_eq!(TEXT.shared(), None);
        assert_eq!(DATA.forked().shared(), None);
        assert_eq!(Leaf(0).shared(), None);
    }

    #[test]
    fn a_marker_maps_nothing_and_names_the_frame_that_was_lost() {
        let marker = DATA.marker();
        assert_eq!(marker, Leaf(0xd160_0000_4012_3f42));
        assert_eq!(
            (marker.lost(), marker.frame()),
            (Some(FrameNumber(0x40123)), None)
        );
        assert_eq!(marker.forked(), marker);
        assert_eq!(marker.had_again(FrameNumber(0x777)), None, "it was written");
        // Neither a page, nor nothing, nor another invalid descriptor is one.
        for other in [
            DATA,
            TEXT,
            Leaf(0),
            Leaf(0xd000_0000_4012_3003),
            Leaf(0xc000_0000_4012_3000),
        ] {
            assert_eq!(other.lost(), None, "{other:x?}");
            assert_eq!(other.had_again(FrameNumber(0x777)), None);
        }
    }

    #[test]
    fn a_clean_page_is_had_again_as_it_was_mapped() {
        let text = Leaf(TEXT.0 | 1 << 55);
        let again = text.marker().had_again(FrameNumber(0x777));
        assert_eq!(again, Some(Leaf(0x00a0_0000_0077_7fc3)));
    }

    #[test]
    fn a_page_that_was_never_written_is_copied_on_write_like_any_other() {
        // Read-only until then, clean, writable: bits 7, 55, 56.
        let untouched = Leaf(0x01e0_0000_4012_3fc3);
        let forked = untouched.forked();
        assert_eq!(forked, Leaf(0x03e0_0000_4012_3fc3), "and bit 57");
        assert_eq!(forked.own(FrameNumber(0x777)), Leaf(0x0060_0000_0077_7f43));
        assert_eq!(
            untouched.shared(),
            Some(Leaf(0x0460_0000_4012_3f43)),
            "it counts as written"
        );
    }
}
