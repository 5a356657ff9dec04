#![expect(
    unsafe_code,
    reason = "programs call the kernel and touch memory by instruction"
)]
//! What the guest's programs share: the way in, the calls, and the touches that meet an abort.
//!
//! Each program under `src/bin` is one way to meet a memory error. It announces its checkpoint 1, which names the page
//! it is about to touch, touches it by exactly one instruction, and ends with code 0 if nothing came of it. A page of data
//! is written before ([`own`]), so that losing it costs something. [`touch!`] is all of that but the instruction; [`page!`] and [`text!`] put something at one of the fixed addresses.
#![no_std]

use core::arch::{asm, global_asm};
use core::panic::PanicInfo;

pub mod measure;

use seawall_firmware::calls;
pub use seawall_firmware::calls::{NOTE_NAME, NOTE_POLICY, What};

// INPUTS: x0 = slot, x1 = 1 when there is a replay port; SP = the stack. ENDING: exits with what program_main returns.
global_asm!(
    ".pushsection .text._start, \"ax\"",
    ".global _start",
    "_start:",
    "    mov     x29, xzr",
    "    mov     x30, xzr",
    "    bl      program_main",
    "    mov     x8, #{exit}",
    "    svc     #0",
    "    brk     #0",
    ".popsection",
    exit = const calls::EXIT,
);

/// Makes a function the program: `fn(slot, replay port or not) -> exit code`.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        #[unsafe(no_mangle)]
        extern "C" fn program_main(slot: u64, port: u64) -> u64 {
            let main: fn(u64, bool) -> u64 = $main;
            main(slot, port != 0)
        }
    };
}

/// Links in a page at one of the fixed addresses: `page!(TARGET: Page::marked(0x40))`.
#[macro_export]
macro_rules! page {
    (TARGET: $page:expr) => {
        $crate::page!(@ ".target", $page);
    };
    (LONE: $page:expr) => {
        $crate::page!(@ ".lone", $page);
    };
    (APART: $page:expr) => {
        $crate::page!(@ ".apart", $page);
    };
    (PAGES: $pages:expr) => {
        $crate::page!(@ ".pages", $pages, [$crate::Page; 2]);
    };
    (CONSTANT: $page:expr) => {
        const _: () = {
            #[used]
            #[unsafe(link_section = ".constant")]
            static PAGE: $crate::Page = $page;
        };
    };
    (@ $section:literal, $page:expr) => {
        $crate::page!(@ $section, $page, $crate::Page);
    };
    (@ $section:literal, $page:expr, $type:ty) => {
        const _: () = {
            #[used]
            #[unsafe(link_section = $section)]
            static mut PAGE: $type = $page;
        };
    };
}

/// A program that links in a page, announces it as checkpoint 1, and touches it: `touch!(TARGET: Page::marked(0x40),
/// |page| load(page + 0x40) == MARK)`. It ends with code 0 when what it found is right, else with 1.
#[macro_export]
macro_rules! touch {
    ($at:ident: $page:expr, $touch:expr) => {
        $crate::page!($at: $page);
        $crate::program!(main);

        fn main(_: u64, _: bool) -> u64 {
            let touch: fn(u64) -> bool = $touch;
            $crate::own($crate::$at);
            $crate::checkpoint(1, $crate::$at, $crate::What::Page);
            u64::from(!touch($crate::$at))
        }
    };
}

/// Links in the program's own policy, as the boot arguments have it: `policy!("restart:3/10s")`.
#[macro_export]
macro_rules! policy {
    ($policy:literal) => {
        // A note [ELF-64 object file format 1.5, note section]: sizes of name and content, type, name, content.
        core::arch::global_asm!(
            ".pushsection .note.seawall, \"a\", %note",
            ".balign 4",
            ".word {name}, 3f - 2f, {kind}",
            ".asciz \"Seawall\"",
            concat!("2: .ascii \"", $policy, "\""),
            "3: .balign 4",
            ".popsection",
            name = const $crate::NOTE_NAME.len(),
            kind = const $crate::NOTE_POLICY,
        );
    };
}

