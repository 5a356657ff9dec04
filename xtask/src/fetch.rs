//! The lab's kernel out of the distribution's archive, through its own package tool.

use std::cmp::Reverse;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::apt::PrivateApt;
use crate::kernel::{Kernel, Which, store};
use crate::linux_image::{is_gzip, numbers};
use crate::process::say;
use crate::sources::{Distribution, Source, system_sources};

/// How deep the chain from the metapackage to the package with the Image may be.
const CHAIN: usize = 4;

/// Tries the suites, those first that are likelier to have what is meant.
pub(crate) fn fetch(cache: &Path, which: Which) -> Result<Kernel> {
    let distribution = Distribution::of_this_machine()?;
    let sources = system_sources()?;
    let archive = distribution
        .archive(&sources)
        .with_context(|| format!("no apt source of this system offers {}", distribution.codename))?;
    let codename = &distribution.codename;
    let (metapackage, suites) = if distribution.is_ubuntu {
        (
            "linux-image-generic",
            vec![format!("{codename}-updates"), codename.clone()],
        )
    } else {
        let own = [format!("{codename}-backports"), codename.clone()];
        let others = match which {
            Which::Newest => ["sid"].iter(),
            Which::Older => ["bookworm-backports", "trixie"].iter(),
        };
        let mut suites: Vec<String> = others.map(|suite| (*suite).to_owned()).chain(own).collect();
        suites.dedup();
        ("linux-image-arm64", suites)
    };
    let mut reasons = Vec::new();
    for suite in suites {
        say(format!(
            "lab kernel: asking {} {suite} for {metapackage} (arm64)",
            archive.uris.join(" ")
        ));
        match fetch_from(cache, archive, &suite, metapackage, which) {
            Ok(kernel) => {
                say(format!(
                    "lab kernel: {} is in {}",
                    kernel.version,
                    kernel.image.display()
                ));
                return Ok(kernel);
            }
            Err(error) => reasons.push(format!("{suite}: {error:#}")),
        }
    }
    bail!("no arm64 kernel through apt ({})", reasons.join("; "));
}

fn fetch_from(
    cache: &Path,
    archive: &Source,
    suite: &str,
    metapackage: &str,
    which: Which,
) -> Result<Kernel> {
    let temporary = tempfile::Builder::new().prefix("seawall-kernel-").tempdir()?;
    // apt gives up root for its own user while it downloads, and that user must get here.
    fs::set_permissions(temporary.path(), fs::Permissions::from_mode(0o755))?;
    let apt = PrivateApt::new(temporary.path(), archive, suite)?;
    apt.update()?;
    let package = chain_end(metapackage, |name| apt.depends(name))
        .with_context(|| format!("no {metapackage} for arm64 there"))?;
    ensure!(
        numbers(&package).is_some_and(|found| which.includes(found)),
        "{package} is not of the versions that are meant"
    );
    say(format!("lab kernel: downloading {package}"));
    let file = apt.download(&package)?;
    let image = unpack(&file, &temporary.path().join("unpacked"))?;
    store(cache, &image, which)
}

/// Follows the metapackage to the package that has the Image: from Linux 7.2 on Debian's `linux-image-…` itself
/// depends on `linux-binary-…`.
fn chain_end(metapackage: &str, depends: impl Fn(&str) -> Result<Vec<String>>) -> Result<String> {
    let mut package = metapackage.to_owned();
    for _ in 0..CHAIN {
        let next = depends(&package)?
            .into_iter()
            .find(|name| is_kernel_package(name) && *name != package);
        match next {
            Some(name) => package = name,
            None if is_kernel_package(&package) => return Ok(package),
            None => bail!("{package} leads to no kernel package"),
        }
    }
    bail!("{metapackage} leads too far: {package}");
}

fn is_kernel_package(name: &str) -> bool {
    let rest = name
        .strip_prefix("linux-binary-")
        .or_else(|| name.strip_prefix("linux-image-"));
    rest.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// The Image out of a package, decompressed if the distribution keeps it compressed. Only that one member is
/// unpacked: the modules beside it are hundreds of megabytes.
fn unpack(package: &Path, into: &Path) -> Result<PathBuf> {
    fs::create_dir_all(into)?;
    let mut unpacker = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run `dpkg-deb`")?;
    let tar = unpacker.stdout.take().context("dpkg-deb has no stdout")?;
    let patterns = [
        "./boot/vmlinuz-*",
        "./usr/lib/modules/*/vmlinuz",
        "./lib/modules/*/vmlinuz",
    ];
    // tar complains of the patterns that match nothing: what counts is what is there afterwards.
    let _ = Command::new("tar")
        .args(["--extract", "--wildcards", "--no-same-owner", "--directory"])
        .arg(into)
        .args(patterns)
        .stdin(tar)
        .stderr(Stdio::null())
        .status()
        .context("cannot run `tar`")?;
    unpacker.wait()?;
    let mut found = files_below(into, 6)?;
    found.sort_by_key(|path| Reverse(fs::metadata(path).map_or(0, |metadata| metadata.len())));
    let image = found.into_iter().next().context("the package has no vmlinuz")?;
    if !is_gzip(&image)? {
        return Ok(image);
    }
    let plain = into.join("Image");
    let target = fs::File::create(&plain)?;
    let status = Command::new("gzip")
        .arg("-dc")
        .arg(&image)
        .stdout(target)
        .status()?;
    ensure!(status.success(), "gzip ended with {status}");
    Ok(plain)
}

fn files_below(folder: &Path, depth: usize) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() && depth > 0 {
            files.extend(files_below(&entry.path(), depth - 1)?);
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::chain_end;

    #[test]
    fn metapackage_is_followed_to_the_package_with_the_image() {
        let graph = |name: &str| {
            let names: &[&str] = match name {
                "linux-image-arm64" => &["linux-base-arm64", "linux-image-7.2.13-arm64"],
                "linux-image-7.2.13-arm64" => &["kmod", "linux-binary-7.2.13-arm64"],
                _ => &["linux-base"],
            };
            Ok(names.iter().map(|name| (*name).to_owned()).collect())
        };
        assert_eq!(
            chain_end("linux-image-arm64", graph).unwrap(),
            "linux-binary-7.2.13-arm64"
        );
        assert!(chain_end("linux-image-none", graph).is_err());
    }
}
