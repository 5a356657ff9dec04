//! A private apt beside the system's own.
//!
//! Mirror, keyring and components are those of the system's configuration; only the suite and the
//! architecture are ours. Lists, status and downloads live in a folder of our own, and of the system's
//! settings only `Acquire` (proxies, certificates) is taken over, so that no hook of the system runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::process::capture;
use crate::sources::Source;

/// An apt for arm64 with one suite and a folder of its own.
#[derive(Debug)]
pub(crate) struct PrivateApt {
    folder: PathBuf,
}

impl PrivateApt {
    /// Lays the folder out; nothing is fetched yet.
    pub(crate) fn new(folder: &Path, archive: &Source, suite: &str) -> Result<Self> {
        for name in ["lists/partial", "cache/archives/partial", "sources", "download"] {
            fs::create_dir_all(folder.join(name))?;
        }
        fs::write(folder.join("status"), "")?;
        fs::write(folder.join("sources/lab.sources"), entry(archive, suite))?;
        let settings = capture(Command::new("apt-config").arg("dump"))?;
        fs::write(folder.join("apt.conf"), configuration(&settings, folder))?;
        Ok(Self {
            folder: folder.to_path_buf(),
        })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("APT_CONFIG", self.folder.join("apt.conf"))
            .env("LC_ALL", "C");
        command.current_dir(self.folder.join("download"));
        command
    }

    /// Fetches the package lists of the suite.
    pub(crate) fn update(&self) -> Result<()> {
        capture(self.command("apt-get").args(["-q", "update"])).map(drop)
    }

    /// The packages that `package` depends on, by name.
    pub(crate) fn depends(&self, package: &str) -> Result<Vec<String>> {
        let shown = capture(self.command("apt-cache").args(["depends", package]))?;
        Ok(shown
            .lines()
            .filter_map(|line| line.trim().trim_start_matches('|').strip_prefix("Depends: "))
            .map(str::to_owned)
            .collect())
    }

    /// Downloads `package`, verified against the signed lists; the path of the file.
    pub(crate) fn download(&self, package: &str) -> Result<PathBuf> {
        capture(self.command("apt-get").args(["-q", "download", package]))?;
        for file in fs::read_dir(self.folder.join("download"))? {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "deb") {
                return Ok(path);
            }
        }
        bail!("apt-get downloaded no file for {package}");
    }
}

/// The private source entry. `main` alone where there is one: kernels are there, and lists are large.
fn entry(archive: &Source, suite: &str) -> String {
    let components = if archive.components.iter().any(|component| component == "main") {
        "main".to_owned()
    } else {
        archive.components.join(" ")
    };
    let mut text = format!(
        "Types: deb\nURIs: {}\nSuites: {suite}\nComponents: {components}\nArchitectures: arm64\n",
        archive.uris.join(" ")
    );
    if let Some(keyring) = &archive.signed_by {
        text.push_str(&format!("Signed-By: {keyring}\n"));
    }
    text
}

/// The private configuration: the system's `Acquire` settings, and every folder our own.
fn configuration(system: &str, folder: &Path) -> String {
    let mut text: String = system
        .lines()
        .filter(|line| line.starts_with("Acquire::") && !line.starts_with("Acquire::IndexTargets"))
        .map(|line| format!("{line}\n"))
        .collect();
    let folder = folder.display();
    text.push_str(&format!(
        r#"APT::Architecture "arm64";
APT::Architectures "arm64";
APT::Update::Error-Mode "any";
Acquire::Retries "1";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Dir::State "{folder}";
Dir::State::lists "{folder}/lists";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{folder}/sources";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
"#
    ));
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{configuration, entry};
    use crate::sources::Source;

    #[test]
    fn private_entry_keeps_mirror_and_keyring_and_takes_main_alone() {
        let key = "\n -----BEGIN-----\n .\n abc";
        let archive = Source {
            uris: vec!["http://m.example/debian".to_owned()],
            suites: vec!["bookworm".to_owned()],
            components: vec!["contrib".to_owned(), "main".to_owned()],
            signed_by: Some(key.to_owned()),
        };
        let expected = "Types: deb\nURIs: http://m.example/debian\nSuites: sid\nComponents: main\n\
            Architectures: arm64\n";
        assert_eq!(entry(&archive, "sid"), format!("{expected}Signed-By: {key}\n"));
        assert_eq!(
            entry(
                &Source {
                    signed_by: None,
                    ..archive
                },
                "sid"
            ),
            expected
        );
    }

    #[test]
    fn private_configuration_takes_proxies_and_no_hooks() {
        let system = "APT::Update::Post-Invoke \"rm\";\nAcquire::http::Proxy \"http://p.example\";\n\
            Acquire::IndexTargets \"\";\n";
        let text = configuration(system, Path::new("/private"));
        assert!(text.contains("Acquire::http::Proxy \"http://p.example\";"));
        assert!(!text.contains("Post-Invoke"));
        assert!(text.contains("Dir::Etc::sourceparts \"/private/sources\";"));
    }
}