/// Links in the pages that [`measure`] loses: one of data, and one of constants.
#[macro_export]
macro_rules! measured_pages {
    () => {
        $crate::page!(TARGET: $crate::Page::zeroed());
        $crate::page!(CONSTANT: $crate::Page::marked(0x40));
    };
}

/// Links in instructions at one of the fixed addresses of text: `text!(TARGET_TEXT: "mov x0, #7", "ret")`.
#[macro_export]
macro_rules! text {
    (TARGET_TEXT: $($line:literal),+) => {
        $crate::text!(@ ".target_text", $($line),+);
    };
    (APART_TEXT: $($line:literal),+) => {
        $crate::text!(@ ".apart_text", $($line),+);
    };
    (@ $section:literal, $($line:literal),+) => {
        core::arch::global_asm!(concat!(".pushsection ", $section, ", \"ax\""), $($line),+, ".popsection");
    };
}

/// A call with up to three arguments.
#[inline(always)]
pub fn call(number: u64, a: u64, b: u64, c: u64) -> u64 {
    let result;
    // SAFETY: the kernel keeps every register but x0, and writes no memory of the program but what the caller named.
    unsafe {
        asm!("svc #0", inlateout("x0") a => result, in("x1") b, in("x2") c, in("x8") number, options(nostack))
    };
    result
}

/// A call with four arguments.
#[inline(always)]
pub fn call4(number: u64, [a, b, c, d]: [u64; 4]) -> u64 {
    let result;
    // SAFETY: as for `call`; what the kernel writes is what the caller named.
    unsafe {
        asm!("svc #0", inlateout("x0") a => result, in("x1") b, in("x2") c, in("x3") d, in("x8") number, options(nostack))
    };
    result
}

/// Announces checkpoint `number`, with what it speaks of; false without a replay port.
pub fn checkpoint(number: u64, address: u64, what: What) -> bool {
    call(calls::CHECKPOINT, number, address, what as u64) == 1
}

/// Announces checkpoint `number` from EL0, through the port's page for programs.
pub fn announce(slot: u64, number: u64) {
    let word = (slot << 52) | number;
    // SAFETY: the kernel maps the port's page there when it says that there is a port.
    unsafe { asm!("str {}, [{}]", in(reg) word, in(reg) calls::USER_WINDOW, options(nostack)) };
}

/// Writes to the console.
pub fn write(text: &str) {
    call(calls::WRITE, text.as_ptr() as u64, text.len() as u64, 0);
}

/// Copies this process under a name: gives the copy's slot, in the copy 0, and [`calls::FAILED`] where none could be
/// made.
pub fn fork(name: &str) -> u64 {
    call(calls::FORK, name.as_ptr() as u64, name.len() as u64, 0)
}

/// Starts a thread: a function that never returns, the stack that it is to have, and its argument. Gives its slot.
pub fn thread(entry: extern "C" fn(u64) -> !, stack: &'static Stack, argument: u64) -> u64 {
    let top = stack.0.get() as u64 + size_of::<Stack>() as u64;
    call(calls::THREAD, entry as usize as u64, top, argument)
}

/// The stack of a thread.
#[repr(C, align(16))]
#[derive(Debug)]
pub struct Stack(core::cell::UnsafeCell<[u64; 256]>);

// SAFETY: it is used by the thread alone that it is given to.
unsafe impl Sync for Stack {}

impl Stack {
    /// One that was never used.
    #[expect(clippy::new_without_default, reason = "it is for statics")]
    #[must_use]
    pub const fn new() -> Self {
        Self(core::cell::UnsafeCell::new([0; 256]))
    }
}

/// Ends this task.
pub fn exit(code: u64) -> ! {
    loop {
        call(calls::EXIT, code, 0, 0);
    }
}

/// How a task that this one has started ended, as [`calls::WAIT`] has it.
pub fn wait(slot: u64) -> u64 {
    call(calls::WAIT, slot, 0, 0)
}

