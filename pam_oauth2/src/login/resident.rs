//! Users of /etc/passwd: whether one is ours, may become so, or notices nothing of us.

use super::known::{self, Standing};
use super::{LOCAL_PROFILE, Machine};
use crate::host::{Host, Resolved};
use crate::outcome::{LoginError, NotOurs};
use shared::config::{Config, LocalUsers, Provisioning};
use shared::etc::LocalNames;
use shared::identity::account::Account;
use shared::identity::admissible::is_reserved;
use shared::identity::privileged::is_privileged;
use shared::prospective::exists;
use shared::types::{FIRST_ID, Gid, LoginName, Uid};

/// What /etc/passwd makes of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Residence {
    /// No user there.
    None,
    /// A user there who is ours: published, or removed, under the same uid; or one of a locked name.
    Ours,
    /// A user there of whom we know nothing.
    Stranger,
    /// The account of a verified sign-in that was killed between useradd(8) and the store's record: nobody's yet.
    Unfinished,
    /// Root, a service, or somebody whom another entry of the same name shadows.
    NotOurs,
}

/// Step 0 of every phase. Needs /etc/passwd, and the published database for users of 1000 and more.
///
/// # Errors
/// [`LoginError::Etc`].
pub(super) fn residence(machine: &Machine, name: &str) -> Result<Residence, LoginError> {
    let passwd = std::fs::read(&machine.passwd).map_err(LoginError::Etc)?;
    let local = LocalNames::parse(&passwd, b"");
    let Some(line) = local.user(name) else { return Ok(Residence::None) };
    if line.uid < FIRST_ID {
        return Ok(Residence::NotOurs);
    }
    // Whatever is wrong with the published database, a user of the machine is none the worse for it.
    Ok(match known::standing(machine, name) {
        Ok(Some(Standing::Row(row))) if row.entry.uid == line.uid || row.locks_name() => Residence::Ours,
        Ok(Some(Standing::Removed)) if known::was_removed(machine, line.uid) => Residence::Ours,
        Ok(Some(Standing::Nobody)) if is_unfinished(machine, name, &passwd) => Residence::Unfinished,
        _ => Residence::Stranger,
    })
}

/// Is this, byte for byte, the account that useradd(8) would make for the name here, as it left it: in our own range of
/// uids, with its private group or none yet, without a password, without a home directory? Only root writes /etc/passwd, and only a
/// verified sign-in of ours makes such a line. Whoever may not read what decides is told no.
fn is_unfinished(machine: &Machine, name: &str, passwd: &[u8]) -> bool {
    let Ok(Some(parameters)) = known::parameters(machine) else { return false };
    if parameters.profile != LOCAL_PROFILE {
        return false;
    }
    let Some(others) = machine.local().ok().and_then(|local| others(&local, name)) else { return false };
    let Ok(account) = known::prospective_account(machine, name, &others, &parameters) else { return false };
    let Account { uid, gid, gecos, home, shell, .. } = &account;
    let expected = format!("{name}:x:{uid}:{gid}:{gecos}:{home}:{shell}");
    lines_of(passwd, name).eq([expected.as_bytes()])
        // Whatever `adopt_homes` says: an account with a home may be one that somebody has used, forgotten by the store.
        && !exists(home, None)
        && std::fs::read(&machine.shadow).is_ok_and(|shadow| has_no_password(&shadow, name))
        && machine.load_config().is_ok_and(|loaded| loaded.config.provisioning == Provisioning::Useradd)
}

/// The machine's own names but for this user and the private group, which may be missing: useradd(8) writes it later.
/// `None` where there is no such user, or the group's name or number is another one's.
pub(super) fn others(local: &LocalNames, name: &str) -> Option<LocalNames> {
    let id = local.user(name)?.uid;
    if local.group.iter().any(|line| (line.name == name) != (line.gid == id)) {
        return None;
    }
    let mut others = local.clone();
    others.passwd.retain(|line| line.name != name || line.uid != id);
    others.group.retain(|line| line.name != name || line.gid != id);
    Some(others)
}

fn lines_of<'a>(text: &'a [u8], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let is_theirs =
        |line: &&[u8]| line.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b":"));
    text.split(|byte| *byte == b'\n').filter(is_theirs)
}

/// As useradd(8) leaves it: `!`, or `!!` on Enterprise Linux; no line where it was killed before. With a password the
/// account has become somebody's.
pub(crate) fn has_no_password(shadow: &[u8], name: &str) -> bool {
    let mut passwords = lines_of(shadow, name).map(|line| line.split(|byte| *byte == b':').nth(1));
    matches!((passwords.next(), passwords.next()), (None | Some(Some(b"!" | b"!!")), None))
}

/// The account of somebody who exists already and whom nobody has confirmed yet: they may sign in if the configuration lets
/// users of the machine do so (`local_users`), or finds people elsewhere (`provisioning: none`).
///
/// # Errors
/// They notice nothing of us.
pub(super) fn existing(
    host: &dyn Host,
    config: &Config,
    local: &LocalNames,
    name: LoginName,
    resolved: &Resolved,
) -> Result<Account, NotOurs> {
    let not_ours = |_| NotOurs::LocalUser;
    if resolved.name != name.as_str() || is_reserved(name.as_str()) {
        return Err(NotOurs::LocalUser);
    }
    let (uid, gid) = (Uid::new(resolved.uid).map_err(not_ours)?, Gid::new(resolved.gid).map_err(not_ours)?);
    let listed = config.policy.allowed_users.as_ref().is_some_and(|users| users.contains(&name));
    if !listed && is_in_privileged_group(host, local, resolved) {
        log::info!(
            "{name} is in a privileged group: only allowed_users or oauth2ctl user bind lets them sign in"
        );
        return Err(NotOurs::LocalUser);
    }
    Ok(Account {
        name,
        uid,
        gid,
        gecos: String::new(),
        home: resolved.home.clone(),
        shell: resolved.shell.clone(),
        supplementary: Vec::new(),
    })
}

/// May users of /etc/passwd sign in, as far as can be told? A configuration that cannot be read lets nobody.
pub(super) fn are_allowed(machine: &Machine) -> bool {
    machine.load_config().is_ok_and(|loaded| loaded.config.local_users == LocalUsers::Allow)
}

/// Any provider's word must not make root of somebody's name. What cannot be told counts as yes.
fn is_in_privileged_group(host: &dyn Host, local: &LocalNames, resolved: &Resolved) -> bool {
    let Ok(groups) = host.groups(&resolved.name, resolved.gid) else { return true };
    // Another name of the same gid in /etc/group counts too.
    let alias = |gid: u32| local.group.iter().any(|line| line.gid == gid && is_privileged(&line.name));
    groups.iter().any(|(gid, name)| is_privileged(name) || alias(*gid))
}
