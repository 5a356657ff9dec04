//! The replay port: a device of two pages by which the guest says where it is.
//!
//! The device tree names it with [`COMPATIBLE`]. All registers are 64 bits wide and little endian. Every other
//! access has no effect: writes are counted as refused, reads give zero, as those of write-only registers do. The second page holds one register
//! alone, so that a kernel can map it into a program: a write from EL0 lets an SError arrive while that program runs.
//!
//! | offset | name | access | meaning |
//! | --- | --- | --- | --- |
//! | 0x0000 | [`Register::Magic`] | r | [`MAGIC`] |
//! | 0x0008 | [`Register::Version`] | r | [`VERSION`] |
//! | 0x0010 | [`Register::JournalAddress`] | w | IPA of the guest's journal |
//! | 0x0018 | [`Register::JournalLength`] | w | its length in bytes |
//! | 0x0020 | [`Register::Checkpoint`] | w | an [`Announcement`], made after the kernel's border was synchronised |
//! | 0x0028 | [`Register::Border`] | w | an [`Announcement`], made between exception entry and the border's ESB |
//! | 0x0030 | [`Register::Kernel`] | w | an [`Announcement`] of what the kernel itself is about to touch |
//! | 0x0038 | [`Register::End`] | w | the guest is done: an [`End`] |
//! | 0x0040 | [`Register::Handler`] | w | an [`Announcement`], made while the kernel handles an error, of a page that it is about to touch |
//! | 0x0050 | [`Register::Masked`] | w | an [`Announcement`], made while SErrors are masked, before the guest lets in what became pending |
//! | 0x0058 | [`Register::Start`] | – | takes nothing: the replayer itself announces the start, before the guest's first instruction |
//! | 0x0060 | [`Register::Patrol`] | r | the oldest report of an error that nobody has consumed, which is gone with the read; zero is none: see [`Report`](crate::reports::Report) |
//! | 0x0068 | [`Register::LostFrom`] | w | an address: what [`Register::Lost`] gives next is at or above it |
//! | 0x0070 | [`Register::Lost`] | r | a page that was reported or taken away, with bit 0 set; zero when there is none from there on |
//! | 0x0078 | [`Register::Copy`] | w | an [`Announcement`], made before the barrier that begins a copy of a task's memory, or in the middle of the copy |
//! | 0x0080 | [`Register::Left`] | r | how many errors a plan that draws them has still to bring |
//! | 0x1000 | [`Register::User`] | w | an [`Announcement`] without a page, from EL0 |

use crate::IntermediateAddress;

/// The `compatible` string of the port's device-tree node.
pub const COMPATIBLE: &str = "seawall,replay-port";
/// What [`Register::Magic`] reads: `SEAWALLP` in little-endian bytes.
pub const MAGIC: u64 = u64::from_le_bytes(*b"SEAWALLP");
/// What [`Register::Version`] reads.
pub const VERSION: u64 = 1;
/// Size of the port in bytes.
pub const SIZE: u64 = 0x2000;
/// Offset of the page that may be mapped into EL0.
pub const USER_PAGE: u64 = 0x1000;

/// The port's registers, by offset in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
#[expect(missing_docs, reason = "the module's table says what each is")]
pub enum Register {
    Magic = 0x0000,
    Version = 0x0008,
    JournalAddress = 0x0010,
    JournalLength = 0x0018,
    Checkpoint = 0x0020,
    Border = 0x0028,
    Kernel = 0x0030,
    End = 0x0038,
    Handler = 0x0040,
    Masked = 0x0050,
    Start = 0x0058,
    Patrol = 0x0060,
    LostFrom = 0x0068,
    Lost = 0x0070,
    Copy = 0x0078,
    Left = 0x0080,
    User = 0x1000,
}

impl Register {
    /// The register at `offset`, if there is one.
    #[must_use]
    pub const fn at(offset: u64) -> Option<Self> {
        Some(match offset {
            0x0000 => Self::Magic,
            0x0008 => Self::Version,
            0x0010 => Self::JournalAddress,
            0x0018 => Self::JournalLength,
            0x0020 => Self::Checkpoint,
            0x0028 => Self::Border,
            0x0030 => Self::Kernel,
            0x0038 => Self::End,
            0x0040 => Self::Handler,
            0x0050 => Self::Masked,
            0x0058 => Self::Start,
            0x0060 => Self::Patrol,
            0x0068 => Self::LostFrom,
            0x0070 => Self::Lost,
            0x0078 => Self::Copy,
            0x0080 => Self::Left,
            0x1000 => Self::User,
            _ => return None,
        })
    }

    /// Its offset from the port's base, in bytes.
    #[must_use]
    pub const fn offset(self) -> u64 {
        self as u64
    }
}

