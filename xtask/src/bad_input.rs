//! Bad input for the bare guest: device trees that are missing, cut, damaged or wrong, Images in wrong places, boot
//! arguments that mean nothing. Each time the guest ends by itself and soon, and says why where there is a port to say
//! it on; it never spins in silence.
//!
//! The guest is put into memory as a boot loader would, by QEMU's loader device, and not by `-kernel`: QEMU mends what
//! it loads itself. A stub of three instructions gives it the tree. The trees are QEMU's own for the same machine,
//! edited.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use dtoolkit::Node;
use dtoolkit::fdt::Fdt;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};

use crate::process::{Ended, bounded, capture};
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{artefacts, setup};

const QEMU: &str = "qemu-system-aarch64";
const LIMIT: Duration = Duration::from_secs(30);
const AT_A_TIME: usize = 2;

/// RAM of `virt`; QEMU puts a tree of its own there, of up to 1 MiB.
const RAM: u64 = 0x4000_0000;
const STUB: u64 = RAM + 0x10_0000;
const TREE: u64 = RAM + 0x11_0000;
const IMAGE: u64 = RAM + 0x20_0000;
const MEMORY_MIB: u64 = 128;
/// On `virt`, from here to 0x0c00_0000 nothing answers but the platform bus, which has no device.
const NOWHERE: u64 = 0x0b80_0000;

/// How a case must come out.
#[derive(Debug, Clone, Copy)]
enum Expected {
    /// Off by itself, having said this, and a verdict after it.
    Says(&'static str),
    /// Off by itself with any verdict: what is wrong may be harmless.
    Verdict,
    /// Off by itself, and not a byte on the port.
    Silence,
    /// Nothing can switch it off: it says this, and sleeps.
    Sleep(&'static str),
    /// It spins: for the check that would notice.
    Spin,
}

/// One bad input.
#[derive(Debug)]
struct Case {
    name: String,
    /// Enter at EL2.
    el2: bool,
    /// Start at EL3, so that QEMU plays no firmware, and enter at EL1 with every call upwards undefined.
    bare: bool,
    memory_mib: u64,
    image_at: u64,
    /// What lies where.
    tree: Option<(u64, Vec<u8>)>,
    /// What x0 is; without a stub, zero.
    x0: Option<u64>,
    /// Put in place of the guest.
    instead: Option<Vec<u8>>,
    expected: Expected,
}

impl Case {
    fn new(name: &str, expected: Expected) -> Self {
        Self {
            name: name.to_owned(),
            el2: false,
            bare: false,
            memory_mib: MEMORY_MIB,
            image_at: IMAGE,
            tree: None,
            x0: None,
            instead: None,
            expected,
        }
    }

    fn tree(self, tree: Vec<u8>) -> Self {
        self.tree_at(TREE, tree)
    }

    fn tree_at(self, address: u64, tree: Vec<u8>) -> Self {
        let x0 = Some(address);
        let tree = Some((address, tree));
        Self { tree, x0, ..self }
    }
}

/// `cargo xtask bad-input`.
pub(crate) fn run(workspace: &Workspace) -> Result<ExitCode> {
    let ready = setup::run(workspace, None, setup::Scope::Run)?;
    artefacts::build(workspace, &ready.lab)?;
    let tally = try_all(workspace)?;
    println!("{tally}");
    Ok(ExitCode::from(u8::from(tally.failed > 0)))
}

/// Tries all cases, two at a time, and prints each as it ends.
pub(crate) fn try_all(workspace: &Workspace) -> Result<Tally> {
    let image = workspace.artefact("seawall.Image");
    ensure!(
        image.is_file(),
        "{} is missing; build it: cargo xtask build",
        image.display()
    );
    let folder = tempfile::tempdir()?;
    let cases = cases(&Trees::dump(folder.path())?, &fs::read(&image)?)?;
    let waiting = Mutex::new(cases.into_iter().enumerate());
    let total = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some((number, case)) = waiting.lock().ok().and_then(|mut cases| cases.next()) {
                    let begin = Instant::now();
                    let tried = attempt(&case, number, &image, folder.path());
                    let tally = Tally::of(tried.is_ok());
                    let time = begin.elapsed().as_secs_f32();
                    match tried {
                        Ok(()) => println!("ok {} ({time:.1} s)", case.name),
                        Err(error) => println!("not ok {} ({time:.1} s): {error:#}", case.name),
                    }
                    if let Ok(mut sum) = total.lock() {
                        *sum += tally;
                    }
                }
            });
        }
    });
    Ok(total.into_inner().unwrap_or(Tally::FAILED))
}

