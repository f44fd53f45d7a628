//! H: home directories.

use super::facts::Facts;
use super::report::{Finding, Verdict};
use rustix::fs::StatVfsMountFlags;
use shared::config::CreateHome;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Where the distributions install the program that makes them.
const MAKERS: [&str; 2] = ["/usr/sbin/mkhomedir_helper", "/sbin/mkhomedir_helper"];

/// statfs(2): AUTOFS_SUPER_MAGIC, NFS_SUPER_MAGIC.
const REMOTE: [i128; 2] = [0x0187, 0x6969];

const NO_HOME: &str = "People sign in and have no home directory.";

/// H1: root, and nobody else, can make a directory there.
pub(super) fn parent(facts: &Facts<'_>) -> Verdict {
    let config = facts.config()?;
    if config.accounts.create_home == CreateHome::No {
        return Err(Finding::not_applicable("\"create_home\" is no"));
    }
    let home = config.accounts.home.replace("{name}", "x");
    let parent = Path::new(&home).parent().unwrap_or(Path::new("/"));
    let shown = parent.display();
    let Ok(metadata) = std::fs::symlink_metadata(parent) else {
        let remedy = format!("install -d -m 755 {shown}");
        return Ok(Finding::fault(format!("{shown} does not exist"), NO_HOME, remedy));
    };
    let is_remote =
        rustix::fs::statfs(parent).is_ok_and(|system| REMOTE.contains(&i128::from(system.f_type)));
    if is_remote && config.accounts.create_home == CreateHome::Auto {
        return Ok(Finding::ok(format!("{shown} is an automounter's or on NFS: homes are made elsewhere")));
    }
    let others = |path: &&Path| {
        std::fs::symlink_metadata(path).is_ok_and(|file| file.uid() != 0 || file.mode() & 0o022 != 0)
    };
    if metadata.is_symlink() || !metadata.is_dir() {
        let remedy = format!(
            "sed -i 's|\"home\": *\"{shown}/|\"home\": \"'$(realpath {shown})'/|' {}",
            facts.machine.config.display()
        );
        return Ok(Finding::fault(format!("{shown} is a link, or no directory"), NO_HOME, remedy));
    }
    if let Some(open) = parent.ancestors().find(others) {
        let saw = format!("{} is not root's, or others can write to it", open.display());
        let remedy = format!("chown root:root {0} && chmod go-w {0}", open.display());
        return Ok(Finding::fault(saw, NO_HOME, remedy));
    }
    let read_only = rustix::fs::statvfs(parent).is_ok_and(|fs| fs.f_flag.contains(StatVfsMountFlags::RDONLY));
    if read_only {
        let remedy = format!("mount -o remount,rw {shown}");
        return Ok(Finding::fault(format!("{shown} is mounted read-only"), NO_HOME, remedy));
    }
    Ok(Finding::ok(format!("{shown}")))
}

/// H2: the skeleton and the program that copies it.
pub(super) fn made_of(facts: &Facts<'_>) -> Verdict {
    let accounts = &facts.config()?.accounts;
    if accounts.create_home == CreateHome::No {
        return Err(Finding::not_applicable("\"create_home\" is no"));
    }
    if !MAKERS.iter().any(|path| Path::new(path).is_file()) {
        let remedy = if Path::new("/usr/bin/apt-get").exists() {
            "apt-get install --reinstall libpam-modules-bin"
        } else {
            "dnf reinstall pam"
        };
        return Ok(Finding::fault("mkhomedir_helper is not installed", NO_HOME, remedy));
    }
    let skel = accounts.skel.display();
    if !accounts.skel.is_dir() {
        let remedy = format!("install -d -m 755 {skel}");
        return Ok(Finding::warning(
            format!("{skel} does not exist"),
            "New home directories are empty.",
            remedy,
        ));
    }
    Ok(Finding::ok(format!("mkhomedir_helper, {skel}")))
}
