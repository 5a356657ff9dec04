//! The one pass over a device tree.

use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::{Node, Property, ToCellInt};
use seawall_replay::port;

use super::{
    Board, BoardError, Conduit, Gic, MAX_BANKS, MAX_RESERVED, MEMORY_CEILING, Range, Ranges, UART_BYTES,
    Uart, UartKind, is_free,
};

/// What one pass over a device tree finds, before it is known whether that makes a machine.
#[derive(Clone, Copy, Debug)]
pub struct Findings<'a> {
    memory: Result<Ranges<MAX_BANKS>, BoardError>,
    reserved: Result<Ranges<MAX_RESERVED>, BoardError>,
    uart: Option<Uart>,
    gic: Option<Gic>,
    timer: Option<u32>,
    psci: Option<Conduit>,
    port: Option<u64>,
    cpus: u32,
    arguments: &'a str,
}

impl<'a> Findings<'a> {
    /// Checks a whole tree and looks at each of its nodes once: at the root's, and at those of buses that keep their
    /// addresses.
    ///
    /// # Errors
    /// [`BoardError::Corrupt`]; every other error waits until [`Self::board`], so that it can be printed on what
    /// [`Self::uart`] names.
    pub fn of(tree: &'a [u8]) -> Result<Self, BoardError> {
        let fdt = Fdt::new(tree).map_err(|_| BoardError::Corrupt)?;
        let mut search = Search::new(fdt);
        for node in fdt.root().children() {
            if !search.named(&node) {
                search.device(&node);
                if is_plain_bus(&node) {
                    node.children().for_each(|child| search.device(&child));
                }
            }
        }
        Ok(search.done(fdt))
    }

    /// Where to write to, whatever else the tree lacks; `None` where there is no port.
    ///
    /// # Errors
    /// [`BoardError::Misplaced`] for a port inside memory, which must not be written to.
    pub fn uart(&self) -> Result<Option<Uart>, BoardError> {
        // Memory that cannot be read is refused later, and no port is in it.
        let memory = self.memory.unwrap_or(Ranges::EMPTY);
        match self.uart {
            Some(uart) if !is_free(Range::of(uart.base, UART_BYTES), &memory) => {
                Err(BoardError::Misplaced("the serial port"))
            }
            found => Ok(found),
        }
    }

    /// The machine.
    ///
    /// # Errors
    /// See [`BoardError`].
    pub fn board(&self) -> Result<Board<'a>, BoardError> {
        let board = Board {
            memory: self.memory?,
            reserved: self.reserved?,
            uart: self.uart()?,
            gic: self.gic.ok_or(BoardError::Missing("interrupt controller"))?,
            timer: self.timer.ok_or(BoardError::Missing("virtual timer"))?,
            psci: self.psci,
            port: self.port,
            cpus: self.cpus,
            arguments: self.arguments,
        };
        board.check()?;
        Ok(board)
    }
}

