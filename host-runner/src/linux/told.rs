//! What a Linux told by its console: how the process ended, by init's own line, or that the kernel did, by its own.

use crate::escape;
use crate::scenario::LinuxOutcome;

/// What every line of init's begins with.
pub(super) const MARK: &str = "seawall-linux: ";
/// The kernel's last words [Linux `kernel/panic.c`].
const PANIC: &str = "Kernel panic - not syncing:";
/// A fault of the kernel's own [Linux `arch/arm64/kernel/traps.c`, `__die`].
const OOPS: &str = "Internal error:";
/// What a kernel says of an SError that it does not survive [Linux `arch/arm64/kernel/traps.c`, `arm64_serror_panic`].
const SERROR: &str = "SError Interrupt on CPU";
/// What it says of a signal for a fault [Linux `arch/arm64/kernel/traps.c`, `arm64_show_signal`].
const SIGNAL: &str = "unhandled exception:";

// Signals [Linux `include/uapi/asm-generic/signal.h`].
const SIGBUS: i32 = 7;
const SIGKILL: i32 = 9;

/// What was told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Told {
    /// The kernel's version, as it says itself.
    pub(super) kernel: Option<String>,
    /// How it ended; the reason where that cannot be said.
    pub(super) outcome: Result<LinuxOutcome, String>,
    /// What init says that it could not do.
    pub(super) trouble: Option<String>,
    /// The lines that say it.
    pub(super) lines: Vec<String>,
    /// Each figure, by its name.
    pub(super) measures: Vec<(String, u64)>,
    /// Init came to its end.
    pub(super) done: bool,
}

impl Told {
    /// Reads a console.
    pub(super) fn by(console: &[u8]) -> Self {
        let mut told = Self {
            kernel: None,
            outcome: Err(String::new()),
            trouble: None,
            lines: Vec::new(),
            measures: Vec::new(),
            done: false,
        };
        let (mut panicked, mut oopsed, mut ended) = (false, false, None);
        for line in escape::lines(console) {
            let text = without_time(&line);
            if let Some((_, own)) = text.split_once(MARK) {
                match own.split_once(' ').unwrap_or((own, "")) {
                    ("kernel", version) => told.kernel = Some(version.to_owned()),
                    ("measure", figure) => told.measures.extend(measure(figure)),
                    ("failed:", reason) => told.trouble = Some(reason.to_owned()),
                    ("done", _) => told.done = true,
                    _ => {
                        ended = Some(own.to_owned());
                        told.lines.push(format!("the process: {own}"));
                    }
                }
            } else if [PANIC, OOPS, SERROR, SIGNAL]
                .iter()
                .any(|words| text.contains(words))
                || is_kernels_place(text)
            {
                panicked |= text.contains(PANIC);
                oopsed |= text.contains(OOPS);
                told.lines.push(text.to_owned());
            }
        }
        told.outcome = match &told.trouble {
            Some(trouble) => Err(trouble.clone()),
            None => outcome(panicked, oopsed, ended.as_deref()),
        };
        told
    }
}

fn outcome(panicked: bool, oopsed: bool, ended: Option<&str>) -> Result<LinuxOutcome, String> {
    if panicked {
        return Ok(LinuxOutcome::Panic);
    }
    if oopsed {
        return Ok(LinuxOutcome::Oops);
    }
    let ended = ended.ok_or("its console says neither that the kernel stopped nor how the process ended")?;
    let number = |word: &str| {
        ended
            .strip_prefix(word)
            .and_then(|number| number.parse::<i32>().ok())
    };
    match (number("signal "), number("exited ")) {
        (Some(SIGBUS), _) => Ok(LinuxOutcome::SigBus),
        (Some(SIGKILL), _) => Ok(LinuxOutcome::SigKill),
        (_, Some(0)) => Ok(LinuxOutcome::CarriesOn),
        // Above the last number of an error stands a process that never came so far.
        (_, Some(1..=133)) => Ok(LinuxOutcome::Error),
        _ => Err(format!("the process ended in a way that says nothing: {ended}")),
    }
}

