//! The command `seawall`. As the init of a lab it does init's work first, which runs it again as a command; as that
//! of a Linux that is compared with, it does that alone.

use std::process::ExitCode;

use seawall_host_runner::{command, lab, linux};

fn main() -> ExitCode {
    if lab::is_init() {
        lab::init();
    }
    if linux::is_init() {
        linux::init();
    }
    command::main(std::env::args_os())
}
