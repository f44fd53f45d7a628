//! What of a person stays on the machine after their removal: files that carry their name or their number.

use super::processes::Numbers;
use super::sessions::{self, Owner};
use super::subids;
use crate::failure::Failure;
use pam_oauth2::Commands;
use pam_oauth2::home::RunCommand;
use serde::Serialize;
use shared::etc::LocalNames;
use std::path::{Path, PathBuf};

/// Debian's and Enterprise Linux's.
const CRONTABS: [&str; 2] = ["/var/spool/cron/crontabs", "/var/spool/cron"];
const MAIL: [&str; 2] = ["/var/mail", "/var/spool/mail"];

/// What is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Leftovers {
    pub(super) home: Option<String>,
    pub(super) crontabs: Vec<PathBuf>,
    pub(super) mail: Vec<PathBuf>,
    pub(super) at_jobs: Vec<String>,
    pub(super) linger: bool,
    pub(super) processes: usize,
    /// Lines of /etc/subuid and /etc/subgid: they stay, under the name or the number, so that nobody else gets the range.
    pub(super) subordinate_ids: Vec<String>,
    /// Groups of /etc/group that list the name.
    pub(super) groups: Vec<String>,
}

impl Leftovers {
    pub(super) fn find(owner: &Owner<'_>, home: &str, local: &LocalNames) -> Result<Self, Failure> {
        let mut found = Self {
            home: std::fs::symlink_metadata(home).is_ok().then(|| home.to_owned()),
            at_jobs: sessions::at_jobs_of(owner)?,
            linger: sessions::lingers(owner),
            processes: if crate::image::is_image() {
                0
            } else {
                Numbers::of(owner, local)?.processes().len()
            },
            subordinate_ids: subids::lines_of(&owner.uid.to_string())?,
            ..Self::default()
        };
        if owner.by_name {
            found.crontabs = files(&CRONTABS, owner.name);
            found.mail = files(&MAIL, owner.name);
            found.subordinate_ids.extend(subids::lines_of(owner.name)?);
            found.groups = groups_of(owner.name);
        }
        Ok(found)
    }

    /// One line each, for a reader.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let path = |path: &PathBuf| path.display().to_string();
        lines.extend(self.home.iter().map(|home| format!("home directory {home}")));
        lines.extend(self.crontabs.iter().map(|file| format!("crontab {}", path(file))));
        lines.extend(self.mail.iter().map(|file| format!("mail {}", path(file))));
        lines.extend(self.at_jobs.iter().map(|job| format!("at job {job}")));
        lines.extend(self.linger.then(|| "lingering (loginctl)".to_owned()));
        lines.extend((self.processes > 0).then(|| format!("{} process(es)", self.processes)));
        lines.extend(
            self.subordinate_ids.iter().map(|line| format!("subordinate ids {line}: nobody else gets them")),
        );
        lines.extend(self.groups.iter().map(|group| format!("a place in the group {group} of /etc/group")));
        lines
    }

    /// Is there anything but the home directory, and the numbers that stay taken?
    pub(super) fn can_be_purged(&self) -> bool {
        let others = Self { home: None, subordinate_ids: Vec::new(), ..self.clone() };
        others != Self::default()
    }

    /// Takes away what carries the name, but not the home directory; what cannot be taken away keeps nothing else from it.
    /// Returns what it was.
    ///
    /// # Errors
    /// Each thing that is still there.
    pub(super) fn purge(&self, owner: &Owner<'_>) -> (Self, Result<(), Failure>) {
        let mut done = Self::default();
        let mut failures = Vec::new();
        let mut remove = |file: &PathBuf| match std::fs::remove_file(file) {
            // A link is removed as a link.
            Ok(()) => true,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => {
                failures.push(Failure::Other(format!("{}: {error}", file.display())));
                false
            }
        };
        done.crontabs = self.crontabs.iter().filter(|file| remove(file)).cloned().collect();
        done.mail = self.mail.iter().filter(|file| remove(file)).cloned().collect();
        for group in &self.groups {
            match leave(owner.name, group) {
                Ok(()) => done.groups.push(group.clone()),
                Err(failure) => failures.push(failure),
            }
        }
        (done, sessions::all_or(failures))
    }
}

fn leave(name: &str, group: &str) -> Result<(), Failure> {
    let gpasswd = sessions::tool("gpasswd")
        .ok_or_else(|| Failure::Other("gpasswd is not installed: edit /etc/group by hand".into()))?;
    Commands.run(&gpasswd, &["-d", name, group]).map_err(|error| Failure::Other(error.to_string()))
}

/// The file of this name in the first of two directories that has it; they may be links to each other.
fn files(directories: &[&str], name: &str) -> Vec<PathBuf> {
    let paths = directories.iter().map(|directory| Path::new(directory).join(name));
    let is_file = |path: &PathBuf| std::fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_dir());
    let mut found: Vec<PathBuf> = paths.filter(is_file).collect();
    let real = |path: &PathBuf| path.parent().and_then(|parent| parent.canonicalize().ok());
    found.dedup_by_key(|path| real(path));
    found
}

/// Groups of /etc/group with this name in their member lists.
fn groups_of(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(shared::paths::GROUP).unwrap_or_default();
    let group = |line: &str| {
        let mut fields = line.split(':');
        let group = fields.next()?.to_owned();
        let members = fields.nth(2)?;
        members.split(',').any(|member| member == name).then_some(group)
    };
    text.lines().filter_map(group).collect()
}
