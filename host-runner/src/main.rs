//! The command `seawall`. As the init of a lab it does init's work first, which runs it again as a command.

use std::process::ExitCode;

use seawall_host_runner::{command, lab};

fn main() -> ExitCode {
    if lab::is_init() {
        lab::init();
    }
    command::main(std::env::args_os())
}
