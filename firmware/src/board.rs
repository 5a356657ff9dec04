//! The machine, as its device tree describes it, checked before anything of it is touched.
//!
//! [Devicetree Specification 0.4; Linux `Documentation/devicetree/bindings`] What is found is bounded, and what
//! contradicts itself is refused: memory that overlaps, a device inside memory, a GIC without its second half.

mod search;

use seawall_replay::port;

pub use search::Findings;

/// Banks of memory beyond this many are left unused.
pub const MAX_BANKS: usize = 8;
/// Reserved regions beyond this many are an error: the memory would be used for something else.
pub const MAX_RESERVED: usize = 16;
/// Less memory than this is refused, in bytes.
pub const MIN_MEMORY: u64 = 16 << 20;
/// Memory is used up to this address: what the kernel's linear map covers.
pub const MEMORY_CEILING: u64 = 256 << 30;

/// Devices lie below this address: it fits every descriptor of 48 bits, and nothing real lies beyond.
const DEVICE_CEILING: u64 = 1 << 44;
/// What a serial port takes at most.
const UART_BYTES: u64 = 0x1000;

/// A range of addresses, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Range {
    /// First byte.
    pub start: u64,
    /// First byte after it.
    pub end: u64,
}

impl Range {
    /// From an address and a length; cut at the top of the address space.
    #[must_use]
    pub const fn of(start: u64, length: u64) -> Self {
        Self {
            start,
            end: start.saturating_add(length),
        }
    }

    /// Whether the two have a byte in common.
    #[must_use]
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Whether the other lies in it as a whole.
    #[must_use]
    pub const fn contains(&self, other: &Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// A serial port's kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UartKind {
    /// Arm PL011 [DDI 0183].
    Pl011,
    /// 16550 and its kin, with registers `1 << shift` bytes apart.
    Ns16550 {
        /// `reg-shift`.
        shift: u8,
    },
}

/// A serial port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Uart {
    /// Its kind.
    pub kind: UartKind,
    /// Its first register.
    pub base: u64,
}

/// The interrupt controller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gic {
    /// GICv2: distributor and CPU interface.
    V2 {
        /// The distributor.
        distributor: u64,
        /// The CPU interface.
        cpu: u64,
    },
    /// GICv3 or later: distributor and redistributors.
    V3 {
        /// The distributor.
        distributor: u64,
        /// The first redistributor region.
        redistributor: u64,
        /// Its length in bytes.
        redistributor_bytes: u64,
    },
}

impl core::fmt::Display for Gic {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::V2 { distributor, cpu } => write!(f, "GICv2 at {distributor:#x} and {cpu:#x}"),
            Self::V3 {
                distributor,
                redistributor,
                ..
            } => write!(f, "GICv3 at {distributor:#x} and {redistributor:#x}"),
        }
    }
}

/// The instruction by which PSCI is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Conduit {
    /// HVC.
    Hvc,
    /// SMC.
    Smc,
}

impl core::fmt::Display for Conduit {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Hvc => "HVC",
            Self::Smc => "SMC",
        })
    }
}

/// The machine.
#[derive(Clone, Copy, Debug)]
pub struct Board<'a> {
    memory: Ranges<MAX_BANKS>,
    reserved: Ranges<MAX_RESERVED>,
    /// Where to write to.
    pub uart: Option<Uart>,
    /// The interrupt controller.
    pub gic: Gic,
    /// The interrupt of the virtual timer.
    pub timer: u32,
    /// How to call PSCI, where there is PSCI.
    pub psci: Option<Conduit>,
    /// The replay port, where there is one.
    pub port: Option<u64>,
    /// How many CPUs there are; one is used.
    pub cpus: u32,
    /// `/chosen/bootargs`.
    pub arguments: &'a str,
}

