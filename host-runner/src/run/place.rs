//! Where the parts lie that a run needs: the guest's Image, the shim, the lab's kernel and init.

use std::env;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::backend::Missing;
use crate::lab;

/// The guest's file name among the artefacts.
pub const IMAGE: &str = "seawall.Image";

/// Where to look.
#[derive(Args, Clone, Debug, Default)]
pub struct PlaceArguments {
    /// The folder with seawall.Image and the files beside it; by default that of this command, or the nearest target/seawall
    #[arg(long, value_name = "DIR")]
    pub artefacts: Option<PathBuf>,
    /// The arm64 Linux Image that the lab boots
    #[arg(long, value_name = "PATH", env = "SEAWALL_KERNEL")]
    pub kernel: Option<PathBuf>,
    /// Another guest than the one among the artefacts
    #[arg(long, value_name = "PATH")]
    pub image: Option<PathBuf>,
}

impl PlaceArguments {
    /// The folder of the artefacts.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        if let Some(named) = &self.artefacts {
            return named.clone();
        }
        let beside = env::current_exe()
            .ok()
            .and_then(|exe| exe.parent().map(Path::to_owned));
        if let Some(folder) = &beside
            && folder.join(IMAGE).is_file()
        {
            return folder.clone();
        }
        let here = env::current_dir().ok();
        let above = |start: &PathBuf| {
            start
                .ancestors()
                .map(|folder| folder.join("target/seawall"))
                .find(|folder| folder.is_dir())
        };
        let found = here
            .as_ref()
            .and_then(above)
            .or_else(|| beside.as_ref().and_then(above));
        found.unwrap_or_else(|| PathBuf::from("target/seawall"))
    }

    /// The guest's Image.
    #[must_use]
    pub fn image(&self) -> PathBuf {
        self.image.clone().unwrap_or_else(|| self.folder().join(IMAGE))
    }

    /// Reads the guest's Image.
    ///
    /// # Errors
    /// [`Missing`], with the line that builds it.
    pub fn read_image(&self) -> Result<Vec<u8>, Missing> {
        let path = self.image();
        let missing = |problem: String| Missing {
            what: format!("the guest's Image: {} {problem}", path.display()),
            fix: "cargo xtask build".into(),
        };
        if let Some(problem) = lab::image_problem(&path) {
            return Err(missing(problem));
        }
        std::fs::read(&path).map_err(|error| missing(format!("cannot be read: {error}")))
    }

    /// Looks at each path that was given by hand, whether or not the backend will: who names one wants that one and no
    /// other.
    ///
    /// # Errors
    /// Which path is wrong, and what it has to be.
    pub fn check(&self) -> Result<(), String> {
        let images = [
            (
                "--kernel, or SEAWALL_KERNEL",
                &self.kernel,
                "an uncompressed arm64 Linux Image",
            ),
            (
                "--image",
                &self.image,
                "a guest as an arm64 Linux Image, such as target/seawall/seawall.Image",
            ),
        ];
        for (option, path, wanted) in images {
            let Some(path) = path else { continue };
            if let Some(problem) = lab::image_problem(path) {
                let path = path.display();
                return Err(format!(
                    "{option}: {path} {problem}; it has to be {wanted}, with `ARM\\x64` at offset 0x38"
                ));
            }
        }
        let Some(folder) = &self.artefacts else {
            return Ok(());
        };
        // Another guest was named: that of the folder is not asked for.
        let problem = match &self.image {
            None => {
                lab::image_problem(&folder.join(IMAGE)).map(|problem| format!("{IMAGE} in there {problem}"))
            }
            Some(_) => std::fs::read_dir(folder)
                .err()
                .map(|error| format!("it cannot be read: {error}")),
        };
        problem.map_or(Ok(()), |problem| {
            Err(format!(
                "--artefacts: {}: {problem}; it has to be the folder that `cargo xtask build` fills, target/seawall",
                folder.display()
            ))
        })
    }
}

/// Whether a program is on the path.
pub(super) fn on_path(program: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}