/// Where the kernel itself was, by its symbol: `pc : __arch_copy_from_user+0x180/0x240`.
fn is_kernels_place(text: &str) -> bool {
    text.strip_prefix("pc : ")
        .is_some_and(|place| place.contains('+'))
}

fn measure(figure: &str) -> Option<(String, u64)> {
    let (name, value) = figure.split_once(' ')?;
    Some((name.to_owned(), value.parse().ok()?))
}

/// A kernel's line without its time, `[    0.123456] `.
fn without_time(line: &str) -> &str {
    line.strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
        .filter(|(time, _)| time.trim().parse::<f64>().is_ok())
        .map_or(line, |(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(text: &str) -> Told {
        Told::by(text.replace('\n', "\r\n").as_bytes())
    }

    // What Linux 7.2.13 wrote, but for the registers.
    const SERROR_CONSOLE: &str = "seawall-linux: kernel 7.2.13+deb14-arm64\n\
        [    0.678787] SError Interrupt on CPU0, code 0x00000000be000c11 -- SError\n\
        [    0.678793] CPU: 0 UID: 0 PID: 93 Comm: init Tainted: G   M\n\
        [    0.678943] Kernel panic - not syncing: Asynchronous SError Interrupt\n";
    const OOPS_CONSOLE: &str = "[    0.68] Internal error: synchronous external abort: 0000000096000010 [#1]  SMP\n\
        [    0.68] pc : __arch_copy_from_user+0x180/0x240\n\
        seawall-linux: signal 11\n\
        seawall-linux: done\n";

    #[test]
    fn a_kernel_that_stops_says_so_itself() {
        let told = by(SERROR_CONSOLE);
        assert_eq!(told.kernel.as_deref(), Some("7.2.13+deb14-arm64"));
        assert_eq!((told.outcome, told.done), (Ok(LinuxOutcome::Panic), false));
        assert_eq!(
            told.lines,
            [
                "SError Interrupt on CPU0, code 0x00000000be000c11 -- SError",
                "Kernel panic - not syncing: Asynchronous SError Interrupt"
            ]
        );
    }

    #[test]
    fn a_kernel_that_faults_and_goes_on_is_told_from_one_that_stops() {
        let told = by(OOPS_CONSOLE);
        assert_eq!((told.outcome, told.done), (Ok(LinuxOutcome::Oops), true));
        assert_eq!(told.lines[1], "pc : __arch_copy_from_user+0x180/0x240");
        let hung = by(
            "Internal error: x\nseawall-linux: has not ended after 10 s, and waits in 0\nseawall-linux: done\n",
        );
        assert_eq!(hung.outcome, Ok(LinuxOutcome::Oops));
        assert!(
            by("seawall-linux: has not ended after 10 s, and waits in 0\n")
                .outcome
                .is_err()
        );
        let stops = format!(
            "{OOPS_CONSOLE}[ 0.7] Kernel panic - not syncing: synchronous external abort: Fatal exception\n"
        );
        assert_eq!(by(&stops).outcome, Ok(LinuxOutcome::Panic));
    }

    #[test]
    fn how_a_process_ended_is_its_parents_word() {
        for (line, outcome) in [
            ("signal 7", Some(LinuxOutcome::SigBus)),
            ("signal 9", Some(LinuxOutcome::SigKill)),
            ("exited 0", Some(LinuxOutcome::CarriesOn)),
            ("exited 14", Some(LinuxOutcome::Error)),
            ("signal 11", None),
            ("exited 200", None),
            ("exited", None),
        ] {
            assert_eq!(by(&format!("{MARK}{line}\n")).outcome.ok(), outcome, "{line}");
        }
        assert!(by("").outcome.is_err());
        let failed = by("seawall-linux: failed: /dev/mem: Permission denied\nseawall-linux: exited 0\n");
        assert_eq!(failed.outcome, Err("/dev/mem: Permission denied".into()));
    }

    #[test]
    fn figures_are_read_and_what_is_no_figure_is_left_out() {
        let told = by(
            "seawall-linux: measure call 321\nseawall-linux: measure call x\nseawall-linux: measure kill 72000\n",
        );
        assert_eq!(
            told.measures,
            [("call".to_owned(), 321), ("kill".to_owned(), 72_000)]
        );
        assert!(told.outcome.is_err());
    }
}
