//! Rows of people: reading, probing, removing.

use super::{Store, StoreError, schema};
use crate::clock::Day;
use crate::config::Config;
use crate::identity::account::Account;
use crate::identity::policy;
use crate::types::{Gid, Issuer, LoginName, Subject, Uid};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

/// `identity.state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowState {
    /// Known by name, never signed in.
    Reserved,
    /// Signed in, and bound to a subject.
    Confirmed,
    /// Shut out by an administrator.
    Locked,
}

impl RowState {
    /// The word in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Confirmed => "confirmed",
            Self::Locked => "locked",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Reserved, Self::Confirmed, Self::Locked].into_iter().find(|state| state.as_str() == word)
    }
}

/// A person as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Row id.
    pub(super) id: i64,
    /// The account; supplementary groups are the provider's only, without the people group.
    pub account: Account,
    /// (issuer, subject), once bound.
    pub subject: Option<(Issuer, Subject)>,
    /// State.
    pub state: RowState,
    /// Day of the last verified sign-in.
    pub confirmed_day: Option<Day>,
    /// First day on which the account no longer works.
    pub expires_day: Option<Day>,
    /// Made to prove the PAM stacks.
    pub probe: bool,
    /// An administrator says that the home directory which is there already is theirs.
    pub adopt_home: bool,
    /// The account is one of /etc/passwd or of another source: never served from here.
    pub existing: bool,
    /// `allowed_groups` refused their last verified sign-in.
    pub revoked: bool,
}

/// The columns of a row that is read, in the order of [`person_row`].
pub(super) const COLUMNS: [&str; 17] = [
    "id",
    "login_name",
    "issuer",
    "subject",
    "uid",
    "gid",
    "gecos",
    "home",
    "shell",
    "state",
    "confirmed_day",
    "expires_day",
    "probe",
    "adopt_home",
    "existing",
    "revoked",
    "generation",
];

/// Every column of everybody, whatever the schema of the store (`schema::bridge`).
pub(super) const PERSON: &str = "* FROM person";

/// A row of [`PERSON`], without groups.
pub(super) fn person_row(row: &Row<'_>) -> rusqlite::Result<Result<Person, StoreError>> {
    let (name, state): (String, String) = (row.get(1)?, row.get(9)?);
    let (issuer, subject): (Option<String>, Option<String>) = (row.get(2)?, row.get(3)?);
    let (uid, gid): (u32, u32) = (row.get(4)?, row.get(5)?);
    let (id, gecos, home, shell) = (row.get(0)?, row.get(6)?, row.get(7)?, row.get(8)?);
    let days: (Option<u32>, Option<u32>) = (row.get(10)?, row.get(11)?);
    let (probe, adopt_home, existing, revoked) = (row.get(12)?, row.get(13)?, row.get(14)?, row.get(15)?);
    Ok((|| {
        let name = LoginName::parse(&name).map_err(|_| StoreError::Damaged("login_name"))?;
        let subject = match (issuer, subject) {
            (Some(issuer), Some(subject)) => Some((
                Issuer::parse(&issuer).map_err(|_| StoreError::Damaged("issuer"))?,
                Subject::parse(&subject).map_err(|_| StoreError::Damaged("subject"))?,
            )),
            _ => None,
        };
        let uid = Uid::new(uid).map_err(|_| StoreError::Damaged("uid"))?;
        let gid = Gid::new(gid).map_err(|_| StoreError::Damaged("gid"))?;
        Ok(Person {
            id,
            account: Account { name, uid, gid, gecos, home, shell, supplementary: Vec::new() },
            subject,
            state: RowState::parse(&state).ok_or(StoreError::Damaged("state"))?,
            confirmed_day: days.0.map(Day),
            expires_day: days.1.map(Day),
            probe,
            adopt_home,
            existing,
            revoked,
        })
    })())
}

pub(super) fn find(
    connection: &Connection,
    condition: &str,
    values: impl rusqlite::Params,
) -> Result<Option<Person>, StoreError> {
    let mut statement = connection.prepare(&format!("SELECT {PERSON} WHERE {condition}"))?;
    let Some(person) = statement.query_row(values, person_row).optional()? else { return Ok(None) };
    let mut person = person?;
    person.account.supplementary =
        groups_of(connection, person.id)?.into_iter().map(|(_, gid)| gid).collect();
    Ok(Some(person))
}

/// (provider id, gid) of a person's provider groups, by gid.
pub(super) fn groups_of(connection: &Connection, identity: i64) -> Result<Vec<(String, Gid)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT provider_id, gid FROM idp_group JOIN membership USING (provider_id) WHERE identity = ?1 ORDER BY gid",
    )?;
    let mut rows = statement.query([identity])?;
    let mut groups = Vec::new();
    while let Some(row) = rows.next()? {
        groups.push((row.get(0)?, Gid::new(row.get(1)?).map_err(|_| StoreError::Damaged("gid"))?));
    }
    Ok(groups)
}

impl Person {
    /// Does the configuration shut the person out: `allowed_users`, or `allowed_groups` at their last sign-in? Without the
    /// rule nobody is shut out by it.
    #[must_use]
    pub fn is_denied(&self, config: &Config) -> bool {
        let revoked = self.revoked && config.policy.allowed_groups.is_some();
        revoked || !self.probe && !policy::permits_user(&self.account.name, config)
    }
}

