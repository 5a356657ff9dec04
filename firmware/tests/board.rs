//! Device trees of known machines are read right, wrong ones are refused by name, and no bytes at all can make the
//! reading panic or go on for long: what is read here comes from whoever boots the guest.

use std::time::{Duration, Instant};

use seawall_firmware::board::{
    Board, BoardError, Conduit, Findings, Gic, MAX_BANKS, MAX_RESERVED, MEMORY_CEILING, MIN_MEMORY, Range,
    Uart, UartKind,
};
use seawall_replay::port;
use vm_fdt::{FdtReserveEntry, FdtWriter};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn find_uart(tree: &[u8]) -> Result<Option<Uart>, BoardError> {
    Findings::of(tree)?.uart()
}

/// A property's value.
#[derive(Clone)]
enum Value {
    Empty,
    Text(&'static str),
    Texts(&'static [&'static str]),
    Cells(Vec<u32>),
    Regions(Vec<(u64, u64)>),
}

use Value::{Cells, Empty, Regions, Text, Texts};

/// A node to be written.
#[derive(Clone)]
struct Node {
    name: String,
    properties: Vec<(&'static str, Value)>,
    children: Vec<Node>,
}

fn node(name: &str, properties: &[(&'static str, Value)]) -> Node {
    Node {
        name: name.to_owned(),
        properties: properties.to_vec(),
        children: Vec::new(),
    }
}

impl Node {
    fn over(mut self, children: &[Node]) -> Self {
        self.children.extend_from_slice(children);
        self
    }

    fn write(&self, fdt: &mut FdtWriter) {
        let begun = fdt.begin_node(&self.name).unwrap();
        for (name, value) in &self.properties {
            match value {
                Empty => fdt.property_null(name),
                Text(text) => fdt.property_string(name, text),
                Texts(texts) => {
                    fdt.property_string_list(name, texts.iter().map(ToString::to_string).collect())
                }
                Cells(cells) => fdt.property_array_u32(name, cells),
                Regions(regions) => {
                    let cells: Vec<u64> = regions.iter().flat_map(|(base, size)| [*base, *size]).collect();
                    fdt.property_array_u64(name, &cells)
                }
            }
            .unwrap();
        }
        self.children.iter().for_each(|child| child.write(fdt));
        fdt.end_node(begun).unwrap();
    }
}

/// A machine: what lies under the root, and the memory reservation block.
#[derive(Clone)]
struct Machine {
    nodes: Vec<Node>,
    reservations: Vec<(u64, u64)>,
}

impl Machine {
    fn of(nodes: &[Node]) -> Self {
        Self {
            nodes: nodes.to_vec(),
            reservations: Vec::new(),
        }
    }

    fn without(mut self, name: &str) -> Self {
        let before = self.nodes.len();
        self.nodes.retain(|node| node.name != name);
        assert!(self.nodes.len() < before, "there is no {name}");
        self
    }

    fn with(mut self, node: Node) -> Self {
        self.nodes.retain(|other| other.name != node.name);
        self.nodes.push(node);
        self
    }

    fn tree(&self) -> Vec<u8> {
        let reservations: Vec<_> = self
            .reservations
            .iter()
            .map(|(base, size)| FdtReserveEntry::new(*base, *size).unwrap())
            .collect();
        let mut fdt = FdtWriter::new_with_mem_reserv(&reservations).unwrap();
        let root = fdt.begin_node("").unwrap();
        fdt.property_u32("#address-cells", 2).unwrap();
        fdt.property_u32("#size-cells", 2).unwrap();
        self.nodes.iter().for_each(|node| node.write(&mut fdt));
        fdt.end_node(root).unwrap();
        fdt.finish().unwrap()
    }
}

fn memory(banks: &[(u64, u64)]) -> Node {
    let base = banks.first().map_or(0, |bank| bank.0);
    node(
        &format!("memory@{base:x}"),
        &[("device_type", Text("memory")), ("reg", Regions(banks.to_vec()))],
    )
}

fn pl011() -> Node {
    node(
        "pl011@9000000",
        &[
            ("compatible", Texts(&["arm,pl011", "arm,primecell"])),
            ("reg", Regions(vec![(0x0900_0000, 0x1000)])),
        ],
    )
}

fn gic_v3(distributor: u64, redistributor: (u64, u64)) -> Node {
    node(
        "intc",
        &[
            ("compatible", Text("arm,gic-v3")),
            ("interrupt-controller", Empty),
            ("#interrupt-cells", Cells(vec![3])),
            ("reg", Regions(vec![(distributor, 0x1_0000), redistributor])),
        ],
    )
}

fn gic_v2() -> Node {
    node(
        "intc",
        &[
            ("compatible", Text("arm,cortex-a15-gic")),
            (
                "reg",
                Regions(vec![(0x0800_0000, 0x1_0000), (0x0801_0000, 0x1_0000)]),
            ),
        ],
    )
}

fn timer() -> Node {
    let interrupts = [13, 14, 11, 10].into_iter().flat_map(|ppi| [1, ppi, 0x104]);
    node(
        "timer",
        &[
            ("compatible", Texts(&["arm,armv8-timer", "arm,armv7-timer"])),
            ("interrupts", Cells(interrupts.collect())),
            ("always-on", Empty),
        ],
    )
}

fn psci(method: &'static str) -> Node {
    node(
        "psci",
        &[
            ("compatible", Texts(&["arm,psci-1.0", "arm,psci-0.2", "arm,psci"])),
            ("method", Text(method)),
        ],
    )
}

fn cpus(count: usize) -> Node {
    let cpus: Vec<Node> = (0..count)
        .map(|cpu| node(&format!("cpu@{cpu}"), &[("device_type", Text("cpu"))]))
        .collect();
    node(
        "cpus",
        &[
            ("#address-cells", Cells(vec![1])),
            ("#size-cells", Cells(vec![0])),
        ],
    )
    .over(&cpus)
    .over(&[node("cpu-map", &[])])
}

/// QEMU's `virt` with GICv3, as QEMU 7.2 and later write it.
fn virt() -> Machine {
    Machine::of(&[
        node(
            "chosen",
            &[
                ("stdout-path", Text("/pl011@9000000")),
                ("bootargs", Text("seawall.tasks=load quiet")),
            ],
        ),
        node("aliases", &[("serial0", Text("/pl011@9000000"))]),
        memory(&[(0x4000_0000, 128 * MIB)]),
        cpus(2),
        psci("smc"),
        timer(),
        gic_v3(0x0800_0000, (0x080a_0000, 0x00f6_0000)),
        pl011(),
    ])
}

fn port_at(base: u64, bytes: u64) -> Node {
    node(
        "replay-port",
        &[
            ("compatible", Text(port::COMPATIBLE)),
            ("reg", Regions(vec![(base, bytes)])),
        ],
    )
}

fn banks(board: &Board<'_>) -> Vec<(u64, u64)> {
    board
        .memory()
        .map(|bank| (bank.start, bank.end - bank.start))
        .collect()
}

#[test]
fn qemu_virt_is_read_with_either_gic() {
    let tree = virt().tree();
    let board = Board::discover(&tree).unwrap();
    assert_eq!(banks(&board), [(0x4000_0000, 128 * MIB)]);
    assert_eq!(
        board.uart,
        Some(Uart {
            kind: UartKind::Pl011,
            base: 0x0900_0000
        })
    );
    assert_eq!(
        board.gic,
        Gic::V3 {
            distributor: 0x0800_0000,
            redistributor: 0x080a_0000,
            redistributor_bytes: 0x00f6_0000
        }
    );
    assert_eq!((board.timer, board.cpus), (27, 2));
    assert_eq!((board.psci, board.port), (Some(Conduit::Smc), None));
    assert_eq!(board.arguments, "seawall.tasks=load quiet");

    let tree = virt()
        .with(gic_v2())
        .with(psci("hvc"))
        .with(port_at(0x0b00_0000, 0x2000))
        .tree();
    let board = Board::discover(&tree).unwrap();
    assert_eq!(
        board.gic,
        Gic::V2 {
            distributor: 0x0800_0000,
            cpu: 0x0801_0000
        }
    );
    assert_eq!((board.psci, board.port), (Some(Conduit::Hvc), Some(0x0b00_0000)));
}

#[test]
fn kvmtool_and_firecracker_are_read() {
    let rest = [
        memory(&[(0x8000_0000, 256 * MIB)]),
        cpus(1),
        node(
            "psci",
            &[("compatible", Text("arm,psci-0.2")), ("method", Text("hvc"))],
        ),
        timer(),
        gic_v3(0x3fff_0000, (0x3ffb_0000, 0x2_0000)),
    ];
    let kvmtool = Machine::of(&rest)
        .with(node("chosen", &[("stdout-path", Text("serial0:115200n8"))]))
        .with(node("aliases", &[("serial0", Text("/U6_16550A@1000000"))]))
        .with(node(
            "U6_16550A@1000000",
            &[
                ("compatible", Text("ns16550a")),
                ("reg", Regions(vec![(0x0100_0000, 8)])),
                ("clock-frequency", Cells(vec![1_843_200])),
            ],
        ));
    // Firecracker names no stdout-path: the first port there is.
    let firecracker = Machine::of(&rest)
        .with(node("chosen", &[("bootargs", Text("console=ttyS0"))]))
        .with(node(
            "uart@40002000",
            &[
                ("compatible", Text("ns16550a")),
                ("reg", Regions(vec![(0x4000_2000, 0x1000)])),
            ],
        ));
    for (machine, base) in [(kvmtool, 0x0100_0000), (firecracker, 0x4000_2000)] {
        let tree = machine.tree();
        let board = Board::discover(&tree).unwrap();
        let kind = UartKind::Ns16550 { shift: 0 };
        assert_eq!(board.uart, Some(Uart { kind, base }));
        assert_eq!(banks(&board), [(0x8000_0000, 256 * MIB)]);
        assert_eq!((board.psci, board.timer, board.cpus), (Some(Conduit::Hvc), 27, 1));
        assert!(matches!(
            board.gic,
            Gic::V3 {
                distributor: 0x3fff_0000,
                ..
            }
        ));
    }
}

#[test]
fn registers_of_a_16550_lie_as_far_apart_as_the_tree_says() {
    let uart = |shift: u32| {
        let properties = [
            ("compatible", Text("snps,dw-apb-uart")),
            ("reg", Regions(vec![(0x0100_0000, 0x1000)])),
            ("reg-shift", Cells(vec![shift])),
        ];
        find_uart(&Machine::of(&[node("serial", &properties)]).tree()).unwrap()
    };
    for shift in [0, 2, 4] {
        assert_eq!(
            uart(shift).map(|uart| uart.kind),
            Some(UartKind::Ns16550 {
                shift: u8::try_from(shift).unwrap()
            })
        );
    }
    assert_eq!(uart(5), None);
    assert_eq!(uart(u32::MAX), None);
}

#[test]
fn devices_are_found_on_a_bus_that_keeps_its_addresses() {
    let bus = |ranges: Value| {
        let properties = [
            ("compatible", Text("simple-bus")),
            ("#address-cells", Cells(vec![2])),
            ("#size-cells", Cells(vec![2])),
            ("ranges", ranges),
        ];
        let bus = node("soc", &properties).over(&[pl011(), gic_v2()]);
        virt().without("pl011@9000000").without("intc").with(bus).tree()
    };
    let board = bus(Empty);
    let board = Board::discover(&board).unwrap();
    assert!(board.uart.is_some());
    // A bus with addresses of its own is not followed.
    let board = bus(Regions(vec![(0, 0x1000_0000)]));
    assert_eq!(
        Board::discover(&board).unwrap_err(),
        BoardError::Missing("interrupt controller")
    );
}

#[test]
fn memory_is_used_as_far_as_the_kernel_can() {
    let found = |regions: &[(u64, u64)]| {
        let machine = virt().without("memory@40000000").with(memory(regions));
        banks(&Board::discover(&machine.tree()).unwrap())
    };
    let low = (0x4000_0000, 64 * MIB);
    assert_eq!(found(&[low, (0x8000_0000, GIB)]), [low, (0x8000_0000, GIB)]);
    assert_eq!(
        found(&[low, (MEMORY_CEILING, 4 * GIB)]),
        [low],
        "above the ceiling"
    );
    assert_eq!(
        found(&[low, (MEMORY_CEILING - GIB, 4 * GIB)]),
        [low, (MEMORY_CEILING - GIB, GIB)]
    );
    assert_eq!(found(&[low, (0x8000_0000, 0)]), [low], "empty");
    assert_eq!(
        found(&[(0x4000_0123, 64 * MIB)]),
        [(0x4000_1000, 64 * MIB - 0x1000)]
    );
    let many: Vec<_> = (1..=12).map(|n| (n * GIB, 32 * MIB)).collect();
    assert_eq!(found(&many), many[..MAX_BANKS]);
    assert_eq!(found(&[(0x4000_0000, 64 * GIB)]), [(0x4000_0000, 64 * GIB)]);
    assert_eq!(found(&[(0x4000_0000, MIN_MEMORY)]), [(0x4000_0000, MIN_MEMORY)]);
}

#[test]
fn reserved_memory_comes_from_both_places() {
    let properties = [
        ("#address-cells", Cells(vec![2])),
        ("#size-cells", Cells(vec![2])),
        ("ranges", Empty),
    ];
    let two = node(
        "two",
        &[("reg", Regions(vec![(0x4200_0000, 0x1000), (0x4300_0000, 0x2000)]))],
    );
    let mut machine = virt().with(node("reserved-memory", &properties).over(&[two]));
    machine.reservations = vec![(0x4100_0000, 0x3000)];
    let tree = machine.tree();
    let found: Vec<Range> = Board::discover(&tree).unwrap().reserved().collect();
    assert_eq!(
        found,
        [
            Range::of(0x4100_0000, 0x3000),
            Range::of(0x4200_0000, 0x1000),
            Range::of(0x4300_0000, 0x2000)
        ]
    );
}

/// The machine is refused with exactly this error.
fn refused(machine: &Machine, error: BoardError) {
    assert_eq!(Board::discover(&machine.tree()).map(|_| ()), Err(error));
    assert!(!error.to_string().is_empty());
}

#[test]
fn what_is_missing_is_named() {
    let disabled = node(
        "intc",
        &[
            ("compatible", Text("arm,gic-v3")),
            ("status", Text("disabled")),
            (
                "reg",
                Regions(vec![(0x0800_0000, 0x1_0000), (0x080a_0000, 0x2_0000)]),
            ),
        ],
    );
    let half = node(
        "intc",
        &[
            ("compatible", Text("arm,gic-v3")),
            ("reg", Regions(vec![(0x0800_0000, 0x1_0000)])),
        ],
    );
    let foreign = node(
        "intc",
        &[
            ("compatible", Text("arm,gic-v9")),
            ("reg", Regions(vec![(0, 1), (2, 1)])),
        ],
    );
    let gic = BoardError::Missing("interrupt controller");
    refused(&virt().without("intc"), gic);
    refused(&virt().with(disabled), gic);
    refused(&virt().with(half), gic);
    refused(&virt().with(foreign), gic);

    let timer_of = |cells: Vec<u32>| {
        node(
            "timer",
            &[
                ("compatible", Text("arm,armv8-timer")),
                ("interrupts", Cells(cells)),
            ],
        )
    };
    let timer = BoardError::Missing("virtual timer");
    refused(&virt().without("timer"), timer);
    refused(&virt().with(timer_of(vec![1, 13, 4, 1, 14, 4])), timer);
    refused(&virt().with(timer_of(vec![1, 13, 4, 1, 14, 4, 1, 16, 4])), timer);
    refused(&virt().with(timer_of(vec![1, 13, 4, 1, 14, 4, 0, 11, 4])), timer);

    let formless = node("memory@40000000", &[("device_type", Text("memory"))]);
    refused(&virt().with(formless), BoardError::Missing("memory"));
}

#[test]
fn too_little_memory_is_said_with_its_size() {
    refused(&virt().without("memory@40000000"), BoardError::TooLittleMemory(0));
    for bytes in [8 * MIB, MIN_MEMORY - 4096] {
        refused(
            &virt().with(memory(&[(0x4000_0000, bytes)])),
            BoardError::TooLittleMemory(bytes),
        );
    }
    // What cannot be used does not count.
    refused(
        &virt().with(memory(&[(0x4000_0000, 8 * MIB), (MEMORY_CEILING, GIB)])),
        BoardError::TooLittleMemory(8 * MIB),
    );
}

#[test]
fn what_lies_over_something_else_is_refused() {
    let with_memory = |regions: &[(u64, u64)]| virt().without("memory@40000000").with(memory(regions));
    for regions in [
        &[(0x4000_0000, 128 * MIB), (0x4400_0000, 128 * MIB)][..],
        &[(0x4000_0000, 128 * MIB), (0x4000_0000, 128 * MIB)],
        &[(0x4400_0000, 32 * MIB), (0x4000_0000, GIB)],
        &[(u64::MAX, 1)],
    ] {
        refused(&with_memory(regions), BoardError::Misplaced("memory"));
    }
    let serial = BoardError::Misplaced("the serial port");
    let machine = with_memory(&[(0x0900_0000, 128 * MIB)]);
    refused(&machine, serial);
    // It is not written to either, when the reason is to be said.
    assert_eq!(find_uart(&machine.tree()), Err(serial));
    assert_eq!(find_uart(&virt().without("pl011@9000000").tree()), Ok(None));
    let gic = BoardError::Misplaced("the interrupt controller");
    refused(&virt().with(gic_v3(0x4000_0000, (0x080a_0000, 0x2_0000))), gic);
    refused(&virt().with(gic_v3(0x0800_0000, (0x3fff_0000, 0x2_0000))), gic);
    refused(&virt().with(gic_v3(0x0800_0000, (0x080a_0000, u64::MAX))), gic);
    refused(&virt().with(gic_v3(1 << 44, (0x080a_0000, 0x2_0000))), gic);
    refused(&virt().with(gic_v3(u64::MAX, (0x080a_0000, 0x2_0000))), gic);
    let port = BoardError::Misplaced("the replay port");
    refused(&virt().with(port_at(0x4100_0000, 0x2000)), port);
    refused(&virt().with(port_at(0x0b00_0800, 0x2000)), port);
    refused(&virt().with(port_at(u64::MAX - 0xfff, 0x2000)), port);
    // A port that is too short is none.
    let short = virt().with(port_at(0x0b00_0000, 0x1000)).tree();
    assert_eq!(Board::discover(&short).unwrap().port, None);
}

#[test]
fn too_many_reserved_regions_are_an_error_and_not_left_out() {
    let mut machine = virt();
    machine.reservations = (0..MAX_RESERVED as u64)
        .map(|n| (0x4100_0000 + n * 0x2000, 0x1000))
        .collect();
    assert!(Board::discover(&machine.tree()).is_ok());
    machine.reservations.push((0x4200_0000, 0x1000));
    refused(&machine, BoardError::TooManyReserved);
}

#[test]
fn cut_and_broken_trees_are_corrupt() {
    let tree = virt().tree();
    for length in 0..tree.len() {
        let cut = &tree[..length];
        assert_eq!(
            Board::discover(cut).map(|_| ()),
            Err(BoardError::Corrupt),
            "{length}"
        );
        assert_eq!(find_uart(cut), Err(BoardError::Corrupt), "{length}");
    }
    let mut long = tree.clone();
    long.push(0);
    assert_eq!(Board::discover(&long).map(|_| ()), Err(BoardError::Corrupt));
    for byte in 0..4 {
        let mut foreign = tree.clone();
        foreign[byte] ^= 0x10;
        assert_eq!(Board::discover(&foreign).map(|_| ()), Err(BoardError::Corrupt));
    }
}

/// xorshift64* [Marsaglia, "Xorshift RNGs", 2003; Vigna 2016]: the same trees on every host and in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn pick(&mut self, values: &[u32]) -> u32 {
        values[self.below(values.len())]
    }
}

fn put(tree: &mut [u8], offset: usize, word: u32) {
    if let Some(place) = tree.get_mut(offset..offset + 4) {
        place.copy_from_slice(&word.to_be_bytes());
    }
}

/// Values at which arithmetic goes wrong.
const EDGES: [u32; 16] = [
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    9,
    0x28,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fff0,
    0xffff_fffb,
    0xffff_fffc,
    0xffff_fffe,
    0xffff_ffff,
];

/// Damages a tree in one of the ways in which trees are damaged.
fn damage(tree: &mut Vec<u8>, random: &mut Random) {
    let word = |random: &mut Random, tree: &[u8]| random.below(tree.len() / 4) * 4;
    match random.below(6) {
        0 => {
            for _ in 0..=random.below(8) {
                let at = random.below(tree.len());
                tree[at] ^= 1 << random.below(8);
            }
        }
        1 => {
            let length = random.below(tree.len());
            tree.truncate(length.max(4));
            // Every second header knows of it, so that what is cut is more than the length.
            if random.below(2) == 0 {
                let total = u32::try_from(tree.len()).unwrap();
                put(tree, 4, total);
            }
        }
        // A field of the header; the total size least of all, as then nothing else is read.
        2 => {
            let field = 8 + random.below(8) * 4;
            let value = random.pick(&EDGES);
            put(tree, field, value);
        }
        // A length or an offset of a property: the two words after its token.
        3 => {
            let tokens: Vec<usize> = (0..tree.len())
                .step_by(4)
                .filter(|at| tree.get(*at..at + 4) == Some(&[0, 0, 0, 3]))
                .collect();
            if !tokens.is_empty() {
                let token = tokens[random.below(tokens.len())];
                let value = random.pick(&EDGES);
                put(tree, token + 4 + random.below(2) * 4, value);
            }
        }
        // A token in a wrong place.
        4 => {
            let at = word(random, tree);
            let value = random.pick(&[1, 2, 3, 4, 9]);
            put(tree, at, value);
        }
        _ => {
            let at = word(random, tree);
            let value = random.pick(&EDGES);
            put(tree, at, value);
        }
    }
}

/// What every board that is accepted has to hold, whatever tree it came from.
fn check_sound(board: &Board<'_>) {
    let banks: Vec<Range> = board.memory().collect();
    for (index, bank) in banks.iter().enumerate() {
        assert!(bank.start % 4096 == 0 && bank.end % 4096 == 0 && bank.end <= MEMORY_CEILING);
        assert!(!banks[..index].iter().any(|other| other.overlaps(bank)));
    }
    assert!(board.memory_bytes() >= MIN_MEMORY);
    let (distributor, other) = match board.gic {
        Gic::V2 { distributor, cpu } => (distributor, cpu),
        Gic::V3 {
            distributor,
            redistributor,
            ..
        } => (distributor, redistributor),
    };
    let uart = board.uart.map_or(distributor, |uart| uart.base);
    for device in [distributor, other, uart, board.port.unwrap_or(distributor)] {
        let device = Range::of(device, 1);
        assert!(device.end <= 1 << 44 && !banks.iter().any(|bank| bank.overlaps(&device)));
    }
    assert!((16..32).contains(&board.timer));
}

#[test]
fn twenty_thousand_damaged_trees_panic_nowhere_and_end_soon() {
    let bus = node(
        "soc",
        &[
            ("compatible", Text("simple-bus")),
            ("#address-cells", Cells(vec![2])),
            ("#size-cells", Cells(vec![2])),
            ("ranges", Empty),
        ],
    )
    .over(&[pl011()]);
    let mut second = virt()
        .with(gic_v2())
        .with(bus)
        .with(port_at(0x0b00_0000, 0x2000))
        .with(node("reserved-memory", &[]).over(&[node("a", &[("reg", Cells(vec![0x4100_0000, 0x1000]))])]));
    second.reservations = vec![(0x4200_0000, 0x1000)];
    let whole = [virt().tree(), second.tree()];
    whole
        .iter()
        .for_each(|tree| check_sound(&Board::discover(tree).unwrap()));
    let mut random = Random(0x5eaa_11ed);
    let (mut accepted, mut slowest) = (0, Duration::ZERO);
    for number in 0..20_000 {
        let mut tree = whole[number % whole.len()].clone();
        for _ in 0..=random.below(3) {
            damage(&mut tree, &mut random);
        }
        let begin = Instant::now();
        let _ = find_uart(&tree);
        if let Ok(board) = Board::discover(&tree) {
            accepted += 1;
            check_sound(&board);
        }
        slowest = slowest.max(begin.elapsed());
    }
    // Both sides are reached: else the damage is too small or too large to try anything.
    assert!((1_000..19_000).contains(&accepted), "{accepted}");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}

#[test]
fn noise_after_a_good_header_panics_nowhere() {
    let tree = virt().tree();
    let mut random = Random(0x00dd_ba11);
    for _ in 0..2_000 {
        let mut noise = tree.clone();
        noise[40..]
            .iter_mut()
            .for_each(|byte| *byte = random.next().to_le_bytes()[7]);
        assert_eq!(find_uart(&noise), Err(BoardError::Corrupt));
        assert!(Board::discover(&noise).is_err());
    }
}
