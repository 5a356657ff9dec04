//! `cargo xtask`: set-up, build, test and bench of Seawall, one command each, for people and for CI alike.
//!
//! | command | what it does | where |
//! | --- | --- | --- |
//! | `setup` | Rust targets and components, QEMU, the lab kernel | `setup`, `qemu`, `kernel`, `fetch`, `sources`, `apt` |
//! | `build` | guest, programs, shim and runner into `target/seawall/` | `artefacts`, `bundle`, `compact`, `image` |
//! | `demo` | set-up, build, the demo scenarios on both backends | `demo` |
//! | `test` | set-up, build and every check there is | `suite`, `steps`, `tally` |
//! | `boots` | the bare guest on a matrix of QEMU machines | `boots` |
//! | `bad-input` | the bare guest on trees, places and arguments that are wrong | `bad_input` |
//! | `mutants` | steps of recovery made to do nothing: scenarios must fail | `mutants` |
//! | `fuzz` | made-up bytes for the ports, the journal, plans and scenarios | `fuzz` |
//! | `bench` | the guest's numbers beside their limits | `bench` |
//!
//! Exit codes are those of the runner: 0 pass, 1 fail, 2 usage, 3 environment, 4 skipped.

mod apt;
mod artefacts;
mod bad_input;
mod bench;
mod boots;
mod bundle;
mod compact;
mod demo;
mod doctor;
#[cfg(test)]
mod documents;
mod fetch;
mod fuzz;
mod image;
mod kernel;
mod linux_image;
mod mutants;
mod process;
mod qemu;
mod runner;
mod setup;
mod sources;
mod steps;
mod suite;
mod tally;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::process::Environment;
use crate::workspace::Workspace;

/// Set-up, build, test and bench of Seawall.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install what is missing: Rust targets and components, QEMU, an arm64 kernel for the lab
    Setup(KernelChoice),
    /// Build the guest, its programs, the shim and the runner into target/seawall/
    Build(KernelChoice),
    /// Set up, build, and run the demo scenarios on QEMU and under real KVM
    Demo(KernelChoice),
    /// Set up, build, and run every check
    Test {
        #[command(flatten)]
        kernel: KernelChoice,
        /// Leave out Miri, the boot matrix and fuzzing
        #[arg(long)]
        quick: bool,
    },
    /// Boot the bare guest on every combination of GIC, CPU, memory and exception level
    Boots,
    /// Boot the bare guest on bad input: it must end soon, and say why
    BadInput,
    /// Make steps of recovery and its barriers do nothing, one at a time: scenarios must fail
    Mutants {
        /// Those whose name contains one of these alone
        names: Vec<String>,
    },
    /// Fuzz what takes bytes of a guest, a file or a host
    Fuzz {
        /// These targets alone
        targets: Vec<String>,
        /// For so long, each
        #[arg(long, default_value_t = 60)]
        seconds: u32,
        /// Take what was found into the tree's corpus: the least of it that reaches as much
        #[arg(long)]
        keep: bool,
    },
    /// Print the guest's instruction counts and sizes beside their limits; fail where one is over
    Bench {
        /// Fail also where a number could not be measured
        #[arg(long)]
        check: bool,
    },
}

#[derive(Debug, Args)]
struct KernelChoice {
    /// The arm64 Linux Image that the lab boots, instead of a fetched one
    #[arg(long, value_name = "PATH", env = "SEAWALL_KERNEL")]
    kernel: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(&cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: error: {error:#}");
            ExitCode::from(if error.downcast_ref::<Environment>().is_some() {
                3
            } else {
                1
            })
        }
    }
}

fn dispatch(command: &Command) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::find()?;
    match command {
        Command::Setup(choice) => {
            let ready = setup::run(&workspace, choice.kernel.as_deref(), setup::Scope::Test)?;
            ready.report();
            Ok(ExitCode::SUCCESS)
        }
        Command::Build(choice) => {
            let ready = setup::run(&workspace, choice.kernel.as_deref(), setup::Scope::Build)?;
            artefacts::build(&workspace, &ready.lab)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Demo(choice) => demo::run(&workspace, choice.kernel.as_deref()),
        Command::Test { kernel, quick } => suite::run(&workspace, kernel.kernel.as_deref(), *quick),
        Command::Boots => boots::run(&workspace),
        Command::BadInput => bad_input::run(&workspace),
        Command::Mutants { names } => mutants::run(&workspace, names),
        Command::Fuzz {
            targets,
            seconds,
            keep,
        } => fuzz::run(&workspace, targets, *seconds, *keep),
        Command::Bench { check } => bench::run(&workspace, *check),
    }
}