fn machine(options: &str, memory_mib: u64) -> Command {
    let mut command = Command::new(QEMU);
    command
        .args([
            "-M",
            &format!("virt,gic-version=3{options}"),
            "-cpu",
            "cortex-a72",
        ])
        .args([
            "-m",
            &format!("{memory_mib}M"),
            "-nic",
            "none",
            "-display",
            "none",
        ])
        .args(["-nodefaults", "-no-user-config", "-no-reboot", "-monitor", "none"]);
    command
}

fn attempt(case: &Case, number: usize, image: &Path, folder: &Path) -> Result<()> {
    let options = match (case.el2, case.bare) {
        (true, _) => ",virtualization=on",
        (_, true) => ",secure=on",
        _ => "",
    };
    let mut command = machine(options, case.memory_mib);
    command.args(["-serial", "stdio"]);
    let mut load = |name: &str, address: u64, bytes: &[u8]| -> Result<()> {
        let file = folder.join(format!("{number}.{name}"));
        fs::write(&file, bytes)?;
        loader(&mut command, &file, address);
        Ok(())
    };
    let mut start = case.image_at;
    if let Some((address, tree)) = &case.tree {
        load("tree", *address, tree)?;
    }
    if let Some(x0) = case.x0 {
        let stub = if case.bare { bare_stub } else { stub };
        load("stub", STUB, &stub(x0, case.image_at))?;
        start = STUB;
    }
    match &case.instead {
        Some(program) => load("program", case.image_at, program)?,
        None => loader(&mut command, image, case.image_at),
    }
    command.args(["-device", &format!("loader,addr={start:#x},cpu-num=0")]);
    match case.expected {
        Expected::Sleep(message) => {
            let (is_busy, text) = watch(&mut command)?;
            ensure!(!is_busy, "it spins");
            ensure!(text.contains(message), "`{message}` was not said");
        }
        Expected::Spin => ensure!(watch(&mut command)?.0, "a loop was taken for sleep"),
        Expected::Says(_) | Expected::Verdict | Expected::Silence => {
            check(case.expected, &bounded(&mut command, LIMIT, false)?)?;
        }
    }
    Ok(())
}

fn loader(command: &mut Command, file: &Path, address: u64) {
    let file = file.display();
    command.args([
        "-device",
        &format!("loader,file={file},addr={address:#x},force-raw=on"),
    ]);
}

/// Three instructions and what they load; the fourth is padding, so that the words are aligned: memory is still Device
/// [Arm ARM B2.8.2].
fn stub(x0: u64, image: u64) -> Vec<u8> {
    let instructions: [u32; 4] = [
        0x5800_0080, // ldr x0, . + 16
        0x5800_00a1, // ldr x1, . + 20
        0xd61f_0020, // br  x1
        0xd503_201f, // nop
    ];
    let mut bytes: Vec<u8> = instructions.into_iter().flat_map(u32::to_le_bytes).collect();
    bytes.extend([x0, image].into_iter().flat_map(u64::to_le_bytes));
    bytes
}

/// The same from EL3 down to EL1 [Arm ARM D24.2].
fn bare_stub(x0: u64, image: u64) -> Vec<u8> {
    let instructions: [u32; 10] = [
        0x5800_0140, // ldr  x0, . + 40
        0x5800_0161, // ldr  x1, . + 44
        0xd280_9622, // mov  x2, #0x4b1: RW, SMD, NS; HCE = 0
        0xd51e_1102, // msr  scr_el3, x2
        0xd280_78a2, // mov  x2, #0x3c5: EL1h, masked
        0xd51e_4002, // msr  spsr_el3, x2
        0xd51e_4021, // msr  elr_el3, x1
        0xd69f_03e0, // eret
        0xd503_201f, // nop
        0xd503_201f, // nop
    ];
    let mut bytes: Vec<u8> = instructions.into_iter().flat_map(u32::to_le_bytes).collect();
    bytes.extend([x0, image].into_iter().flat_map(u64::to_le_bytes));
    bytes
}

