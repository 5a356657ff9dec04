//! Hands the linker the guest's layout.

fn main() {
    println!("cargo:rerun-if-env-changed=SEAWALL_BUNDLE");
    seawall_linker::link(seawall_linker::Script::Image);
}
