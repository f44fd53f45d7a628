//! What is published of a name, and what its absence means.

use super::{Machine, PROBE_PREFIX};
use crate::admission::is_adopted;
use crate::host::Resolved;
use crate::outcome::{Barred, LoginError};
use shared::clock::Day;
use shared::config::Config;
use shared::etc::LocalNames;
use shared::first_login::{self, FirstLogin};
use shared::identity::account::Account;
use shared::identity::policy;
use shared::prospective::{self, Absent, Surroundings};
use shared::secure_file::{self, SecureFileError};
use shared::snapshot::{MappedFile, Snapshot, SnapshotError, State};
use shared::store::{LOCKED_NAME_SHELL, RowState, Store};
use shared::types::LoginName;

/// A name, as published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// A row.
    Row(Row),
    /// Somebody who was removed.
    Removed,
    /// Nothing.
    Nobody,
}

/// A published row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) entry: Resolved,
    pub(super) state: State,
    pub(super) confirmed_day: Option<u32>,
    pub(super) expires_day: Option<u32>,
    pub(super) max_confirmation_age: Option<u32>,
    pub(super) services: String,
    /// Served by our NSS module; otherwise the account is one of /etc/passwd or of another source.
    pub(super) is_served: bool,
}

impl Row {
    /// Is this the entry that the row stands for? Home, shell and primary group of an account that is not ours are its
    /// keeper's to change (chsh(1), usermod(8)).
    pub(super) fn is_of(&self, resolved: &Resolved) -> bool {
        let same =
            |entry: &Resolved| (entry.name.clone(), entry.uid) == (resolved.name.clone(), resolved.uid);
        if self.is_served { self.entry == *resolved } else { same(&self.entry) }
    }

    /// Is it the name that is locked, whatever uid its account has now? Not so where we served the account: a user of
    /// /etc/passwd who has only the name is somebody else.
    pub(super) fn locks_name(&self) -> bool {
        self.state == State::Locked && !self.is_served && self.entry.shell == LOCKED_NAME_SHELL
    }

    /// Why this row lets nobody in today, if so.
    pub(super) fn barred(&self, today: Day) -> Option<Barred> {
        match self.state {
            State::Locked => Some(Barred::Locked),
            _ if self.expires_day.is_some_and(|day| day <= today.0) => Some(Barred::Expired),
            State::Denied => Some(Barred::Denied),
            State::Reserved | State::Confirmed => None,
        }
    }
}