/// Holds how QEMU ended against how it should have.
fn check(expected: Expected, ended: &Ended) -> Result<()> {
    let last: Vec<_> = ended.text.lines().rev().take(8).map(str::escape_debug).collect();
    let last = last
        .iter()
        .rev()
        .fold(String::new(), |text, line| text + &format!("\n    | {line}"));
    match ended.status {
        None => bail!("still running after {} s{last}", LIMIT.as_secs()),
        Some(status) => ensure!(status.success(), "QEMU ended with {status}{last}"),
    }
    let verdict = ended.text.rfind("seawall: verdict: ");
    match expected {
        Expected::Silence => ensure!(ended.text.is_empty(), "something was written{last}"),
        Expected::Says(message) => {
            let said = ended.text.find(message);
            ensure!(said.is_some(), "`{message}` was not said{last}");
            ensure!(said <= verdict, "no verdict after it{last}");
        }
        Expected::Verdict | Expected::Sleep(_) | Expected::Spin => {
            ensure!(verdict.is_some(), "no verdict{last}");
        }
    }
    Ok(())
}

/// QEMU; killed and reaped when it is no longer held.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // Both fail only when it has ended and was reaped already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether a machine that does not end uses the host's time, where a CPU in WFI costs none; and what it wrote. QEMU's
/// own start is let pass first. Fails when it ends.
fn watch(command: &mut Command) -> Result<(bool, String)> {
    const START: Duration = Duration::from_secs(1);
    const SPAN: Duration = Duration::from_secs(1);
    /// In ticks of 10 ms [proc(5)]: half of the span's.
    const BUSY: u64 = 50;
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut machine = Owned(child);
    thread::sleep(START);
    let before = ticks(machine.0.id())?;
    thread::sleep(SPAN);
    let used = ticks(machine.0.id())?.saturating_sub(before);
    if let Some(status) = machine.0.try_wait()? {
        bail!("QEMU ended with {status}");
    }
    let mut output = machine.0.stdout.take().context("the child has no stdout")?;
    drop(machine);
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut output, &mut text)?;
    Ok((used >= BUSY, String::from_utf8_lossy(&text).into_owned()))
}

/// User and system time of a process: fields 14 and 15; the second may hold blanks, and ends with the last parenthesis.
fn ticks(process: u32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields = stat.rsplit_once(')').context("no name in stat")?.1;
    let times = fields.split_whitespace().skip(11).take(2);
    Ok(times.filter_map(|field| field.parse::<u64>().ok()).sum())
}

/// QEMU's own device trees.
struct Trees {
    usual: Vec<u8>,
    small: Vec<u8>,
}

impl Trees {
    fn dump(folder: &Path) -> Result<Self> {
        let dump = |memory_mib| -> Result<Vec<u8>> {
            let file = folder.join("dumped.dtb");
            capture(&mut machine(&format!(",dumpdtb={}", file.display()), memory_mib))?;
            // Written anew, and so without the padding of 1 MiB.
            Ok(read(&fs::read(&file)?)?.to_dtb())
        };
        Ok(Self {
            usual: dump(MEMORY_MIB)?,
            small: dump(8)?,
        })
    }

    /// The usual tree, edited.
    fn with(&self, edit: impl FnOnce(&mut DeviceTreeNode) -> Result<()>) -> Result<Vec<u8>> {
        let mut tree = read(&self.usual)?;
        edit(&mut tree.root)?;
        Ok(tree.to_dtb())
    }

    fn without(&self, prefix: &str) -> Result<Vec<u8>> {
        self.with(|root| {
            let name = named(root, prefix)?.name().to_owned();
            root.remove_child(&name);
            Ok(())
        })
    }

    fn with_regions(&self, prefix: &str, regions: &[(u64, u64)]) -> Result<Vec<u8>> {
        let cells: Vec<u8> = regions
            .iter()
            .flat_map(|(base, size)| [base.to_be_bytes(), size.to_be_bytes()].concat())
            .collect();
        self.with(|root| {
            named(root, prefix)?.add_property(DeviceTreeProperty::new_unchecked("reg", cells));
            Ok(())
        })
    }

    fn with_arguments(&self, arguments: &str) -> Result<Vec<u8>> {
        self.with(|root| {
            named(root, "chosen")?.add_property(DeviceTreeProperty::new_unchecked("bootargs", arguments));
            Ok(())
        })
    }

    fn with_reserved(&self, regions: &[(u64, u64)]) -> Result<Vec<u8>> {
        self.with(|root| {
            let mut parent = DeviceTreeNode::new_unchecked("reserved-memory");
            for name in ["#address-cells", "#size-cells"] {
                parent.add_property(DeviceTreeProperty::new_unchecked(name, 2_u32));
            }
            for (base, size) in regions {
                let mut child = DeviceTreeNode::new_unchecked(format!("taken@{base:x}"));
                let cells = [base.to_be_bytes(), size.to_be_bytes()].concat();
                child.add_property(DeviceTreeProperty::new_unchecked("reg", cells));
                parent.add_child(child);
            }
            root.add_child(parent);
            Ok(())
        })
    }

