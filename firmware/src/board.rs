//! The machine, as its device tree describes it, checked before anything of it is touched.
//!
//! [Devicetree Specification 0.4; Linux `Documentation/devicetree/bindings`] What is found is bounded, and what
//! contradicts itself is refused: memory that overlaps, a device inside memory, a GIC without its second half.

use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::{Node, Property, ToCellInt};
use seawall_replay::port;

/// Banks of memory beyond this many are left unused.
pub const MAX_BANKS: usize = 8;
/// Reserved regions beyond this many are an error: the memory would be used for something else.
pub const MAX_RESERVED: usize = 16;
/// Less memory than this is refused, in bytes.
pub const MIN_MEMORY: u64 = 16 << 20;
/// Memory is used up to this address: what the kernel's linear map covers.
pub const MEMORY_CEILING: u64 = 256 << 30;

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

/// The instruction by which PSCI is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Conduit {
    /// HVC.
    Hvc,
    /// SMC.
    Smc,
}

/// The machine.
#[derive(Clone, Copy, Debug)]
pub struct Board<'a> {
    memory: [Range; MAX_BANKS],
    reserved: [Range; MAX_RESERVED],
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
    /// {0} bytes of memory are too few.
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
                    "{} KiB of memory are too few; {} MiB are needed",
                    bytes >> 10,
                    MIN_MEMORY >> 20
                )
            }
        }
    }
}

const GIC_V2: &[&str] = &[
    "arm,cortex-a15-gic",
    "arm,gic-400",
    "arm,cortex-a9-gic",
    "arm,cortex-a7-gic",
];
const GIC_V3: &[&str] = &["arm,gic-v3"];
const PSCI: &[&str] = &["arm,psci-1.0", "arm,psci-0.2", "arm,psci"];
const PL011: &[&str] = &["arm,pl011", "arm,sbsa-uart"];
const NS16550: &[&str] = &["ns16550a", "ns16550", "snps,dw-apb-uart"];

/// The serial port alone, from a tree of which nothing else may be usable: errors are to be read somewhere.
#[must_use]
pub fn find_uart(tree: &[u8]) -> Option<Uart> {
    let fdt = Fdt::new(tree).ok()?;
    stdout(fdt).or_else(|| first(fdt, &|node| uart(node)))
}

impl<'a> Board<'a> {
    /// Reads a whole device tree.
    ///
    /// # Errors
    /// See [`BoardError`].
    pub fn discover(tree: &'a [u8]) -> Result<Self, BoardError> {
        let fdt = Fdt::new(tree).map_err(|_| BoardError::Corrupt)?;
        let board = Self {
            memory: memory(fdt)?,
            reserved: reserved(fdt)?,
            uart: find_uart(tree),
            gic: first(fdt, &gic).ok_or(BoardError::Missing("interrupt controller"))?,
            timer: first(fdt, &timer).ok_or(BoardError::Missing("virtual timer"))?,
            psci: first(fdt, &psci),
            port: first(fdt, &replay_port),
            cpus: cpus(fdt),
            arguments: fdt
                .find_node("/chosen")
                .and_then(|c| string(&c, "bootargs"))
                .unwrap_or(""),
        };
        board.check()?;
        Ok(board)
    }

    /// The banks of memory.
    pub fn memory(&self) -> impl Iterator<Item = Range> + '_ {
        self.memory
            .iter()
            .copied()
            .filter(|range| range.start < range.end)
    }

    /// What of memory belongs to somebody else.
    pub fn reserved(&self) -> impl Iterator<Item = Range> + '_ {
        self.reserved
            .iter()
            .copied()
            .filter(|range| range.start < range.end)
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
                "the serial port",
                self.uart
                    .map_or(Range::default(), |uart| Range::of(uart.base, 0x1000)),
            ),
            (
                "the replay port",
                self.port
                    .map_or(Range::default(), |base| Range::of(base, port::SIZE)),
            ),
        ];
        for (what, range) in devices {
            if self.memory().any(|bank| bank.overlaps(&range)) || range.end > 1 << 44 {
                return Err(BoardError::Misplaced(what));
            }
        }
        if self.port.is_some_and(|base| base % 0x1000 != 0) {
            return Err(BoardError::Misplaced("the replay port"));
        }
        Ok(())
    }
}

/// The first answer of any node at the root or on a bus that keeps its addresses.
fn first<T>(fdt: Fdt<'_>, find: &dyn Fn(&FdtNode<'_>) -> Option<T>) -> Option<T> {
    let root = fdt.root();
    for node in root.children() {
        if let Some(found) = find(&node) {
            return Some(found);
        }
        let bus = compatible(&node, &["simple-bus"])
            && node.property("ranges").is_some_and(|r| r.value().is_empty());
        if bus && let Some(found) = node.children().find_map(|child| find(&child)) {
            return Some(found);
        }
    }
    None
}

fn compatible(node: &FdtNode<'_>, names: &[&str]) -> bool {
    let disabled = node
        .property("status")
        .is_some_and(|s| !matches!(s.value(), b"okay\0" | b"ok\0"));
    !disabled
        && node
            .compatible()
            .is_some_and(|mut list| list.any(|name| names.contains(&name)))
}

