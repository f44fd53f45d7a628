//! The accounts of passwd(5), group(5) and shadow(5), as far as checks look at them.

use pam_oauth2::login::Machine;
use rustix::fs::OFlags;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Shells of accounts that nobody signs in to.
const NO_SHELLS: [&str; 2] = ["nologin", "false"];

/// uid of nobody(5), which is above 1000 and no person.
const NOBODY: u32 = 65_534;

/// Bytes of a file of keys that are read.
const KEYS: u64 = 64 * 1024;

/// A line of passwd(5), and its password's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) uid: u32,
    gid: u32,
    pub(super) home: String,
    shell: String,
    /// shadow(5) has a hash that a password can match, and no past expiry day.
    pub(super) has_password: bool,
    /// The account's own expiry day is past.
    expired: bool,
}

/// Users and the members of groups.
#[derive(Clone, Debug, Default)]
pub(super) struct Local {
    pub(super) users: Vec<User>,
    /// (name, gid, members).
    groups: Vec<(String, u32, Vec<String>)>,
}

impl Local {
    /// Reads what can be read.
    pub(super) fn read(machine: &Machine) -> Self {
        let text = |path: &Path| {
            std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
        };
        let today = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs() / 86_400);
        let shadow = text(Path::new(shared::paths::SHADOW));
        Self::parse(&text(&machine.passwd), &text(&machine.group), &shadow, today)
    }

    fn parse(passwd: &str, group: &str, shadow: &str, today: u64) -> Self {
        let mut users: Vec<User> = passwd.lines().filter_map(user).collect();
        for line in shadow.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, hash, rest @ ..] = fields.as_slice() else { continue };
            let Some(user) = users.iter_mut().find(|user| user.name == *name) else { continue };
            user.expired =
                rest.get(5).and_then(|day| day.parse::<u64>().ok()).is_some_and(|day| day <= today);
            // crypt(5): every method of today begins with $; a lock puts ! before it.
            user.has_password = hash.starts_with('$') && !user.expired;
        }
        Self { users, groups: group.lines().filter_map(members).collect() }
    }

    #[cfg(test)]
    pub(super) fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    /// The first account that looks like a person's.
    pub(super) fn first_person(&self, is_others: impl Fn(&str) -> bool) -> Option<&User> {
        self.users.iter().find(|user| {
            user.uid >= 1000
                && user.uid != NOBODY
                && !user.expired
                && user.has_shell()
                && is_others(&user.name)
        })
    }

    /// Is the user in one of these groups?
    pub(super) fn is_in(&self, user: &User, groups: &[&str]) -> bool {
        self.groups.iter().any(|(name, gid, members)| {
            groups.contains(&name.as_str()) && (*gid == user.gid || members.contains(&user.name))
        })
    }
}

impl User {
    pub(super) fn has_shell(&self) -> bool {
        let shell = Path::new(&self.shell).file_name().unwrap_or_default();
        !NO_SHELLS.iter().any(|none| shell == *none)
    }

    /// A file of keys that sshd reads by default, with something in it.
    pub(super) fn has_keys(&self) -> bool {
        ["authorized_keys", "authorized_keys2"].iter().any(|file| {
            let path = Path::new(&self.home).join(".ssh").join(file);
            beginning(&path)
                .is_ok_and(|text| text.lines().any(|line| !line.trim().is_empty() && !line.starts_with('#')))
        })
    }
}

/// The beginning of a file that its owner may have put there for us: no link, FIFO or device, and not all of a large one.
fn beginning(path: &Path) -> std::io::Result<String> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    let mut bytes = Vec::new();
    file.take(KEYS).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn user(line: &str) -> Option<User> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, _, home, shell] = fields.as_slice() else { return None };
    Some(User {
        name: (*name).to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        home: (*home).to_owned(),
        shell: (*shell).to_owned(),
        has_password: false,
        expired: false,
    })
}

fn members(line: &str) -> Option<(String, u32, Vec<String>)> {
    let mut fields = line.split(':');
    let (name, gid) = (fields.next()?, fields.nth(1)?.parse().ok()?);
    let members = fields.next().unwrap_or_default().split(',').map(str::to_owned).collect();
    Some((name.to_owned(), gid, members))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> Local {
        Local::parse(
            "root:x:0:0::/root:/bin/bash\nsvc:x:1001:1001::/:/usr/sbin/nologin\nold:x:1002:1002::/h:/bin/sh\n\
             ann:x:1003:27::/home/ann:/bin/sh\nbob:x:1004:1004::/home/bob:/bin/sh\nbad line\n",
            "sudo:x:27:bob\n",
            "root:!$y$hash:1:0:99999:7:::\nold:$y$h:1:0:99999:7::10:\nann:$y$h:1:0:99999:7:::\nbob:*:1::::::\n",
            100,
        )
    }

    #[test]
    fn a_password_is_usable_unless_it_is_locked_or_the_account_has_expired() {
        let has = |name: &str| local().user(name).unwrap().has_password;
        assert!(has("ann"));
        for name in ["root", "old", "bob", "svc"] {
            assert!(!has(name), "{name}");
        }
    }

    #[test]
    fn the_first_person_has_a_shell_and_a_future() {
        let local = local();
        assert_eq!(local.first_person(|_| true).unwrap().name, "ann");
        assert_eq!(local.first_person(|name| name != "ann").unwrap().name, "bob");
    }

    #[test]
    fn a_primary_group_counts_as_much_as_a_list_of_members() {
        let local = local();
        let is_admin = |name: &str| local.is_in(local.user(name).unwrap(), &["sudo", "wheel"]);
        assert!(is_admin("ann") && is_admin("bob") && !is_admin("old"));
    }

    #[test]
    fn keys_are_looked_for_in_files_alone_and_nothing_that_waits_or_never_ends() {
        let home = tempfile::tempdir().unwrap();
        let keys = home.path().join(".ssh/authorized_keys");
        std::fs::create_dir(home.path().join(".ssh")).unwrap();
        let user = User { home: home.path().to_str().unwrap().into(), ..User::default() };
        std::os::unix::fs::symlink("/dev/zero", &keys).unwrap();
        assert!(!user.has_keys());
        std::fs::remove_file(&keys).unwrap();
        let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &keys, fifo, mode, 0).unwrap();
        assert!(!user.has_keys());
        std::fs::remove_file(&keys).unwrap();
        std::fs::write(&keys, "# none\nssh-ed25519 AAAA ann\n").unwrap();
        assert!(user.has_keys());
    }
}
