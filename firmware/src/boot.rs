//! From `guest_main` to the first task.

use core::panic::PanicInfo;

use seawall_agent::{IntermediateAddress, Journal, Ledger};
use seawall_firmware::arguments::Arguments;
use seawall_firmware::board::{Board, Findings, Range};
use seawall_firmware::bundle::{Bundle, MAX_PROGRAMS};
use seawall_firmware::frames::FrameTable;
use seawall_firmware::image::Image;
use seawall_firmware::layout::Layout;
use seawall_firmware::regions::Region;

use crate::arch::device::Window;
use crate::arch::gic::Gic;
use crate::arch::port::Port;
use crate::arch::slots::Slots;
use crate::arch::{self, counter, entry, heap, memory, registers, tables, timer, uart};
use crate::kernel::family::Family;
use crate::kernel::task::Task;
use crate::kernel::{Guest, Parts, console, end, epitaph, retired};

/// The programs, put in by the build.
static PROGRAMS: &[u8] = include_bytes!(env!("SEAWALL_BUNDLE"));

/// The first Rust that runs: at EL1 in the upper half, on the kernel's stack, with exceptions masked.
pub(crate) extern "C" fn guest_main(tree: u64, image: u64) -> ! {
    console::open();
    heap::open();
    let counting = counter::start() != 0;
    let ras = registers::has_ras();
    registers::use_vectors(ras);
    let (tree_bytes, board) = discover(tree, image);
    log::info!(
        "{} KiB kernel at {image:#x}, {} MiB of memory, {} CPU, MIDR {:#x}, RAS {}{}",
        memory::kernel_bytes() >> 10,
        board.memory_bytes() >> 20,
        board.cpus,
        registers::cpu_id(),
        if ras { "yes" } else { "no" },
        if registers::synchronises_implicitly() {
            ", IESB"
        } else {
            ""
        },
    );
    let port = board.port.and_then(|base| {
        tables::map_device(base, image).and_then(|address| Port::open(Window::new(address), base))
    });
    end::know(end::Ways {
        port,
        conduit: board.psci,
    });
    match board.psci {
        Some(conduit) => log::info!(
            "{}, timer interrupt {}, PSCI by {conduit}",
            board.gic,
            board.timer
        ),
        None => log::info!("{}, timer interrupt {}, no PSCI", board.gic, board.timer),
    }
    match (port, board.port) {
        (Some(_), Some(base)) => log::info!("replay port at {base:#x}"),
        (None, Some(base)) => log::warn!("nothing answers at {base:#x}, where the replay port should be"),
        (_, None) => log::info!("no replay port: nothing will be injected from here"),
    }
    let arguments = Arguments::parse(board.arguments).unwrap_or_else(|error| stop(&error));
    if arguments.ease && !registers::take_aborts_as_serrors() {
        stop(&"seawall.ease=1, and the CPU has no FEAT_DoubleFault2 to do it with");
    }
    let mut guest = assemble(
        &board,
        Range::of(tree, tree_bytes),
        image,
        Found { port, ras, counting },
    );
    if let Err(error) = guest.start(arguments) {
        stop(&error);
    }
    timer::begin_turn();
    entry::run(guest)
}

fn stop(error: &dyn core::fmt::Display) -> ! {
    log::error!("{error}");
    end::fail()
}

struct Found {
    port: Option<Port>,
    ras: bool,
    counting: bool,
}

/// Reads the device tree, with a serial port open as early as there can be one.
fn discover(tree: u64, image: u64) -> (u64, Board<'static>) {
    let Some(bytes) = arch::device_tree(tree, image) else {
        uart::search(image);
        stop(&"there is no device tree where x0 points");
    };
    let findings = Findings::of(bytes);
    match findings.as_ref().map_err(|error| *error).and_then(Findings::uart) {
        Ok(Some(found)) if uart::open(found, image) => {}
        // A whole tree without a port is a machine without one: nothing is written anywhere.
        Ok(None) => {}
        Ok(Some(_)) | Err(_) => uart::search(image),
    }
    let board = findings
        .and_then(|findings| findings.board())
        .unwrap_or_else(|error| stop(&error));
    if !image.is_multiple_of(tables::BLOCK) {
        log::error!("the Image was loaded at {image:#x}, which is not on a 2 MiB boundary");
        end::fail();
    }
    if !board
        .memory()
        .any(|bank| bank.contains(&Range::of(image, memory::kernel_bytes())))
    {
        stop(&"the Image lies outside of the memory that the device tree names");
    }
    if Range::of(image, memory::kernel_bytes()).overlaps(&Range::of(tree, bytes.len() as u64)) {
        stop(&"the device tree lies inside of the Image");
    }
    (bytes.len() as u64, board)
}