    /// The usual tree with a few bits of its structure block flipped, always the same ones.
    fn flipped(&self, seed: u64) -> Vec<u8> {
        let mut tree = self.usual.clone();
        let word = |at: usize| -> usize {
            tree.get(at..at + 4)
                .and_then(|raw| raw.try_into().ok())
                .map_or(0, |raw| u32::from_be_bytes(raw) as usize)
        };
        let (start, length) = (word(8), word(36).max(1));
        // xorshift64 [Marsaglia, "Xorshift RNGs", 2003].
        let mut state = seed;
        for _ in 0..4 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let bits = state.to_le_bytes();
            let at = start + (usize::from(bits[0]) | usize::from(bits[1]) << 8) % length;
            if let Some(byte) = tree.get_mut(at) {
                *byte ^= 1 << (bits[2] & 7);
            }
        }
        tree
    }
}

fn read(blob: &[u8]) -> Result<DeviceTree> {
    let fdt = Fdt::new(blob).map_err(|error| anyhow::anyhow!("QEMU's device tree: {error}"))?;
    Ok(DeviceTree::from_fdt(&fdt))
}

/// The child of this name, whatever its unit address.
fn named<'a>(root: &'a mut DeviceTreeNode, prefix: &str) -> Result<&'a mut DeviceTreeNode> {
    root.children_mut()
        .find(|child| child.name_without_address() == prefix)
        .with_context(|| format!("QEMU's device tree has no {prefix}"))
}

/// Writes a big-endian word into the header.
fn header(mut tree: Vec<u8>, offset: usize, word: u32) -> Vec<u8> {
    if let Some(place) = tree.get_mut(offset..offset + 4) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    tree
}

const NO_TREE: Expected = Expected::Says("seawall: there is no device tree where x0 points");
const CORRUPT: Expected = Expected::Says("seawall: the device tree is cut or corrupt");
const CLEAN: Expected = Expected::Says("seawall: verdict: clean");

fn cases(trees: &Trees, image: &[u8]) -> Result<Vec<Case>> {
    let mut all = wrong_trees(trees);
    all.extend(wrong_machines(trees)?);
    all.extend(wrong_places(trees, image)?);
    all.extend(wrong_arguments(trees)?);
    Ok(all)
}

/// What is no tree, or no whole one.
fn wrong_trees(trees: &Trees) -> Vec<Case> {
    let usual = || trees.usual.clone();
    let half = || usual()[..trees.usual.len() / 2].to_vec();
    let half_length = u32::try_from(trees.usual.len() / 2).unwrap_or(u32::MAX);
    let last_page = RAM + (MEMORY_MIB << 20) - 0x4000;
    let case = Case::new;
    let mut all = vec![
        case("the good tree boots", CLEAN).tree(usual()),
        case("no tree, entered at EL1", NO_TREE),
        Case {
            el2: true,
            ..case("no tree, entered at EL2", NO_TREE)
        },
        case("a tree without its second half", CORRUPT).tree(half()),
        case("a tree cut in half that knows of it", CORRUPT).tree(header(half(), 4, half_length)),
        case("a corrupt magic", NO_TREE).tree(header(usual(), 0, 0xd00d_feee)),
        case("a length beyond all bounds", NO_TREE).tree(header(usual(), 4, u32::MAX)),
        case("a length of zero", CORRUPT).tree(header(usual(), 4, 0)),
        case("a tree beyond the end of memory", NO_TREE).tree_at(last_page, header(usual(), 4, 0x10_0000)),
        case("a structure block beyond the tree", CORRUPT).tree(header(usual(), 8, 0x00ff_fff0)),
        Case {
            x0: Some(TREE + 4),
            ..case("x0 on no boundary", NO_TREE).tree(usual())
        },
        Case {
            x0: Some(NOWHERE),
            ..case("x0 where nothing is", NO_TREE)
        },
        Case {
            x0: Some(1 << 52),
            ..case("x0 beyond all addresses", NO_TREE)
        },
        Case {
            x0: Some(RAM + 0x30_0000),
            ..case("x0 in empty memory", NO_TREE)
        },
    ];
    for seed in 1..=8 {
        let name = format!("flipped bits, seed {seed}");
        all.push(Case::new(&name, Expected::Verdict).tree(trees.flipped(seed * 0x9e37_79b9)));
    }
    all
}