fn string<'a>(node: &FdtNode<'a>, name: &str) -> Option<&'a str> {
    node.property(name)?.value_as::<&'a str>().ok()
}

/// The `index`th region of `reg`: address and length.
fn region(node: &FdtNode<'_>, index: usize) -> Option<(u64, u64)> {
    let reg = node.reg().ok()??.nth(index)?;
    Some((reg.address::<u64>().ok()?, reg.size::<u64>().ok()?))
}

/// Cell `index` of an array property.
fn cell(node: &FdtNode<'_>, name: &str, index: usize) -> Option<u32> {
    let property = node.property(name)?;
    let start = index.checked_mul(4)?;
    Some(u32::from_be_bytes(
        property
            .value()
            .get(start..start.checked_add(4)?)?
            .try_into()
            .ok()?,
    ))
}

fn uart(node: &FdtNode<'_>) -> Option<Uart> {
    let kind = if compatible(node, PL011) {
        UartKind::Pl011
    } else if compatible(node, NS16550) {
        UartKind::Ns16550 {
            shift: u8::try_from(cell(node, "reg-shift", 0).unwrap_or(0))
                .ok()
                .filter(|s| *s <= 4)?,
        }
    } else {
        return None;
    };
    Some(Uart {
        kind,
        base: region(node, 0)?.0,
    })
}

/// The port that `/chosen/stdout-path` names, by path or by alias, with options after a colon.
fn stdout(fdt: Fdt<'_>) -> Option<Uart> {
    let path = string(&fdt.find_node("/chosen")?, "stdout-path")?;
    let path = path.split_once(':').map_or(path, |(path, _)| path);
    let path = if path.starts_with('/') {
        path
    } else {
        string(&fdt.find_node("/aliases")?, path)?
    };
    uart(&fdt.find_node(path)?)
}

fn gic(node: &FdtNode<'_>) -> Option<Gic> {
    let (distributor, _) = region(node, 0)?;
    let (other, bytes) = region(node, 1)?;
    if compatible(node, GIC_V3) {
        Some(Gic::V3 {
            distributor,
            redistributor: other,
            redistributor_bytes: bytes,
        })
    } else if compatible(node, GIC_V2) {
        Some(Gic::V2 {
            distributor,
            cpu: other,
        })
    } else {
        None
    }
}

/// The third interrupt of the architected timer is the virtual one; a PPI's number counts from INTID 16.
fn timer(node: &FdtNode<'_>) -> Option<u32> {
    if !compatible(node, &["arm,armv8-timer"]) {
        return None;
    }
    let (kind, number) = (cell(node, "interrupts", 6)?, cell(node, "interrupts", 7)?);
    (kind == 1 && number < 16).then(|| number + 16)
}

fn psci(node: &FdtNode<'_>) -> Option<Conduit> {
    match compatible(node, PSCI).then(|| string(node, "method")).flatten()? {
        "hvc" => Some(Conduit::Hvc),
        "smc" => Some(Conduit::Smc),
        _ => None,
    }
}

fn replay_port(node: &FdtNode<'_>) -> Option<u64> {
    let (base, length) = compatible(node, &[port::COMPATIBLE])
        .then(|| region(node, 0))
        .flatten()?;
    (length >= port::SIZE).then_some(base)
}

fn cpus(fdt: Fdt<'_>) -> u32 {
    let count = fdt.find_node("/cpus").map_or(0, |cpus| {
        cpus.children()
            .filter(|node| node.name_without_address() == "cpu")
            .count()
    });
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn memory(fdt: Fdt<'_>) -> Result<[Range; MAX_BANKS], BoardError> {
    let mut banks = [Range::default(); MAX_BANKS];
    let mut free = banks.iter_mut();
    let root = fdt.root();
    for node in root
        .children()
        .filter(|node| string(node, "device_type") == Some("memory"))
    {
        let regions = node.reg().ok().flatten().ok_or(BoardError::Missing("memory"))?;
        for reg in regions {
            let (Ok(start), Ok(length)) = (reg.address.to_int::<u64>(), reg.size.to_int::<u64>()) else {
                return Err(BoardError::Missing("memory"));
            };
            // Whole frames below the ceiling; what lies beyond is left unused.
            let range = Range {
                start: start
                    .checked_next_multiple_of(4096)
                    .ok_or(BoardError::Misplaced("memory"))?,
                end: start.saturating_add(length).min(MEMORY_CEILING) & !0xfff,
            };
            if range.start < range.end
                && let Some(bank) = free.next()
            {
                *bank = range;
            }
        }
    }
    Ok(banks)
}

fn reserved(fdt: Fdt<'_>) -> Result<[Range; MAX_RESERVED], BoardError> {
    let mut regions = [Range::default(); MAX_RESERVED];
    let mut free = regions.iter_mut();
    for reservation in fdt.memory_reservations() {
        *free.next().ok_or(BoardError::TooManyReserved)? =
            Range::of(reservation.address(), reservation.size());
    }
    if let Some(parent) = fdt.find_node("/reserved-memory") {
        for node in parent.children() {
            for index in 0.. {
                let Some((start, length)) = region(&node, index) else {
                    break;
                };
                *free.next().ok_or(BoardError::TooManyReserved)? = Range::of(start, length);
            }
        }
    }
    Ok(regions)
}
