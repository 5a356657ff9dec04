//! The command line.

mod bench;
pub mod complain;
mod doctor;
pub mod explain;
mod help;
mod list;
mod show;

use std::env;
use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use clap::builder::Resettable;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use crate::events::Totals;
use crate::run::{self, RunArguments};

/// How the command ends. The numbers are stable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Everything passed.
    Pass = 0,
    /// Something failed.
    Fail = 1,
    /// The command line or a scenario is wrong; nothing was run.
    Usage = 2,
    /// The host lacks something.
    Environment = 3,
    /// Everything was skipped.
    Skipped = 4,
    /// A VM's budget was overdrawn: it was saved, to go on elsewhere, and nothing failed.
    Evacuated = 5,
    /// Something was still running at its limit, and nothing else failed.
    Timeout = 124,
}

impl Exit {
    /// The exit code for these counts.
    #[must_use]
    pub const fn of(totals: &Totals) -> Self {
        match totals {
            Totals { failed: 1.., .. } => Self::Fail,
            Totals { timed_out: 1.., .. } => Self::Timeout,
            Totals { evacuated: 1.., .. } => Self::Evacuated,
            Totals { passed: 1.., .. } | Totals { saved: 1.., .. } => Self::Pass,
            Totals { skipped: 1.., .. } => Self::Skipped,
            // A run that ran nothing has shown nothing.
            _ => Self::Fail,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// When to use colours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum ColourChoice {
    /// On terminals, unless NO_COLOR says otherwise
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl ColourChoice {
    /// For anstream, which knows NO_COLOR, CLICOLOR and CLICOLOR_FORCE.
    #[must_use]
    pub const fn anstream(self) -> anstream::ColorChoice {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
    }
}

/// Replays memory errors into an arm64 guest and says what they cost.
#[derive(Parser, Debug)]
#[command(name = "seawall", version, after_help = help::EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run scenarios and give their verdicts
    #[command(after_help = help::RUN)]
    Run(RunArguments),
    /// List scenarios
    #[command(after_help = help::LIST)]
    List(list::ListArguments),
    /// Show a scenario: what it teaches and cites, what Linux does, where it runs, and its text
    #[command(after_help = help::SHOW)]
    Show(show::ShowArguments),
    /// Say what a value of ESR_ELx or DISR_EL1 means
    #[command(after_help = help::EXPLAIN)]
    Explain(explain::ExplainArguments),
    /// Print the guest's instruction counts beside their limits
    Bench(bench::BenchArguments),
    /// Say what this host can do, and what each missing thing costs
    Doctor(doctor::DoctorArguments),
    /// Try in the sandbox of a vCPU's thread what it forbids; `seawall doctor` runs this
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    SandboxProbe {
        /// What is tried
        probe: crate::kvm::sandbox::probe::Probe,
    },
}

/// The command line. A variable that is empty counts as one that is not set.
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let is_empty = |name: &OsStr| env::var_os(name).is_some_and(|value| value.is_empty());
    let unset = |arg: clap::Arg| match arg.get_env() {
        Some(name) if is_empty(name) => arg.env(Resettable::Reset),
        _ => arg,
    };
    let command = Cli::command().mut_subcommands(|command| command.mut_args(unset));
    Cli::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

/// Runs the command line.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match parse(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Clap's own code for usage is 2 as well; help and version are 0. A closed pipe is nobody's error.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let exit = match &cli.command {
        Command::Run(arguments) => run::run(arguments),
        Command::List(arguments) => list::list(arguments),
        Command::Show(arguments) => show::show(arguments),
        Command::Explain(arguments) => explain::explain(arguments),
        Command::Bench(arguments) => bench::bench(arguments),
        Command::Doctor(arguments) => doctor::doctor(arguments),
        #[cfg(target_os = "linux")]
        Command::SandboxProbe { probe } => match probe.run() {
            Ok(()) => Exit::Pass,
            Err(error) => {
                say!("seawall: {error}");
                Exit::Environment
            }
        },
    };
    exit.into()
}