/// What [`wait`] gives of a task that left by its own exit.
pub const EXITED: u64 = 2;
/// What [`wait`] gives of a task that was killed for a memory error.
pub const KILLED: u64 = 3;

/// Says that nobody waits for this program's end; whether it will report progress, which is then waited for.
pub fn background(reports: bool) {
    call(calls::BACKGROUND, u64::from(reports), 0, 0);
}

/// Reports progress, and lets others run.
pub fn progress(count: u64, damage: u64) {
    call(calls::PROGRESS, count, damage, 0);
}

/// A page at a fixed address, for programs that ask for it by linking it in: see `program.ld`.
#[repr(C, align(4096))]
#[derive(Debug)]
pub struct Page([u64; 512]);

/// What the marked words of a page hold.
pub const MARK: u64 = 0x5ea;

impl Page {
    /// A page of zeros.
    #[must_use]
    pub const fn zeroed() -> Self {
        Self([0; 512])
    }

    /// A page whose word at `offset`, and the next, hold [`MARK`]: the rest is zero, and takes no room in the program's
    /// image.
    #[must_use]
    pub const fn marked(offset: usize) -> Self {
        let mut words = [0; 512];
        words[offset / 8] = MARK;
        words[offset / 8 + 1] = MARK;
        Self(words)
    }
}

/// Address of the page in `.target`.
pub const TARGET: u64 = 0x5000_0000;
/// Address of the page in `.target_text`.
pub const TARGET_TEXT: u64 = 0x5000_1000;
/// Address of the two pages in `.pages`.
pub const PAGES: u64 = 0x5000_2000;
/// Address of the page in `.constant`, which may only be read.
pub const CONSTANT: u64 = 0x5000_4000;
/// Address of the page in `.lone`.
pub const LONE: u64 = 0x6000_0000;
/// Address of the page in `.apart`, which has 2 MiB of memory of its own.
pub const APART: u64 = 0x7000_0000;
/// Address of the page in `.apart_text`, which has 2 MiB of memory of its own.
pub const APART_TEXT: u64 = 0x7020_0000;

/// Loads eight bytes by one LDR.
pub fn load(address: u64) -> u64 {
    let value;
    // SAFETY: callers give an address inside one of their own pages.
    unsafe { asm!("ldr {}, [{}]", out(reg) value, in(reg) address, options(nostack, readonly)) };
    value
}

/// Loads a byte by one LDRB.
pub fn load_byte(address: u64) -> u8 {
    let value: u32;
    // SAFETY: callers give an address inside one of their own pages.
    unsafe { asm!("ldrb {:w}, [{}]", out(reg) value, in(reg) address, options(nostack, readonly)) };
    value.to_le_bytes()[0]
}

/// Loads sixteen bytes by one LDP.
pub fn load_pair(address: u64) -> (u64, u64) {
    let (low, high);
    // SAFETY: callers give an address inside their own pages.
    unsafe {
        asm!("ldp {}, {}, [{}]", out(reg) low, out(reg) high, in(reg) address, options(nostack, readonly))
    };
    (low, high)
}

/// Calls the function of no argument at an address in one of the program's pages of text: what it leaves in x0.
pub fn run(address: u64) -> u64 {
    let value;
    // SAFETY: callers give the address of a function that they have linked in there.
    unsafe { asm!("blr {}", in(reg) address, out("x0") value, clobber_abi("C")) };
    value
}

/// Stores eight bytes by one STR.
pub fn store(address: u64, value: u64) {
    // SAFETY: callers give an address inside one of their own pages, of which the compiler knows nothing.
    unsafe { asm!("str {}, [{}]", in(reg) value, in(reg) address, options(nostack)) };
}

/// Writes a word of a page back as it is. From then on the page is the program's own: a page that a program has not
/// written is had again from its image when it is lost, and costs nobody anything.
pub fn own(page: u64) {
    store(page, load(page));
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    call(calls::EXIT, 101, 0, 0);
    loop {}
}
