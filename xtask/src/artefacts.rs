//! Builds everything that runs, in the order in which one needs the other, and lays it out in
//! `target/seawall/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::bundle::bundle;
use crate::compact::compact;
use crate::image::flat;
use crate::kernel::{self, Kernel};
use crate::linux_image;
use crate::process::{cargo, say, shown};
use crate::workspace::{BARE_METAL, STATIC_ARM64, Workspace};

/// One program that cargo built.
#[derive(Debug)]
struct Binary {
    name: String,
    path: PathBuf,
}

/// Builds all artefacts; the lab's kernel, or its absence, is put beside them.
pub(crate) fn build(workspace: &Workspace, lab: &Result<Kernel, String>) -> Result<()> {
    let folder = workspace.artefacts();
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    kernel::place(workspace, lab.as_ref().ok())?;

    let programs = bins(workspace, "seawall-tasks", Some(BARE_METAL), None)?;
    let bundle = workspace.artefact("bundle.bin");
    write(&bundle, &bundled(programs)?)?;

    let guest = bins(workspace, "seawall-firmware", Some(BARE_METAL), Some(&bundle))?;
    let guest = guest_image(workspace, &one(guest, "seawall-firmware")?, "seawall")?;
    linux_image::check_start(&guest).context("the guest's own image")?;
    let shim = bins(workspace, "seawall-shim", Some(BARE_METAL), None)?;
    guest_image(workspace, &one(shim, "seawall-shim")?, "shim")?;

    let runner = bins(workspace, "seawall-host-runner", None, None)?;
    install(&one(runner, "seawall")?, &workspace.artefact("seawall"))?;
    let runner = bins(workspace, "seawall-host-runner", Some(STATIC_ARM64), None)?;
    install(&one(runner, "seawall")?, &workspace.artefact("seawall-arm64"))
}

/// Builds the guest alone, of a workspace that may be a changed copy, into `image`.
pub(crate) fn guest(workspace: &Workspace, bundle: &Path, image: &Path) -> Result<PathBuf> {
    let built = bins(workspace, "seawall-firmware", Some(BARE_METAL), Some(bundle))?;
    let binary = one(built, "seawall-firmware")?;
    write(image, &flat(&read(&binary.path)?)?)?;
    Ok(image.to_path_buf())
}

/// What runs in the guest is built for its instruction counts, what runs on a host for a short build.
fn profile(target: Option<&str>) -> &'static str {
    if target == Some(BARE_METAL) {
        "guest"
    } else {
        "release"
    }
}

/// Builds a package's programs and returns them sorted by name.
fn bins(
    workspace: &Workspace,
    package: &str,
    target: Option<&str>,
    bundle: Option<&Path>,
) -> Result<Vec<Binary>> {
    say(format!(
        "building {package} for {}",
        target.unwrap_or("this host")
    ));
    let mut command = cargo();
    command.current_dir(&workspace.root).args([
        "build",
        "--profile",
        profile(target),
        "--bins",
        "--package",
        package,
    ]);
    command.arg("--message-format=json-render-diagnostics");
    if let Some(target) = target {
        command.args(["--target", target]);
    }
    if let Some(bundle) = bundle {
        command.env("SEAWALL_BUNDLE", bundle);
    }
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run `{}`", shown(&command)))?;
    if !output.status.success() {
        bail!("`{}` ended with {}", shown(&command), output.status);
    }
    let mut found = executables(&String::from_utf8_lossy(&output.stdout));
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

/// The programs among cargo's messages, wherever its target directory is.
fn executables(messages: &str) -> Vec<Binary> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter_map(|message| {
            Some(Binary {
                name: message["target"]["name"].as_str()?.to_owned(),
                path: PathBuf::from(message["executable"].as_str()?),
            })
        })
        .collect()
}

fn one(binaries: Vec<Binary>, name: &str) -> Result<Binary> {
    binaries
        .into_iter()
        .find(|binary| binary.name == name)
        .with_context(|| format!("cargo built no program `{name}`"))
}

fn bundled(programs: Vec<Binary>) -> Result<Vec<u8>> {
    let programs = programs
        .into_iter()
        .map(|program| {
            let file = read(&program.path)?;
            let small = compact(&file).with_context(|| format!("program `{}`", program.name))?;
            Ok((program.name, small))
        })
        .collect::<Result<Vec<_>>>()?;
    bundle(&programs)
}

/// `NAME.elf` with its symbols, and `NAME.Image` as a boot loader takes it.
fn guest_image(workspace: &Workspace, binary: &Binary, name: &str) -> Result<Vec<u8>> {
    let file = read(&binary.path)?;
    let image = flat(&file).with_context(|| format!("program `{}`", binary.name))?;
    write(&workspace.artefact(&format!("{name}.elf")), &file)?;
    write(&workspace.artefact(&format!("{name}.Image")), &image)?;
    Ok(image)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Replaces the file in one step, and only if it would change.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let folder = path.parent().context("an artefact has a folder")?;
    let temporary = tempfile::NamedTempFile::new_in(folder)?;
    fs::write(temporary.path(), bytes)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(temporary.path(), mode)?;
    temporary
        .persist(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

fn install(binary: &Binary, path: &Path) -> Result<()> {
    write(path, &read(&binary.path)?)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(path, mode).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::executables;

    #[test]
    fn programs_are_read_from_cargo_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"libc"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"load"},"executable":"/t/load"}"#,
            "\nnot json\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let found = executables(messages);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, "load");
    }
}
