//! `user remove --archive DIR`: the home directory into a file, and then away.

use super::sessions;
use crate::date;
use crate::failure::Failure;
use crate::output::progress;
use pam_oauth2::home::is_adoptable;
use shared::clock::{Clock, SystemClock};
use shared::types::Uid;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const MOUNTS: &str = "/proc/self/mountinfo";

/// May this directory be archived and removed: the person's own, no link on the way, nothing mounted in it?
///
/// # Errors
/// What is in the way.
pub(super) fn check(home: &str, uid: Uid, archive: &Path) -> Result<(), Failure> {
    check_home(home, uid)?;
    let archive = archive
        .canonicalize()
        .map_err(|error| Failure::Other(format!("--archive {}: {error}", archive.display())))?;
    if !archive.is_dir() || archive.starts_with(home) {
        return Err(Failure::Usage("--archive names a directory outside the home directory".into()));
    }
    if sessions::tool("tar").is_none() {
        return Err(Failure::Other("tar is not installed".into()));
    }
    Ok(())
}

fn check_home(home: &str, uid: Uid) -> Result<(), Failure> {
    if !is_adoptable(home, uid.get()) {
        return Err(Failure::Conflict(format!(
            "{home} is not archived: it must be a directory of uid {uid}, below directories that only root can write to"
        )));
    }
    match mounted_in(Path::new(home)) {
        Ok(None) => Ok(()),
        Ok(Some(mount)) => {
            Err(Failure::Conflict(format!("{} is mounted in {home}: umount it first", mount.display())))
        }
        Err(error) => Err(Failure::Conflict(format!(
            "whether something is mounted in {home} is not known ({MOUNTS}: {error}): mount /proc first"
        ))),
    }
}

/// Writes the archive, mode 0600, and syncs it; the home directory is untouched. Returns the file.
///
/// # Errors
/// tar fails, or the disk is full: nothing is left behind then. Or something was mounted since [`check`].
pub(super) fn write(home: &str, name: &str, uid: Uid, directory: &Path) -> Result<PathBuf, Failure> {
    check_home(home, uid)?;
    let now = date::moment(SystemClock::new().unix_seconds()).replace([':', '-'], "");
    let file = directory.join(format!("{name}-{uid}-{now}.tar"));
    let failed = |error: std::io::Error| Failure::Other(format!("{}: {error}", file.display()));
    let out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).map_err(failed)?;
    progress(&format!("archiving {home}"));
    let written = tar(home, &out).and_then(|()| out.sync_all().map_err(failed));
    if written.is_err() {
        let _ = std::fs::remove_file(&file);
    }
    written?;
    shared::secure_file::sync_directory_of(&file)?;
    Ok(file)
}

fn tar(home: &str, out: &File) -> Result<(), Failure> {
    let path = Path::new(home);
    let (parent, last) = (path.parent().unwrap_or(Path::new("/")), path.file_name().unwrap_or_default());
    let tar = sessions::tool("tar").unwrap_or_default();
    let failed = |what: String| Failure::Other(format!("tar of {home}: {what}"));
    let stdout = out.try_clone().map_err(|error| failed(error.to_string()))?;
    let done = Command::new(tar)
        // Not --one-file-system: a btrfs subvolume counts as another one, and would be removed and not archived.
        .args(["--create", "--file=-", "--numeric-owner", "--acls", "--xattrs"])
        .arg("--directory")
        .arg(parent)
        .arg("--")
        .arg(last)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if done.status.success() {
        return Ok(());
    }
    let said = shared::text::printable(&String::from_utf8_lossy(&done.stderr).replace('\n', " "), 512);
    Err(failed(format!("{}: {said}", done.status)))
}

/// Removes the directory and what is in it. Links are removed, never followed: the standard library walks by descriptor.
///
/// # Errors
/// The system's error, with the path. Or something was mounted in it since it was archived.
pub(super) fn remove(home: &str, uid: Uid) -> Result<(), Failure> {
    check_home(home, uid)?;
    std::fs::remove_dir_all(home).map_err(|error| Failure::Other(format!("{home}: {error}")))?;
    Ok(shared::secure_file::sync_directory_of(Path::new(home))?)
}

/// A mount point at or below this directory (proc_pid_mountinfo(5)).
fn mounted_in(home: &Path) -> std::io::Result<Option<PathBuf>> {
    let mounts = std::fs::read_to_string(MOUNTS)?;
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    // Blanks and the like are escaped there; home directories have none.
    Ok(points.map(PathBuf::from).find(|point| point.starts_with(home)))
}
