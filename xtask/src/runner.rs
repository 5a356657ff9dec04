//! The runner that was built, as a child: with the lab's kernel named, and bounded in time.

use std::process::Command;
use std::time::Duration;

use crate::kernel::Kernel;
use crate::workspace::Workspace;

/// The runner bounds itself; this is for a runner that does not.
pub(crate) const LIMIT: Duration = Duration::from_secs(600);

/// `target/seawall/seawall`, with the kernel that set-up found and no other.
pub(crate) fn command(workspace: &Workspace) -> Command {
    let mut command = Command::new(workspace.artefact("seawall"));
    command.current_dir(&workspace.root);
    let kernel = workspace.artefact("lab-kernel.Image");
    if kernel.exists() {
        command.env("SEAWALL_KERNEL", kernel);
    } else {
        command.env_remove("SEAWALL_KERNEL");
    }
    command
}

/// The same, with the lab on this kernel.
pub(crate) fn with_kernel(workspace: &Workspace, kernel: &Kernel) -> Command {
    let mut command = command(workspace);
    command.env("SEAWALL_KERNEL", &kernel.image);
    command
}