impl Store {
    /// The person of this name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn person(&self, name: &LoginName) -> Result<Option<Person>, StoreError> {
        find(&self.connection, "login_name = ?1", [name.as_str()])
    }

    /// Everybody, by name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn people(&self) -> Result<Vec<Person>, StoreError> {
        let mut statement = self.connection.prepare(&format!("SELECT {PERSON} ORDER BY login_name"))?;
        let mut people = Vec::new();
        for person in statement.query_map([], person_row)? {
            let mut person = person??;
            person.account.supplementary =
                groups_of(&self.connection, person.id)?.into_iter().map(|(_, gid)| gid).collect();
            people.push(person);
        }
        Ok(people)
    }

    /// Local names of a person's provider groups.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn group_names(&self, name: &LoginName) -> Result<Vec<String>, StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT g.name FROM idp_group g JOIN membership m USING (provider_id) \
             JOIN identity i ON i.id = m.identity WHERE i.login_name = ?1 ORDER BY g.name",
        )?;
        let names = statement.query_map([name.as_str()], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }

    /// Groups of /etc/group that an administrator has put this person into.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn local_group_names(&self, name: &LoginName) -> Result<Vec<String>, StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT group_name FROM local_membership JOIN identity ON identity = id WHERE login_name = ?1 \
             ORDER BY group_name",
        )?;
        let names = statement.query_map([name.as_str()], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }

    /// The gid of a provider's group, once it is recorded.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn group_gid(&self, provider_id: &str) -> Result<Option<Gid>, StoreError> {
        let sql = "SELECT gid FROM idp_group WHERE provider_id = ?1";
        let gid: Option<u32> = self.connection.query_row(sql, [provider_id], |row| row.get(0)).optional()?;
        gid.map(|gid| Gid::new(gid).map_err(|_| StoreError::Damaged("gid"))).transpose()
    }

    /// Removes a person; name and uid stay taken for ever. `false` if there is none of the name.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn remove(&mut self, name: &LoginName, now: u64, actor: &str) -> Result<bool, StoreError> {
        let now = seconds(now);
        schema::check_current(&self.connection)?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let Some(person) = find(&transaction, "login_name = ?1", [name.as_str()])? else { return Ok(false) };
        let generation = next_generation(&transaction)?;
        transaction.execute(
            "UPDATE idp_group SET generation = ?2 WHERE provider_id IN \
             (SELECT provider_id FROM membership WHERE identity = ?1)",
            params![person.id, generation],
        )?;
        // Somebody else had the name before, and was removed too.
        transaction.execute(
            "INSERT OR REPLACE INTO former_uid SELECT uid, login_name, issuer, subject, removed_at, ?2 \
             FROM tombstone WHERE login_name = ?1",
            params![name.as_str(), generation],
        )?;
        transaction.execute("DELETE FROM tombstone WHERE login_name = ?1", [name.as_str()])?;
        transaction.execute(
            "INSERT INTO tombstone SELECT login_name, uid, issuer, subject, ?2, ?3 FROM identity WHERE id = ?1",
            params![person.id, now, generation],
        )?;
        transaction.execute("DELETE FROM identity WHERE id = ?1", [person.id])?;
        event(&transaction, now, "removed", name.as_str(), actor, &format!("uid={}", person.account.uid))?;
        transaction.commit()?;
        Ok(true)
    }

    /// Replaces every probe row by these. No row: the probes are gone, without a tombstone.
    ///
    /// # Errors
    /// The store cannot be written; a probe's uid is somebody's.
    pub fn set_probes(&mut self, probes: &[(Account, RowState)], now: u64) -> Result<(), StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // A removal without a tombstone leaves no trace to patch by.
        let generation = next_rebuild(&transaction)?;
        transaction.execute("DELETE FROM identity WHERE probe = 1", [])?;
        for (account, state) in probes {
            transaction.execute(
                "INSERT INTO identity(login_name, uid, gid, home, shell, state, confirmed_day, probe, created_at, \
                 generation) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7 / 86400, 1, ?7, ?8)",
                params![
                    account.name.as_str(),
                    account.uid.get(),
                    account.gid.get(),
                    account.home,
                    account.shell,
                    state.as_str(),
                    seconds(now),
                    generation
                ],
            )?;
        }
        transaction.commit()?;
        Ok(())
    }
}

/// The generation of a change that cannot be patched into what is published: the next publication starts anew.
pub(super) fn next_rebuild(connection: &Connection) -> Result<i64, StoreError> {
    let generation = next_generation(connection)?;
    connection.execute("UPDATE meta SET rebuild_generation = ?1", [generation])?;
    Ok(generation)
}

/// The generation of the change that is being made.
pub(super) fn next_generation(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.query_row(
        "UPDATE meta SET generation = generation + 1 RETURNING generation",
        [],
        |row| row.get(0),
    )?)
}

/// A line of the audit trail.
pub(super) fn event(
    connection: &Connection,
    at: i64,
    kind: &str,
    name: &str,
    actor: &str,
    detail: &str,
) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO event(at, kind, login_name, actor, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![at, kind, name, actor, detail],
    )?;
    Ok(())
}

/// SQLite's integers are signed.
pub(super) fn seconds(unix: u64) -> i64 {
    i64::try_from(unix).unwrap_or(i64::MAX)
}
