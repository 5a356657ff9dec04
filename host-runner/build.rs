//! Puts every scenario of this folder into the binary, so that the command needs no files to run them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let variable = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .ok_or_else(|| io::Error::other(format!("cargo did not set {name}")))
    };
    let folder = variable("CARGO_MANIFEST_DIR")?.join("scenarios");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let mut code = String::from("&[\n");
    for file in &files {
        println!("cargo::rerun-if-changed={}", file.display());
        let name = file.file_stem().map(Path::new).unwrap_or(file).display();
        let _ = writeln!(
            code,
            "    ({:?}, include_str!({:?})),",
            name.to_string(),
            file.display().to_string()
        );
    }
    code.push_str("]\n");
    fs::write(variable("OUT_DIR")?.join("scenarios.rs"), code)
}
