//! What Linux takes for what the bench measures in our guest: `measure` counts it inside, here it is read.

use std::io::Write;
use std::time::Duration;

use super::told::Told;
use super::{Linux, command_line, orders};
use crate::backend::{Limits, Missing};

/// Half a minute is ten times what it takes on a small machine.
const WALL: Duration = Duration::from_secs(60);

/// One of Linux's figures, in instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Figure {
    /// An empty system call, by libc's `syscall`.
    Call,
    /// From the load that aborts to the first instruction of the process's SIGBUS handler.
    Handler,
    /// From the load that aborts to the parent's return from waitpid(2), after the process was killed for it.
    Kill,
}

impl Figure {
    const fn word(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Handler => "handler",
            Self::Kill => "kill",
        }
    }
}

/// What a Linux measured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Figures {
    /// The kernel's version, as it says itself.
    pub kernel: String,
    measures: Vec<(String, u64)>,
}

impl Figures {
    /// A figure. Of several rounds Linux's cheapest counts, as of our guest's the dearest does.
    #[must_use]
    pub fn of(&self, figure: Figure) -> Option<u64> {
        let rounds = self.measures.iter().filter(|(name, _)| name == figure.word());
        rounds.map(|(_, value)| *value).filter(|value| *value != 0).min()
    }

    fn by(console: &[u8], trouble: Option<String>) -> Result<Self, String> {
        let told = Told::by(console);
        match (told.kernel, told.trouble.or(trouble)) {
            (Some(kernel), None) if told.done => Ok(Self {
                kernel,
                measures: told.measures,
            }),
            (_, trouble) => Err(trouble.unwrap_or_else(|| "its init never came to its end".into())),
        }
    }
}

impl Linux {
    /// Measures; takes some seconds.
    ///
    /// # Errors
    /// [`Missing`] when QEMU cannot be started, or Linux measured nothing.
    pub fn figures(&self) -> Result<Figures, Missing> {
        let failed = |reason: String| Missing {
            what: format!("Linux's figures: {reason}"),
            fix: "cargo xtask setup".into(),
        };
        let mut initrd = tempfile::NamedTempFile::new().map_err(|error| failed(error.to_string()))?;
        initrd
            .write_all(&self.files)
            .map_err(|error| failed(error.to_string()))?;
        let arguments = command_line(&format!("{}={}", orders::NAME, orders::BENCH));
        let limits = Limits {
            wall: WALL,
            ..Limits::default()
        };
        let plain = self
            .qemu
            .boot_plain(&self.kernel_path, initrd.path(), &arguments, &limits)
            .map_err(|error| failed(error.to_string()))?;
        Figures::by(&plain.console, plain.trouble).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::{Figure, Figures};

    const CONSOLE: &str = "seawall-linux: kernel 7.2.13\nseawall-linux: measure kill 72016\n\
        seawall-linux: measure call 320\nseawall-linux: measure kill 71904\nseawall-linux: measure handler 0\n";

    #[test]
    fn linuxs_cheapest_round_counts_and_zero_is_not_measured() {
        let figures = Figures::by(format!("{CONSOLE}seawall-linux: done\n").as_bytes(), None).unwrap();
        assert_eq!(figures.of(Figure::Kill), Some(71_904));
        assert_eq!(
            (figures.of(Figure::Call), figures.of(Figure::Handler)),
            (Some(320), None)
        );
    }

    #[test]
    fn a_linux_that_did_not_come_to_its_end_has_no_figures() {
        assert!(Figures::by(CONSOLE.as_bytes(), None).is_err());
        let late = Figures::by(CONSOLE.as_bytes(), Some("it stood still".into()));
        assert_eq!(late, Err("it stood still".into()));
    }
}
