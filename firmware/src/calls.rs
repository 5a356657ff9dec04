//! The calls a program can make: number in x8, arguments from x0, result in x0.
//!
//! A call that fails gives [`FAILED`], and [`MEMORY_ERROR`] when it was a memory error that it failed for. Unknown
//! numbers fail and cost the caller nothing else.

/// The result of a call that failed: an argument was wrong, an address among them that is not mapped for this.
pub const FAILED: u64 = u64::MAX;
/// The result of a call that met a memory error in the memory that it was to read or write, or in what it waited on.
/// Nothing is known of what it was to move. The page is lost, and no longer mapped.
pub const MEMORY_ERROR: u64 = u64::MAX - 1;

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
/// Reads a register of a task that has ended: slot, register (0 to 30 for x0 to x30, or one of [`register`]).
pub const INSPECT: u64 = 12;
/// Starts a thread of the caller's process, which shares its address space: entry, stack, argument. It begins at the
/// entry with the argument in x0 and its slot in x1. Gives its slot.
pub const THREAD: u64 = 13;
/// Makes a copy of the caller's process with the caller as its only thread: address and length of the copy's name; it
/// keeps the caller's name where the length is 0. Gives the copy's slot, and 0 in the copy.
pub const FORK: u64 = 14;
/// Has writable pages of the caller's stay shared, and writable, across its forks: address, pages. Gives 0.
pub const SHARE: u64 = 15;

/// Reads what the kernel knows of the caller: address, length. Writes as much of it as `length` says, at most
/// [`ABOUT_BYTES`]: the program's name in 16 bytes, its slot, how many memory errors were charged to it, nanoseconds
/// since boot, each in 8. Gives the bytes written.
pub const READ: u64 = 16;
/// Waits until [`FUTEX_WAKE`] is called for a word: its address, a multiple of 4; the value that it must have, 32 bits;
/// nanoseconds, 0 = without limit. Gives 0 when it was woken, 1 when the word has another value, 2 when the time is
/// over. Words are told apart by the memory they lie in.
pub const FUTEX_WAIT: u64 = 17;
/// Wakes those who wait for a word: its address, how many at most. Gives how many there were.
pub const FUTEX_WAKE: u64 = 18;
/// Reads memory of another task that lives or was isolated: its slot, address, to where, length. Reads to the end of
/// the page and at most [`PEEK_BYTES`]; gives the bytes read. Any task may: there are no users in this guest.
pub const PEEK: u64 = 19;

/// What [`READ`] knows, in bytes.
pub const ABOUT_BYTES: usize = 40;
/// What [`PEEK`] reads at most.
pub const PEEK_BYTES: usize = 128;

/// Has the kernel ask for reports of errors that nobody has consumed, as it does from time to time by itself. Gives how
/// many it has answered.
pub const PATROL: u64 = 25;
/// Has the guest begin again, with all memory but what was lost. Does not come back, unless there is no replay port.
pub const REBOOT: u64 = 26;

/// What [`INSPECT`] reads beside x0 to x30. From [`ESR`](register::ESR) on it is what the task's last abort left in the
/// journal: only of a task that was killed or isolated for it.
pub mod register {
    /// The program counter.
    pub const PC: u64 = 31;
    /// The stack pointer.
    pub const SP: u64 = 32;
    /// PSTATE, as SPSR_EL1 has it.
    pub const PSTATE: u64 = 33;
    /// ESR_EL1.
    pub const ESR: u64 = 34;
    /// FAR_EL1, where it was valid.
    pub const FAR: u64 = 35;
    /// DISR_EL1.
    pub const DISR: u64 = 36;
    /// The physical address of the frame that was retired for it, if one was.
    pub const FRAME: u64 = 37;
}