/// In which of its states the guest wrote an announcement; each has a register of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum Window {
    /// The kernel, for a task that will touch the page once it runs again.
    Checkpoint = 0,
    /// The kernel, after exception entry and before the ESB that synchronises the border: what pends here became
    /// pending while SErrors were masked, and belongs to the task that ran before the border.
    Border = 1,
    /// The kernel, for itself.
    Kernel = 2,
    /// A program in EL0.
    User = 3,
    /// The kernel, with SErrors masked: what pends here stays pending until the kernel unmasks them, and it does that next.
    Masked = 4,
    /// Before the guest's first instruction: no guest announces that, the replayer does.
    Start = 5,
    /// The kernel, at a copy of a task's memory, with SErrors masked: before the barrier that begins the copy, or in its
    /// middle, where what pends is found by the barrier behind it. The task is the one whose memory it is.
    Copy = 6,
    /// The kernel, while it handles an error, with SErrors masked, before it touches a page of its own.
    Handler = 7,
}

impl Window {
    /// The window with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Checkpoint,
            1 => Self::Border,
            2 => Self::Kernel,
            3 => Self::User,
            4 => Self::Masked,
            5 => Self::Start,
            6 => Self::Copy,
            7 => Self::Handler,
            _ => return None,
        })
    }

    /// The register that an announcement in this window is written to.
    #[must_use]
    pub const fn register(self) -> Register {
        match self {
            Self::Checkpoint => Register::Checkpoint,
            Self::Border => Register::Border,
            Self::Kernel => Register::Kernel,
            Self::User => Register::User,
            Self::Masked => Register::Masked,
            Self::Start => Register::Start,
            Self::Copy => Register::Copy,
            Self::Handler => Register::Handler,
        }
    }
}

/// "Task `task` is at its checkpoint `number`, and this is the page it will touch": bits 63:52, 11:0, and 51:12.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Announcement {
    /// The task's slot, 0 to 4,095.
    pub task: u16,
    /// The checkpoint's number in its program, 0 to 4,095.
    pub number: u16,
    /// The page, or zero where there is none.
    pub page: IntermediateAddress,
}

impl Announcement {
    /// As one register write; fields too wide are cut to their bits.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        ((self.task as u64) << 52) | (self.page.0 & 0x000f_ffff_ffff_f000) | ((self.number & 0xfff) as u64)
    }

    /// From one register write: every value is an announcement.
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self {
            task: (word >> 52) as u16,
            number: (word & 0xfff) as u16,
            page: IntermediateAddress(word & 0x000f_ffff_ffff_f000),
        }
    }
}

/// How the guest ended, as it says itself. What it says is checked against the journal; a word that is none of the four
/// is kept as it came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// All tasks that were waited for have ended, and the guest lived.
    Done,
    /// The guest halted with an epitaph: an error that the rules do not let it survive.
    Halted,
    /// The guest stopped for a reason of its own: bad input, a bug.
    Failed,
    /// The guest begins again: its Image and its device tree are put back, and what of memory is out stays out.
    Reboot,
    /// Anything else.
    Unknown(u64),
}

impl End {
    /// The value for the register.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        match self {
            Self::Done => 1,
            Self::Halted => 2,
            Self::Failed => 3,
            Self::Reboot => 4,
            Self::Unknown(word) => word,
        }
    }

    /// The meaning of a value.
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        match word {
            1 => Self::Done,
            2 => Self::Halted,
            3 => Self::Failed,
            4 => Self::Reboot,
            other => Self::Unknown(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_keeps_its_three_fields_in_one_word() {
        let a = Announcement {
            task: 0xabc,
            number: 0x123,
            page: IntermediateAddress(0x000f_edcb_a987_6000),
        };
        assert_eq!(a.to_word(), 0xabcf_edcb_a987_6123);
        assert_eq!(Announcement::from_word(0xabcf_edcb_a987_6123), a);
    }

    #[test]
    fn every_register_is_found_at_its_offset_and_nothing_between() {
        let found = (0..SIZE).filter_map(|offset| Register::at(offset).map(|register| (offset, register)));
        let table = [
            (0x0000, Register::Magic),
            (0x0008, Register::Version),
            (0x0010, Register::JournalAddress),
            (0x0018, Register::JournalLength),
            (0x0020, Register::Checkpoint),
            (0x0028, Register::Border),
            (0x0030, Register::Kernel),
            (0x0038, Register::End),
            (0x0040, Register::Handler),
            (0x0050, Register::Masked),
            (0x0058, Register::Start),
            (0x0060, Register::Patrol),
            (0x0068, Register::LostFrom),
            (0x0070, Register::Lost),
            (0x0078, Register::Copy),
            (0x0080, Register::Left),
            (0x1000, Register::User),
        ];
        assert!(found.eq(table));
        assert!(
            table
                .iter()
                .all(|(offset, register)| register.offset() == *offset)
        );
    }

    #[test]
    fn the_end_is_one_of_four_words_and_any_other_is_kept() {
        for (word, end) in [
            (1, End::Done),
            (2, End::Halted),
            (3, End::Failed),
            (4, End::Reboot),
            (0, End::Unknown(0)),
            (5, End::Unknown(5)),
            (u64::MAX, End::Unknown(u64::MAX)),
        ] {
            assert_eq!((End::from_word(word), end.to_word()), (end, word));
        }
    }
}