/// Maps memory, carves the books out of it, and puts the guest together.
fn assemble(board: &Board<'static>, tree: Range, image: u64, found: Found) -> Guest {
    let kernel = Range::of(image, memory::kernel_bytes());
    let mut layout = Layout::default();
    for bank in board.memory() {
        match tables::map_bank(bank, kernel, image) {
            Some(mapped) => layout.add(mapped),
            None => log::warn!("memory at {:#x} is left unused", bank.start),
        }
    }
    let block = tables::BLOCK;
    layout.remove(Range {
        start: kernel.start & !(block - 1),
        end: kernel.end.next_multiple_of(block),
    });
    layout.remove(tree);
    board.reserved().for_each(|range| layout.remove(range));
    let sizes = layout.sizes();
    let mut carve = |bytes| {
        layout
            .carve(bytes, |from| {
                found
                    .port
                    .and_then(|port| port.lost_from(from))
                    .map(|page| page.0)
            })
            .unwrap_or_else(|| stop(&"no memory is left for the kernel's books"))
    };
    let (entries, ledger_range, records) = (carve(sizes.entries), carve(sizes.ledger), carve(sizes.journal));
    let early = carve(sizes.early);
    // A slot's number is its address space's ASID too.
    let slots = sizes.slots.min(if registers::has_wide_asids() {
        1 << 16
    } else {
        1 << 8
    });
    let tasks = carve(Slots::<Task>::bytes(slots));
    let images = carve(Slots::<Image>::bytes(MAX_PROGRAMS as u64 + 1));
    let families = carve(Slots::<Family>::bytes(slots));
    memory::clear(ledger_range);
    let mut ledger = Ledger::in_cleared(memory::words(ledger_range)).unwrap_or_else(|error| stop(&error));
    let journal = Journal::new(memory::shared_words(records)).unwrap_or_else(|error| stop(&error));
    if let Some(port) = found.port {
        port.name_journal(IntermediateAddress(records.start), records.end - records.start);
    }
    let books = [
        (entries, Region::FrameTable),
        (ledger_range, Region::Ledger),
        (records, Region::Journal),
        (tasks, Region::Tasks),
    ];
    epitaph::know_regions(memory::regions(books, PROGRAMS));
    let mut frames = FrameTable::new(memory::entries(entries), layout.frames());
    frames.keep_early(memory::numbers(early));
    let lost = retired::before_the_start(found.port, &mut frames, &mut ledger);
    if lost != 0 {
        log::info!("{lost} frames were lost before this start");
    }
    let parts = Parts {
        tasks: Slots::new(tasks, Task::EMPTY)
            .unwrap_or_else(|| stop(&"no memory is left for the table of tasks")),
        images: Slots::new(images, Image::EMPTY)
            .unwrap_or_else(|| stop(&"no memory is left for the table of programs")),
        families: Slots::new(families, Family::EMPTY)
            .unwrap_or_else(|| stop(&"no memory is left for the table of families")),
        frames,
        bundle: Bundle::new(PROGRAMS).unwrap_or_else(|error| stop(&error)),
        gic: Gic::open(board.gic, board.timer, image)
            .unwrap_or_else(|| stop(&"the interrupt controller does not answer")),
        port: found.port,
        nothing: tables::nothing(image),
        image,
        ras: found.ras,
        pfar: registers::has_pfar(),
        counting: found.counting,
    };
    Guest::new(parts, ledger, journal)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let (file, line) = info
        .location()
        .map_or(("an unknown place", 0), |place| (place.file(), place.line()));
    epitaph::panicked(file, line)
}
