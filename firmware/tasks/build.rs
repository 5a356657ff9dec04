//! Hands the linker the layout of a program.

fn main() {
    seawall_linker::link(seawall_linker::Script::Program);
}
