//! `--root DIR`: a machine that does not run, such as an image that is being built.

use crate::failure::Failure;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

static IMAGE: AtomicBool = AtomicBool::new(false);

/// Makes DIR the root directory of this process and of what it starts, as useradd(8) and systemd's tools do with
/// theirs: every path, also the one of `--config`, is one inside it.
///
/// # Errors
/// Not root, or no such directory.
pub(crate) fn enter(root: &Path) -> Result<(), Failure> {
    let failed = |errno: rustix::io::Errno| Failure::Other(format!("--root {}: {errno}", root.display()));
    rustix::process::chdir(root).map_err(failed)?;
    rustix::process::chroot(".").map_err(failed)?;
    rustix::process::chdir("/").map_err(failed)?;
    IMAGE.store(true, Ordering::Relaxed);
    Ok(())
}

/// Is this an image? Then no service runs that could be told of a change.
pub(crate) fn is_image() -> bool {
    IMAGE.load(Ordering::Relaxed)
}
