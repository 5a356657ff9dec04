//! Links the shim by its script.

fn main() {
    seawall_linker::link(seawall_linker::Script::Shim);
}