/// Why a machine is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BoardError {
    /// The device tree is cut or corrupt.
    Corrupt,
    /// The device tree has no {0}, or one that cannot be read.
    Missing(&'static str),
    /// {0} lies inside memory, or over something else.
    Misplaced(&'static str),
    /// There are more than 16 reserved regions.
    TooManyReserved,
    /// {0} bytes of memory are too little.
    TooLittleMemory(u64),
}

impl core::fmt::Display for BoardError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Corrupt => f.write_str("the device tree is cut or corrupt"),
            Self::Missing(what) => write!(f, "the device tree has no usable {what}"),
            Self::Misplaced(what) => write!(f, "the device tree puts {what} over something else"),
            Self::TooManyReserved => write!(f, "the device tree reserves more than {MAX_RESERVED} regions"),
            Self::TooLittleMemory(bytes) => {
                write!(
                    f,
                    "{} KiB of memory is too little; {} MiB are needed",
                    bytes >> 10,
                    MIN_MEMORY >> 20
                )
            }
        }
    }
}

/// A list of ranges in a fixed place.
#[derive(Clone, Copy, Debug)]
struct Ranges<const N: usize> {
    ranges: [Range; N],
    count: usize,
}

impl<const N: usize> Ranges<N> {
    const EMPTY: Self = Self {
        ranges: [Range { start: 0, end: 0 }; N],
        count: 0,
    };

    /// Adds a range, unless it is empty; false when there is no room.
    fn push(&mut self, range: Range) -> bool {
        if range.start >= range.end {
            return true;
        }
        match self.ranges.get_mut(self.count) {
            Some(place) => {
                *place = range;
                self.count += 1;
                true
            }
            None => false,
        }
    }

    fn iter(&self) -> impl Iterator<Item = Range> + '_ {
        self.ranges.iter().take(self.count).copied()
    }
}

/// Whether a device can be where it is said to be: not in memory, and no higher than the kernel maps devices.
fn is_free(device: Range, memory: &Ranges<MAX_BANKS>) -> bool {
    device.end <= DEVICE_CEILING && !memory.iter().any(|bank| bank.overlaps(&device))
}

impl<'a> Board<'a> {
    /// Reads a whole device tree.
    ///
    /// # Errors
    /// See [`BoardError`].
    pub fn discover(tree: &'a [u8]) -> Result<Self, BoardError> {
        Findings::of(tree)?.board()
    }

    /// The banks of memory.
    pub fn memory(&self) -> impl Iterator<Item = Range> + '_ {
        self.memory.iter()
    }

    /// What of memory belongs to somebody else.
    pub fn reserved(&self) -> impl Iterator<Item = Range> + '_ {
        self.reserved.iter()
    }

    /// Bytes of memory.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.memory().map(|range| range.end - range.start).sum()
    }

    fn check(&self) -> Result<(), BoardError> {
        for (index, bank) in self.memory().enumerate() {
            if self.memory().take(index).any(|other| other.overlaps(&bank)) {
                return Err(BoardError::Misplaced("memory"));
            }
        }
        let bytes = self.memory_bytes();
        if bytes < MIN_MEMORY {
            return Err(BoardError::TooLittleMemory(bytes));
        }
        let (distributor, other) = match self.gic {
            Gic::V2 { distributor, cpu } => (distributor, Range::of(cpu, 0x2000)),
            Gic::V3 {
                distributor,
                redistributor,
                redistributor_bytes,
            } => (distributor, Range::of(redistributor, redistributor_bytes)),
        };
        let devices = [
            ("the interrupt controller", Range::of(distributor, 0x1000)),
            ("the interrupt controller", other),
            (
                "the replay port",
                self.port
                    .map_or(Range::default(), |base| Range::of(base, port::SIZE)),
            ),
        ];
        for (what, range) in devices {
            if !is_free(range, &self.memory) {
                return Err(BoardError::Misplaced(what));
            }
        }
        if self.port.is_some_and(|base| base % 0x1000 != 0) {
            return Err(BoardError::Misplaced("the replay port"));
        }
        Ok(())
    }
}