/// Whole trees of machines on which the guest cannot run, or of which it must not believe all.
fn wrong_machines(trees: &Trees) -> Result<Vec<Case>> {
    let memory = MEMORY_MIB << 20;
    let case = |name, says, tree| Case::new(name, Expected::Says(says)).tree(tree);
    let uart_at = |base| trees.with_regions("pl011", &[(base, 0x1000)]);
    let gic_at = |one, other| trees.with_regions("intc", &[(one, 0x1_0000), (other, 0xf6_0000)]);
    let psci = |method: &'static str| {
        trees.with(|root| {
            named(root, "psci")?.add_property(DeviceTreeProperty::new_unchecked("method", method));
            Ok(())
        })
    };
    let many: Vec<_> = (0..17).map(|n| (RAM + 0x100_0000 + n * 0x2000, 0x1000)).collect();
    let clean = "seawall: verdict: clean";
    let no_gic = "the device tree has no usable interrupt controller";
    let deaf_gic = "the interrupt controller does not answer";
    let uart_lost = "the device tree puts the serial port over something else";
    let gic_lost = "the device tree puts the interrupt controller over something else";
    Ok(vec![
        Case::new("no serial port", Expected::Silence).tree(trees.without("pl011")?),
        case(
            "a serial port inside memory",
            uart_lost,
            uart_at(RAM + 0x100_0000)?,
        ),
        case("a serial port inside the Image", uart_lost, uart_at(IMAGE)?),
        case(
            "a serial port beyond all addresses",
            uart_lost,
            uart_at(u64::MAX - 0xfff)?,
        ),
        case("a serial port where nothing is", clean, uart_at(NOWHERE)?),
        case("a serial port on no boundary", clean, uart_at(0x0900_0001)?),
        case("no interrupt controller", no_gic, trees.without("intc")?),
        case(
            "half an interrupt controller",
            no_gic,
            trees.with_regions("intc", &[(0x0800_0000, 0x1_0000)])?,
        ),
        case(
            "an interrupt controller where nothing is",
            deaf_gic,
            gic_at(NOWHERE, 0x080a_0000)?,
        ),
        case(
            "an interrupt controller that is flash",
            deaf_gic,
            gic_at(0, 0x080a_0000)?,
        ),
        case(
            "redistributors where nothing is",
            deaf_gic,
            gic_at(0x0800_0000, NOWHERE)?,
        ),
        case(
            "redistributors that are flash",
            deaf_gic,
            gic_at(0x0800_0000, 0x0400_0000)?,
        ),
        case(
            "an interrupt controller on no boundary",
            deaf_gic,
            gic_at(0x0800_0001, 0x080a_0000)?,
        ),
        case(
            "an interrupt controller inside memory",
            gic_lost,
            gic_at(RAM, 0x080a_0000)?,
        ),
        case(
            "no timer",
            "the device tree has no usable virtual timer",
            trees.without("timer")?,
        ),
        Case {
            memory_mib: 8,
            ..case(
                "8 MiB of memory",
                "8192 KiB of memory are too few; 16 MiB are needed",
                trees.small.clone(),
            )
        },
        case(
            "no memory",
            "0 KiB of memory are too few",
            trees.without("memory")?,
        ),
        case(
            "memory that overlaps",
            "the device tree puts memory over something else",
            trees.with_regions("memory", &[(RAM, memory), (RAM + memory / 2, memory)])?,
        ),
        case(
            "memory above 256 GiB is not used",
            "128 MiB of memory",
            trees.with_regions("memory", &[(RAM, memory), (256 << 30, 1 << 30)])?,
        ),
        case(
            "all memory reserved",
            "no memory is left for the kernel's books",
            trees.with_reserved(&[(RAM, memory)])?,
        ),
        case(
            "too many reserved regions",
            "the device tree reserves more than 16 regions",
            trees.with_reserved(&many)?,
        ),
        case("no PSCI", clean, trees.without("psci")?),
        case("PSCI by the wrong conduit", clean, psci("smc")?),
        case("PSCI by no known conduit", clean, psci("svc")?),
        Case {
            el2: true,
            ..case("PSCI by a conduit to nobody", clean, psci("hvc")?)
        },
    ])
}