/// What the published database says about a name. `None`: there is no published database.
pub(super) fn standing(machine: &Machine, name: &str) -> Result<Option<Standing>, LoginError> {
    let file = match MappedFile::open_owned_by(machine.nss_db(), machine.places.owner) {
        Ok(file) => file,
        Err(SnapshotError::Missing) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let snapshot = Snapshot::open(file.bytes())?;
    if let Some(person) = snapshot.person_by_name(name.as_bytes())? {
        let header = snapshot.header()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        return Ok(Some(Standing::Row(Row {
            entry: Resolved {
                name: person.name.to_owned(),
                uid: person.uid.get(),
                gid: person.gid.get(),
                home: text(person.home),
                shell: text(person.shell),
            },
            state: person.state,
            confirmed_day: person.confirmed_day,
            expires_day: person.expires_day,
            max_confirmation_age: header.max_confirmation_age,
            services: header.services.to_owned(),
            is_served: person.visible,
        })));
    }
    let removed = snapshot.name_is_tombstoned(name.as_bytes())?;
    Ok(Some(if removed { Standing::Removed } else { Standing::Nobody }))
}

/// Did the uid belong to somebody who was removed?
pub(super) fn was_removed(machine: &Machine, uid: u32) -> bool {
    MappedFile::open_owned_by(machine.nss_db(), machine.places.owner).is_ok_and(|file| {
        Snapshot::open(file.bytes()).is_ok_and(|db| db.uid_is_tombstoned(uid).unwrap_or(false))
    })
}

/// The parameters of first logins; `None` before `oauth2ctl enable sshd`.
pub(super) fn parameters(machine: &Machine) -> Result<Option<FirstLogin>, LoginError> {
    let places = &machine.places;
    match secure_file::read(&places.first_login, places.owner, first_login::LIMIT) {
        Err(SecureFileError::Missing(_)) => Ok(None),
        Err(error) => Err(LoginError::FirstLogin(error.to_string())),
        Ok(contents) => std::str::from_utf8(&contents.bytes)
            .map_err(|error| error.to_string())
            .and_then(|text| FirstLogin::parse(text).map_err(|error| error.to_string()))
            .map(Some)
            .map_err(LoginError::FirstLogin),
    }
}

/// The account of an entry that a published row stands for.
pub(super) fn account_of(entry: &Resolved) -> Result<Account, LoginError> {
    let name = LoginName::parse(&entry.name).map_err(Absent::from)?;
    let refused = |_| LoginError::Snapshot(SnapshotError::Refused("an id"));
    Ok(Account {
        name,
        uid: shared::types::Uid::new(entry.uid).map_err(refused)?,
        gid: shared::types::Gid::new(entry.gid).map_err(refused)?,
        gecos: String::new(),
        home: entry.home.clone(),
        shell: entry.shell.clone(),
        supplementary: Vec::new(),
    })
}

/// The home of a reserved row is there already: has an administrator said that it is theirs? Only the live store knows.
pub(super) fn home_is_adopted(machine: &Machine, account: &Account) -> Result<bool, LoginError> {
    let person = Store::open(&machine.places)?.person(&account.name)?;
    Ok(person.is_some_and(|person| person.account.home == account.home && is_adopted(&person)))
}

/// Whom nothing but the groups of their last sign-in shut out, and how far they had come before: `None` is everybody else. What
/// is published does not say which rule it was.
pub(super) fn revoked(machine: &Machine, row: &Row, config: &Config) -> Option<RowState> {
    let name = LoginName::parse(&row.entry.name).ok()?;
    if row.state != State::Denied || !policy::permits_user(&name, config) {
        return None;
    }
    // A store that cannot be read lets nobody try.
    let person = Store::open(&machine.places).and_then(|store| store.person(&name)).ok().flatten();
    let person = person.filter(|person| person.revoked && person.account.uid.get() == row.entry.uid)?;
    (person.state != RowState::Locked).then_some(person.state)
}

/// The account that a name nobody knows would get, by the same function that the NSS module uses.
pub(super) fn prospective_account(
    machine: &Machine,
    name: &str,
    local: &LocalNames,
    parameters: &FirstLogin,
) -> Result<Account, Absent> {
    let file =
        MappedFile::open_owned_by(machine.nss_db(), machine.places.owner).map_err(|_| Absent::Unreadable)?;
    let snapshot = Snapshot::open(file.bytes()).map_err(|_| Absent::Unreadable)?;
    let around = Surroundings { local, published: &snapshot, exists: &prospective::exists };
    prospective::account(name, parameters, &around)
}

/// Why the host resolves nobody of a name that is not published.
pub(super) fn why_absent(
    machine: &Machine,
    name: &str,
    local: &LocalNames,
    config: &Config,
) -> Result<LoginError, LoginError> {
    let Some(parameters) = parameters(machine)? else { return Ok(LoginError::NotEnabled) };
    if parameters.config_digest != config.digest {
        return Ok(LoginError::ConfigChanged);
    }
    Ok(match prospective_account(machine, name, local, &parameters) {
        Err(absent) => absent.into(),
        // It would be there, and yet the host does not see it.
        Ok(_) => LoginError::NotResolved,
    })
}

pub(super) fn is_probe(name: &str) -> bool {
    name.starts_with(PROBE_PREFIX)
}
