//! The calls a program can make: number in x8, arguments from x0, result in x0.
//!
//! A call that fails gives [`FAILED`]. Unknown numbers fail and cost the caller nothing else.

/// The result of a call that failed.
pub const FAILED: u64 = u64::MAX;

/// Does nothing and gives 0.
pub const NOTHING: u64 = 0;
/// Ends the caller: exit code.
pub const EXIT: u64 = 1;
/// Lets the next task run.
pub const YIELD: u64 = 2;
/// Sleeps: nanoseconds.
pub const SLEEP: u64 = 3;
/// Gives the time since boot in nanoseconds.
pub const TIME: u64 = 4;
/// Writes to the console: address, length. Gives the bytes written.
pub const WRITE: u64 = 5;
/// Announces a checkpoint to the replay port, if there is one: number, address, what (see [`What`]). Gives 1 when it
/// was announced and 0 when there is no port.
pub const CHECKPOINT: u64 = 6;
/// Says that nobody waits for the caller's end: 1 when the caller will report progress, which is then waited for, else
/// 0.
pub const BACKGROUND: u64 = 7;
/// Reports progress: the count so far, and what was found damaged so far.
pub const PROGRESS: u64 = 8;
/// Records a figure: its number, its value.
pub const MEASURE: u64 = 9;
/// Starts a program: address and length of its name. Gives its slot.
pub const SPAWN: u64 = 10;
/// Waits for a task that the caller started to end, and gives its slot back: slot. Gives the state it ended in, as
/// [`seawall_replay::report::TaskState`] numbers it.
pub const WAIT: u64 = 11;
/// Reads a register of a task that has ended: slot, register (0 to 30 for x0 to x30, 31 for the program counter).
pub const INSPECT: u64 = 12;

/// What a checkpoint speaks of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum What {
    /// The page at the address.
    Page = 0,
    /// The last-level translation table that maps the address.
    Table = 1,
    /// The page at the address, announced before the kernel has synchronised its border.
    Border = 2,
    /// A page of the kernel's own, which it then reads itself. The address means nothing.
    Kernel = 3,
    /// Announced with SErrors masked, under the number and under the next. The kernel then reads a byte at the address
    /// for the caller, where it is not zero, says whether an SError is pending, and lets it in.
    Masked = 4,
    /// The table of level 2 that maps the address.
    Table2 = 5,
    /// The table of level 1 that maps the address: the root.
    Table1 = 6,
    /// A page of data, mapped at the address, that lies above every IPA of the VM and inside the CPU's range.
    Beyond = 7,
    /// The same, of instructions.
    BeyondText = 8,
    /// As `Border`; then the kernel has the error deferred, and announces the next number before it looks at what was
    /// deferred.
    Deferred = 9,
    /// Nothing is announced. The kernel reads the frame that it last took out of its own mapping of memory by that very
    /// mapping, and all other frames of the same 2 MiB, and notes what came of it. The address means nothing.
    Retired = 20,
}

impl What {
    /// From a call's argument.
    #[must_use]
    pub const fn from_argument(argument: u64) -> Option<Self> {
        match argument {
            0 => Some(Self::Page),
            1 => Some(Self::Table),
            2 => Some(Self::Border),
            3 => Some(Self::Kernel),
            4 => Some(Self::Masked),
            5 => Some(Self::Table2),
            6 => Some(Self::Table1),
            7 => Some(Self::Beyond),
            8 => Some(Self::BeyondText),
            9 => Some(Self::Deferred),
            20 => Some(Self::Retired),
            _ => None,
        }
    }
}

/// Where programs live: everything outside of this range is refused by the loader.
pub const PROGRAM_FLOOR: u64 = 0x1_0000;
/// First address above what a program's segments may use.
pub const PROGRAM_CEILING: u64 = 0x7fc0_0000;
/// The page of the replay port that a program may write, mapped here when there is a port.
pub const USER_WINDOW: u64 = 0x7fe0_0000;
/// First address above the stack.
pub const STACK_TOP: u64 = 0x8000_0000;
/// Pages of stack; below them nothing is mapped.
pub const STACK_PAGES: u64 = 4;
