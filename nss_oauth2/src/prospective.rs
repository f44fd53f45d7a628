//! The entry of somebody the machine has never seen, for the first login (design, section 4): sshd holds on to what
//! getpwnam(3) said before the person signed in. Only root's sshd gets it; to everybody else the name is absent.
//!
//! What decides is passed in, so that it can be tested: [`Sources`] are files, [`root_inside_sshd`] is asked by the
//! entry points alone.

use crate::lookup::{GroupEntry, LookupError, PasswdEntry};
use rustix::fs::{CWD, readlinkat_raw};
use shared::etc::LocalNames;
use shared::first_login::{self, FirstLogin};
use shared::identity::account::Account;
use shared::prospective::{self, Absent, Surroundings};
use shared::snapshot::{SharedSnapshot, Snapshot, SnapshotError};
use shared::types::is_login_name;
use shared::{paths, secure_file};
use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// The files that say who could sign in.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// `private/first-login`. Its absence says that nobody can: the account stacks have not been proved.
    pub parameters: &'a Path,
    /// Whose file that must be.
    pub owner: u32,
    /// passwd(5).
    pub passwd: &'a Path,
    /// group(5).
    pub group: &'a Path,
}

impl Sources<'static> {
    /// Those of the machine.
    #[must_use]
    pub fn of_machine() -> Self {
        Self {
            parameters: Path::new(paths::FIRST_LOGIN),
            owner: secure_file::ROOT,
            passwd: Path::new(paths::PASSWD),
            group: Path::new(paths::GROUP),
        }
    }
}

/// Who a name would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prospect {
    /// Nobody.
    Absent,
    /// Somebody who has been published since the database was asked: ask again.
    Published,
    /// The account that the first login would make.
    Account(Box<Account>),
}

impl<'a> From<&'a Account> for PasswdEntry<'a> {
    fn from(account: &'a Account) -> Self {
        Self {
            name: account.name.as_str(),
            uid: account.uid.get(),
            gid: account.gid.get(),
            gecos: account.gecos.as_bytes(),
            home: account.home.as_bytes(),
            shell: account.shell.as_bytes(),
        }
    }
}

impl<'a> GroupEntry<'a> {
    /// The private group of the account.
    #[must_use]
    pub fn prospective(account: &'a Account) -> Self {
        Self { name: account.name.as_str(), gid: account.gid.get(), members: None }
    }
}

/// Who `name`, whom `database` does not know, would be.
///
/// # Errors
/// The database cannot be read, or /etc/passwd and /etc/group cannot: then nothing may be said about anybody.
pub fn prospect(
    database: &SharedSnapshot,
    name: &[u8],
    sources: Sources<'_>,
) -> Result<Prospect, LookupError> {
    // Before any file is opened: sshd is asked for whatever a scanner types.
    let Some(name) = std::str::from_utf8(name).ok().filter(|_| is_login_name(name)) else {
        return Ok(Prospect::Absent);
    };
    let Some(parameters) = parameters(sources) else { return Ok(Prospect::Absent) };
    let local = LocalNames::read(sources.passwd, sources.group).map_err(LookupError::Local)?;
    let found = database.query(|snapshot| {
        if snapshot.person_by_name(name.as_bytes())?.is_some() {
            return Ok(Some(Prospect::Published));
        }
        derive(snapshot, name, &parameters, &local).map(Some)
    })?;
    Ok(found.unwrap_or(Prospect::Absent))
}

/// None where the file is missing, not trusted or not understood: `oauth2ctl publish` says so.
fn parameters(sources: Sources<'_>) -> Option<FirstLogin> {
    let contents = secure_file::read(sources.parameters, sources.owner, first_login::LIMIT).ok()?;
    FirstLogin::parse(std::str::from_utf8(&contents.bytes).ok()?).ok()
}

fn derive(
    snapshot: Snapshot<'_>,
    name: &str,
    parameters: &FirstLogin,
    local: &LocalNames,
) -> Result<Prospect, SnapshotError> {
    let around = Surroundings { local, published: &snapshot, exists: &prospective::exists };
    match prospective::account(name, parameters, &around) {
        Ok(account) => Ok(Prospect::Account(Box::new(account))),
        Err(Absent::Unreadable) => Err(SnapshotError::Damaged("a row that a first login depends on")),
        Err(_) => Ok(Prospect::Absent),
    }
}

/// Programs of OpenSSH that resolve the name of who logs in: `sshd`, and since 9.8 `sshd-session`, where Debian and
/// Ubuntu, Fedora and Enterprise Linux, SUSE, Arch and Alpine keep them (`/usr/bin` where /usr/sbin is a link to it).
const SSHD: [&str; 7] = [
    "/usr/sbin/sshd",
    "/usr/bin/sshd",
    "/usr/lib/openssh/sshd-session",
    "/usr/libexec/openssh/sshd-session",
    "/usr/libexec/ssh/sshd-session",
    "/usr/lib/ssh/sshd-session",
    "/usr/lib/misc/sshd-session",
];

/// Bytes: more than any of these has, ` (deleted)` and all.
const LONGEST: usize = 128;

/// Is this process sshd, with root's rights?
#[must_use]
pub fn root_inside_sshd() -> bool {
    /// What this program is: it stays so until execve(2), which begins with a new module, and through fork(2).
    static PROGRAM: AtomicU8 = AtomicU8::new(UNKNOWN);
    const UNKNOWN: u8 = 0;
    const SSHD: u8 = 1;
    const OTHER: u8 = 2;
    if PROGRAM.load(Relaxed) == UNKNOWN {
        // Not std's read_link: it asks for memory, and every process that misses a name comes by here. What does not fit
        // is cut off, and none of ours.
        let mut room = [MaybeUninit::uninit(); LONGEST];
        // Without /proc nothing is concluded, and asked again.
        let Ok((program, _)) = readlinkat_raw(CWD, c"/proc/self/exe", &mut room) else { return false };
        PROGRAM.store(if is_sshd(program) { SSHD } else { OTHER }, Relaxed);
    }
    PROGRAM.load(Relaxed) == SSHD && rustix::process::geteuid().is_root()
}

/// The kernel adds ` (deleted)` when the file was replaced under the running program (proc_pid_exe(5)).
fn is_sshd(program: &[u8]) -> bool {
    let program = program.strip_suffix(b" (deleted)").unwrap_or(program);
    SSHD.iter().any(|sshd| sshd.as_bytes() == program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sshd_is_known_by_its_path_also_after_an_upgrade() {
        for path in ["/usr/sbin/sshd", "/usr/lib/openssh/sshd-session (deleted)"] {
            assert!(is_sshd(path.as_bytes()), "{path}");
        }
        for path in ["/home/ann/sshd", "/usr/sbin/sshd2", "/usr/sbin/sshd (deleted) (deleted)", "sshd", ""] {
            assert!(!is_sshd(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn the_longest_path_leaves_room_so_that_a_path_which_is_cut_off_is_none_of_them() {
        assert!(SSHD.iter().all(|sshd| sshd.len() + " (deleted)".len() < LONGEST));
    }

    #[test]
    fn a_test_is_not_sshd() {
        assert!(!root_inside_sshd());
    }
}