/// The Image where it should not be.
fn wrong_places(trees: &Trees, image: &[u8]) -> Result<Vec<Case>> {
    // image_size of the header: all that the kernel takes, to which its heap is the end.
    let taken = image
        .get(16..24)
        .and_then(|raw| raw.try_into().ok())
        .map(u64::from_le_bytes)
        .context("the Image has no header")?;
    let outside = trees.with_regions("memory", &[(RAM + 0x200_0000, 96 << 20)])?;
    let half_outside = trees.with_regions("memory", &[(RAM, 0x20_1000), (RAM + 0x200_0000, 96 << 20)])?;
    let says = Expected::Says;
    let stays = "the Image lies outside of the memory";
    // `b .`
    let spin = 0x1400_0000_u32.to_le_bytes().to_vec();
    Ok(vec![
        Case {
            image_at: IMAGE + 0x1000,
            ..Case::new("an Image on 4 KiB", says("which is not on a 2 MiB boundary"))
                .tree(trees.usual.clone())
        },
        Case {
            image_at: IMAGE + 0x1f_f000,
            ..Case::new(
                "an Image before a 2 MiB boundary",
                says("which is not on a 2 MiB boundary"),
            )
            .tree(trees.usual.clone())
        },
        Case {
            image_at: IMAGE + 0x800,
            ..Case::new(
                "an Image on half a page",
                says("the Image was not loaded on a 2 MiB boundary"),
            )
            .tree(trees.usual.clone())
        },
        Case {
            bare: true,
            x0: Some(0),
            ..Case::new(
                "no tree and nobody to call",
                Expected::Sleep("there is no device tree where x0 points"),
            )
        },
        Case {
            instead: Some(spin),
            ..Case::new("a loop is told from sleep", Expected::Spin)
        },
        Case::new("an Image outside memory", says(stays)).tree(outside),
        Case::new("an Image half outside memory", says(stays)).tree(half_outside),
        Case::new(
            "a tree inside the Image",
            says("the device tree lies inside of the Image"),
        )
        .tree_at((IMAGE + taken - 0x8000) & !0xfff, trees.usual.clone()),
    ])
}

fn wrong_arguments(trees: &Trees) -> Result<Vec<Case>> {
    let many = format!("seawall.tasks={}", ["load"; 40].join(","));
    [
        ("seawall.tasks=nobody", "there is no program `nobody`"),
        (
            "seawall.tasks=load/heal",
            "remedy `heal` is unknown; there are kill, isolate, restart:N",
        ),
        (
            "seawall.tasks=load/restart:99999999999",
            "remedy `restart:99999999999` is unknown",
        ),
        ("seawall.tasks=", "names none or more than 32 tasks"),
        (
            "seawall.task=load",
            "boot argument `seawall.task=load` is unknown",
        ),
        (&many, "names none or more than 32 tasks"),
    ]
    .into_iter()
    .map(|(arguments, message)| {
        let name: String = arguments.chars().take(30).collect();
        Ok(Case::new(&name, Expected::Says(message)).tree(trees.with_arguments(arguments)?))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::{Expected, check, stub};
    use crate::process::Ended;

    fn verdict(expected: Expected, code: Option<i32>, text: &str) -> bool {
        let status = code.map(|code| ExitStatus::from_raw(code << 8));
        let text = text.to_owned();
        check(expected, &Ended { status, text }).is_ok()
    }

    #[test]
    fn an_end_counts_only_by_itself_with_the_cause_and_a_verdict_after_it() {
        let says = Expected::Says("no timer");
        let good = "seawall: no timer\r\nseawall: verdict: failed\r\n";
        assert!(verdict(says, Some(0), good));
        assert!(!verdict(says, None, good));
        assert!(!verdict(says, Some(1), good));
        assert!(!verdict(says, Some(0), "seawall: verdict: failed\n"));
        assert!(!verdict(says, Some(0), "seawall: no timer\n"));
        assert!(!verdict(says, Some(0), "seawall: verdict: failed\nno timer\n"));
        assert!(verdict(Expected::Verdict, Some(0), good));
        assert!(!verdict(Expected::Verdict, Some(0), ""));
        assert!(verdict(Expected::Silence, Some(0), ""));
        assert!(!verdict(Expected::Silence, Some(0), "x"));
        assert!(!verdict(Expected::Silence, None, ""));
    }

    #[test]
    fn the_stubs_words_lie_where_its_instructions_load_from() {
        let bytes = stub(0x1122, 0x3344);
        assert_eq!(bytes.len(), 32);
        assert_eq!((bytes[16], bytes[17]), (0x22, 0x11));
        assert_eq!((bytes[24], bytes[25]), (0x44, 0x33));
    }
}
