//! Break-glass: somebody of /etc/passwd must be able to come in when the provider cannot be reached.

use crate::failure::Failure;
use pam_oauth2::login::Machine;
use shared::clock::{Clock, SystemClock};
use shared::store::Store;
use std::path::Path;

/// Groups whose members may become root.
const ADMINISTRATORS: [&str; 3] = ["sudo", "wheel", "admin"];

/// Refuses a machine on which nobody but people of ours could become root.
pub(super) fn check(machine: &Machine) -> Result<(), Failure> {
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let (passwd, group) = (read(&machine.passwd), read(&machine.group));
    let shadow = read(Path::new(shared::paths::SHADOW));
    let ours: Vec<String> = Store::open(&machine.places)
        .and_then(|store| store.people())
        .map(|people| people.iter().map(|person| person.account.name.to_string()).collect())
        .unwrap_or_default();
    let today = u64::from(SystemClock::new().today().0);
    let has_key = |home: &str| {
        let keys = Path::new(home).join(".ssh/authorized_keys");
        std::fs::metadata(keys).is_ok_and(|keys| keys.is_file() && keys.len() > 0)
    };
    let found = administrators(&passwd, &group)
        .into_iter()
        .filter(|user| !ours.iter().any(|name| name == user.name))
        .any(|user| can_come_in(&shadow, user.name, today, || has_key(user.home)));
    if found {
        return Ok(());
    }
    Err(Failure::Refused(
        "no local account could become root if the provider cannot be reached: give root, or a member of sudo or wheel, a \
         password (passwd NAME) or a key (~/.ssh/authorized_keys), and try again"
            .into(),
    ))
}

struct User<'a> {
    name: &'a str,
    home: &'a str,
}

/// root, and the local members of the administrators' groups, who have a shell.
fn administrators<'a>(passwd: &'a str, group: &str) -> Vec<User<'a>> {
    let groups: Vec<Vec<&str>> = group
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .filter(|fields| fields.first().is_some_and(|name| ADMINISTRATORS.contains(name)))
        .collect();
    let is_member = |name: &str, gid: &str| {
        groups.iter().any(|fields| {
            fields.get(2) == Some(&gid)
                || fields.get(3).is_some_and(|members| members.split(',').any(|member| member == name))
        })
    };
    let user = |line: &'a str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, shell] = fields.as_slice() else { return None };
        let has_shell = !shell.ends_with("/nologin") && !shell.ends_with("/false");
        let may = *uid == "0" || is_member(name, gid);
        (may && has_shell && !name.is_empty()).then_some(User { name, home })
    };
    passwd.lines().filter_map(user).collect()
}

/// shadow(5): a password that is neither locked nor empty, or a key; and the account has not expired.
fn can_come_in(shadow: &str, name: &str, today: u64, has_key: impl FnOnce() -> bool) -> bool {
    let line = shadow.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let Some(fields) = line.into_iter().find(|fields| fields.first() == Some(&name)) else {
        return has_key();
    };
    let expires = fields.get(7).and_then(|day| day.parse::<u64>().ok());
    if expires.is_some_and(|day| day <= today) {
        return false;
    }
    let hash = fields.get(1).copied().unwrap_or_default();
    let usable = hash.starts_with('$') || (hash.len() >= 13 && !hash.starts_with(['!', '*']));
    usable || has_key()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nadm1:x:1000:27::/home/adm1:/bin/bash\n\
                          adm2:x:1001:1001::/home/adm2:/bin/sh\nno:x:1002:1002::/h:/usr/sbin/nologin\n\
                          other:x:1003:1003::/h:/bin/sh\n";
    const GROUP: &str = "sudo:x:27:adm2,no\nother:x:1003:other\n";

    #[test]
    fn administrators_are_root_and_members_with_a_shell() {
        let names: Vec<&str> = administrators(PASSWD, GROUP).iter().map(|user| user.name).collect();
        assert_eq!(names, ["root", "adm1", "adm2"]);
    }

    #[test]
    fn a_locked_an_empty_and_an_expired_account_open_nothing() {
        let shadow = "ok:$y$j9T$x:1::::::\nlocked:!$y$x:1::::::\nnone:*:1::::::\nempty::1::::::\nold:$6$x:1:::::100:\n";
        let comes = |name, key| can_come_in(shadow, name, 100, || key);
        assert!(
            comes("ok", false) && !comes("locked", false) && !comes("none", false) && !comes("empty", false)
        );
        assert!(comes("locked", true), "a key goes past a locked password");
        assert!(!comes("old", true) && !comes("old", false), "not past an expiry");
        assert!(comes("unknown", true) && !comes("unknown", false));
    }
}
