//! Bad input for the bare guest: device trees that are missing, cut, damaged or wrong, Images in wrong places, boot
//! arguments that mean nothing. Each time the guest ends by itself and soon, and says why where there is a port to say
//! it on; it never spins in silence.
//!
//! The guest is put into memory as a boot loader would, by QEMU's loader device, and not by `-kernel`: QEMU mends what
//! it loads itself. A stub of three instructions gives it the tree. The trees are QEMU's own for the same machine,
//! edited.

mod cases;
mod trees;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use cases::cases;
use trees::Trees;

use crate::process::{Ended, bounded};
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
    /// In ticks of 10 ms [proc(5)]: a tenth of the span's. What spins gets more than that on any host that works at all,
    /// what sleeps takes none.
    const BUSY: u64 = 10;
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