/// The pass over the nodes, half way.
struct Search<'a> {
    found: Findings<'a>,
    /// What `stdout-path` says, without its options, and the serial ports met so far by their nodes' names.
    stdout: Option<&'a str>,
    uarts: [Option<(&'a str, Uart)>; 4],
    aliases: Option<FdtNode<'a>>,
}

impl<'a> Search<'a> {
    fn new(fdt: Fdt<'a>) -> Self {
        let mut reserved = Ok(Ranges::EMPTY);
        for reservation in fdt.memory_reservations() {
            reserve(
                &mut reserved,
                Range::of(reservation.address(), reservation.size()),
            );
        }
        let found = Findings {
            memory: Ok(Ranges::EMPTY),
            reserved,
            uart: None,
            gic: None,
            timer: None,
            psci: None,
            port: None,
            cpus: 0,
            arguments: "",
        };
        Self {
            found,
            stdout: None,
            uarts: [None; 4],
            aliases: None,
        }
    }

    /// Takes a node that is known by its name; false for all others.
    fn named(&mut self, node: &FdtNode<'a>) -> bool {
        match node.name_without_address() {
            "chosen" => {
                self.stdout = string(node, "stdout-path").map(|path| path.split(':').next().unwrap_or(path));
                self.found.arguments = string(node, "bootargs").unwrap_or("");
            }
            "aliases" => self.aliases = Some(*node),
            "cpus" => {
                let cpus = node
                    .children()
                    .filter(|child| child.name_without_address() == "cpu")
                    .count();
                self.found.cpus = u32::try_from(cpus).unwrap_or(u32::MAX);
            }
            "memory" if string(node, "device_type") == Some("memory") => memory(node, &mut self.found.memory),
            "reserved-memory" => {
                for child in node.children() {
                    (0..)
                        .map_while(|index| region(&child, index))
                        .for_each(|(start, length)| {
                            reserve(&mut self.found.reserved, Range::of(start, length));
                        });
                }
            }
            _ => return false,
        }
        true
    }

    /// Takes a device, if it is one that is wanted and not switched off.
    fn device(&mut self, node: &FdtNode<'a>) {
        let Some(names) = node.compatible() else { return };
        let found = &mut self.found;
        for name in names {
            match name {
                "arm,pl011" | "arm,sbsa-uart" => self.uarts_push(node, UartKind::Pl011),
                "ns16550a" | "ns16550" | "snps,dw-apb-uart" => {
                    let shift = cell(node, "reg-shift", 0).unwrap_or(0);
                    if let Some(shift) = u8::try_from(shift).ok().filter(|shift| *shift <= 4) {
                        self.uarts_push(node, UartKind::Ns16550 { shift });
                    }
                }
                "arm,gic-v3" if is_on(node) => found.gic = found.gic.or(gic(node, true)),
                "arm,cortex-a15-gic" | "arm,gic-400" | "arm,cortex-a9-gic" | "arm,cortex-a7-gic"
                    if is_on(node) =>
                {
                    found.gic = found.gic.or(gic(node, false));
                }
                "arm,armv8-timer" if is_on(node) => found.timer = found.timer.or(timer(node)),
                "arm,psci-1.0" | "arm,psci-0.2" | "arm,psci" => found.psci = found.psci.or(psci(node)),
                port::COMPATIBLE if is_on(node) => found.port = found.port.or(replay_port(node)),
                _ => continue,
            }
            return;
        }
    }

    fn uarts_push(&mut self, node: &FdtNode<'a>, kind: UartKind) {
        if is_on(node)
            && let Some((base, _)) = region(node, 0)
            && let Some(place) = self.uarts.iter_mut().find(|place| place.is_none())
        {
            *place = Some((node.name(), Uart { kind, base }));
        }
    }

    /// The serial port that `stdout-path` names, by path or by alias; else the first one.
    fn done(mut self, fdt: Fdt<'a>) -> Findings<'a> {
        let path = self.stdout.and_then(|path| match path.starts_with('/') {
            true => Some(path),
            false => string(&self.aliases?, path),
        });
        let name = path.and_then(|path| path.rsplit('/').next());
        let mut known = self.uarts.iter().flatten();
        // Only a path of one name is compared by it: deeper ones are looked up.
        let by_path = match path.filter(|path| path.matches('/').count() > 1) {
            Some(path) => fdt
                .find_node(path)
                .and_then(|node| region(&node, 0))
                .map(|(base, _)| base),
            None => None,
        };
        let wanted = known
            .clone()
            .find(|(known, uart)| Some(*known) == name || Some(uart.base) == by_path);
        self.found.uart = wanted.or_else(|| known.next()).map(|(_, uart)| *uart);
        self.found
    }
}

fn is_plain_bus(node: &FdtNode<'_>) -> bool {
    node.property("ranges")
        .is_some_and(|ranges| ranges.value().is_empty())
        && node
            .compatible()
            .is_some_and(|mut names| names.any(|name| name == "simple-bus"))
}

fn is_on(node: &FdtNode<'_>) -> bool {
    node.property("status")
        .is_none_or(|status| matches!(status.value(), b"okay\0" | b"ok\0"))
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

fn gic(node: &FdtNode<'_>, third: bool) -> Option<Gic> {
    let (distributor, _) = region(node, 0)?;
    let (other, bytes) = region(node, 1)?;
    Some(match third {
        true => Gic::V3 {
            distributor,
            redistributor: other,
            redistributor_bytes: bytes,
        },
        false => Gic::V2 {
            distributor,
            cpu: other,
        },
    })
}

/// The third interrupt of the architected timer is the virtual one; a PPI's number counts from INTID 16.
fn timer(node: &FdtNode<'_>) -> Option<u32> {
    let (kind, number) = (cell(node, "interrupts", 6)?, cell(node, "interrupts", 7)?);
    (kind == 1 && number < 16).then(|| number + 16)
}

fn psci(node: &FdtNode<'_>) -> Option<Conduit> {
    match string(node, "method")? {
        "hvc" => Some(Conduit::Hvc),
        "smc" => Some(Conduit::Smc),
        _ => None,
    }
}

fn replay_port(node: &FdtNode<'_>) -> Option<u64> {
    let (base, length) = region(node, 0)?;
    (length >= port::SIZE).then_some(base)
}

/// Adds a memory node's banks: whole frames below the ceiling. What lies beyond, and banks that find no room, are left
/// unused.
fn memory(node: &FdtNode<'_>, banks: &mut Result<Ranges<MAX_BANKS>, BoardError>) {
    let Ok(list) = banks else { return };
    let Some(regions) = node.reg().ok().flatten() else {
        *banks = Err(BoardError::Missing("memory"));
        return;
    };
    for reg in regions {
        let (Ok(start), Ok(length)) = (reg.address.to_int::<u64>(), reg.size.to_int::<u64>()) else {
            *banks = Err(BoardError::Missing("memory"));
            return;
        };
        let Some(first) = start.checked_next_multiple_of(4096) else {
            *banks = Err(BoardError::Misplaced("memory"));
            return;
        };
        list.push(Range {
            start: first,
            end: start.saturating_add(length).min(MEMORY_CEILING) & !0xfff,
        });
    }
}

/// Adds a reserved region. One that finds no room is an error: its memory would be used for something else.
fn reserve(regions: &mut Result<Ranges<MAX_RESERVED>, BoardError>, range: Range) {
    if let Ok(list) = regions
        && !list.push(range)
    {
        *regions = Err(BoardError::TooManyReserved);
    }
}