/// Gives how many errors the replayer has still to draw for announcements; 0 where it draws none.
pub const LEFT: u64 = 27;
/// Registers the caller's handler for memory errors: where it begins, and the first address above its stack; 0 takes it
/// back. It is told the address that was used (or all ones), how many bytes around it are lost, how bad it is (1 is
/// restartable, 2 recoverable), whether what was interrupted can be gone back to once that is made good, and whether it is
/// told of a page that was lost when another process met it (1) and has met no error itself: x0 to x4. A second error before it has gone back ends the caller.
pub const HANDLE: u64 = 20;
/// Goes back from the handler to the instruction that was interrupted. Fails when that cannot be gone back to.
pub const RETURN: u64 = 21;
/// Maps a page of zeros where one was lost that the caller could write: any address in it. Gives 0.
pub const REPLACE: u64 = 22;

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
    /// A frame that belongs to nobody. The address means nothing.
    Free = 21,
    /// A frame that belongs to nobody, and will be handed out soon. Instead of an address: how many others will be before it.
    Next = 23,
    /// A page of the kernel's own, as with `Kernel`, but the kernel does not touch it.
    Own = 22,
    /// The next copy between the kernel and a task's memory: under the number before the barrier that begins it, and
    /// under the next in its middle, there with the page that the copy goes on in. Announced for the task whose memory
    /// it is. The address means nothing.
    Copy = 10,
    /// The next interrupt while the caller runs, before the kernel has synchronised its border. The address means nothing.
    Interrupt = 11,
    /// The next error that is handled: announced while it is, before it is judged, with a page of the kernel's own, which
    /// the kernel then reads. An abort of EL0 is not stopped at. The address means nothing.
    Handler = 12,
    /// A page of the kernel's own, which it then reads, or where it is text runs, itself. Instead of an address: which
    /// page, a [`Spot`]; or, from 4096 on, an address of the caller's: the page of the frame table that has the entry of
    /// what is mapped there, which is announced and not read.
    Region = 13,
    /// The page of the kernel's Image that holds what the program's page at the address held at first.
    Source = 30,
}

/// A page of the kernel's own that can be announced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Spot {
    /// Text that is run.
    Text = 0,
    /// The programs' images.
    Programs = 1,
    /// Variables.
    Data = 2,
    /// A table of level 2: what is read is what it maps.
    Tables = 3,
    /// The stack, where it is in use.
    Stack = 4,
    /// The stack for accidents, where they are saved.
    EmergencyStack = 5,
    /// The heap.
    Heap = 6,
    /// The last page of the frame table.
    FrameTable = 7,
    /// The last page of the ledger.
    Ledger = 8,
    /// The last page of the journal.
    Journal = 9,
    /// The last page of the task table.
    Tasks = 10,
    /// The page of the journal that the next record goes to.
    NextRecord = 11,
    /// The constants that an epitaph is made of.
    Words = 12,
    /// The vectors, where an abort from the kernel enters.
    Vectors = 13,
}

impl Spot {
    /// All, in order.
    pub const ALL: [Self; 14] = [
        Self::Text,
        Self::Programs,
        Self::Data,
        Self::Tables,
        Self::Stack,
        Self::EmergencyStack,
        Self::Heap,
        Self::FrameTable,
        Self::Ledger,
        Self::Journal,
        Self::Tasks,
        Self::NextRecord,
        Self::Words,
        Self::Vectors,
    ];

    /// From a call's argument.
    #[must_use]
    pub fn from_argument(argument: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|spot| *spot as u64 == argument)
    }
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
            21 => Some(Self::Free),
            23 => Some(Self::Next),
            22 => Some(Self::Own),
            10 => Some(Self::Copy),
            11 => Some(Self::Interrupt),
            12 => Some(Self::Handler),
            13 => Some(Self::Region),
            30 => Some(Self::Source),
            _ => None,
        }
    }
}

/// The name of a program's own notes, with the zero that ends it.
pub const NOTE_NAME: &[u8] = b"Seawall\0";
/// The type of the note by which a program says what is to become of it when it meets a memory error, as the boot
/// arguments say it.
pub const NOTE_POLICY: u32 = 1;

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
