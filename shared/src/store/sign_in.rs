//! Recording a verified sign-in.

use super::former::{former_name, shut_out, tombstone, uid_is_retired};
use super::people::{Person, RowState, event, find, next_generation, seconds};
use super::{Store, StoreError};
use crate::clock::Day;
use crate::identity::account::Account;
use crate::types::{Gid, GroupName, Issuer, LoginName, Subject};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

/// A mapped group that the provider says the person is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupClaim {
    /// The provider's id, the key.
    pub provider_id: String,
    /// `group_map`.
    pub name: GroupName,
    /// The derived gid, used when the group is recorded for the first time.
    pub gid: Gid,
}

/// What a verified and admitted sign-in says.
#[derive(Clone, Debug)]
pub struct SignIn<'a> {
    /// The account that the host holds; a known person's must be the same.
    pub account: &'a Account,
    /// Who vouches.
    pub issuer: &'a Issuer,
    /// Whom the issuer means.
    pub subject: &'a Subject,
    /// All mapped groups.
    pub groups: &'a [GroupClaim],
    /// UTC day.
    pub today: Day,
    /// Seconds since 1970.
    pub now: u64,
    /// The day is published (an age limit is configured).
    pub publish_day: bool,
    /// The account is one of /etc/passwd or of another source, whose keeper may change all of it but name and uid.
    pub existing: bool,
}

/// What recording changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The first sign-in of this person.
    pub first: bool,
    /// Local names of groups that were added.
    pub added: Vec<String>,
    /// Local names of groups that were taken away.
    pub removed: Vec<String>,
    /// Groups left out because their gid or name is taken.
    pub refused_groups: Vec<String>,
}

/// Why a sign-in was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The name is bound to somebody else.
    #[error("the name is bound to another subject of the provider")]
    SubjectMismatch {
        /// Who vouches for whoever signed in.
        issuer: Issuer,
        /// Whoever signed in.
        subject: Subject,
    },
    /// The person has another name here.
    #[error("the provider's subject is known here as {0}")]
    KnownAs(LoginName),
    /// The name, or its uid, belonged to somebody who was removed or has another one now.
    #[error("the person was removed, or the name or its uid belonged to somebody else before")]
    Tombstoned,
    /// The uid is somebody else's.
    #[error("the uid is taken: settle it with uid_overrides")]
    UidCollision,
    /// The recorded account is not the one that the host holds.
    #[error("the recorded account differs from the one that the host resolved")]
    AccountChanged,
    /// The row is locked or a probe.
    #[error("the account is locked")]
    Locked,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for RecordError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// Is a sign-in of this subject under this name one that [`Store::record`] would take? Reads only; asked before
    /// anything is provisioned. Returns the row of the name.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn check_binding(
        &self,
        name: &LoginName,
        issuer: &Issuer,
        subject: &Subject,
    ) -> Result<Option<Person>, RecordError> {
        check_binding(&self.connection, name, issuer, subject)
    }

    /// Records a sign-in: the person, the day and the groups. A repetition on the same day writes nothing.
    ///
    /// # Errors
    /// See [`RecordError`]; nothing was written then.
    pub fn record(&mut self, sign_in: &SignIn<'_>) -> Result<Recorded, RecordError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let known = check_binding(&transaction, &sign_in.account.name, sign_in.issuer, sign_in.subject)?;
        let mut change = Change { connection: &transaction, generation: None };
        let mut recorded = Recorded { first: known.is_none(), ..Recorded::default() };
        let id = match &known {
            Some(person) => change.confirm(person, sign_in)?,
            None => change.insert(sign_in)?,
        };
        change.groups(id, sign_in, &mut recorded)?;
        transaction.commit()?;
        Ok(recorded)
    }
}

fn check_binding(
    connection: &Connection,
    name: &LoginName,
    issuer: &Issuer,
    subject: &Subject,
) -> Result<Option<Person>, RecordError> {
    let by_subject = find(connection, "issuer = ?1 AND subject = ?2", [issuer.as_str(), subject.as_str()])?;
    if let Some(other) = by_subject.filter(|person| person.account.name != *name) {
        return Err(RecordError::KnownAs(other.account.name));
    }
    let Some(person) = find(connection, "login_name = ?1", [name.as_str()])? else {
        // Nor may somebody who was removed come back under another name.
        let is_shut = tombstone(connection, name)?.is_some()
            || former_name(connection, name)?.is_some()
            || shut_out(connection, issuer, subject)?.is_some();
        return if is_shut { Err(RecordError::Tombstoned) } else { Ok(None) };
    };
    if person.probe || person.state == RowState::Locked {
        return Err(RecordError::Locked);
    }
    match &person.subject {
        Some((bound_issuer, bound)) if bound_issuer != issuer || bound != subject => {
            Err(RecordError::SubjectMismatch { issuer: issuer.clone(), subject: subject.clone() })
        }
        // A name that was given away is not a way back for whoever was removed under it.
        None if shut_out(connection, issuer, subject)?.is_some() => Err(RecordError::Tombstoned),
        _ => Ok(Some(person)),
    }
}

/// One change in the making; the generation is taken when the first visible difference is written.
pub(super) struct Change<'a> {
    pub(super) connection: &'a Connection,
    pub(super) generation: Option<i64>,
}

impl Change<'_> {
    fn generation(&mut self) -> Result<i64, StoreError> {
        match self.generation {
            Some(generation) => Ok(generation),
            None => {
                let generation = next_generation(self.connection)?;
                self.generation = Some(generation);
                Ok(generation)
            }
        }
    }

    fn insert(&mut self, sign_in: &SignIn<'_>) -> Result<i64, RecordError> {
        let account = sign_in.account;
        let uid = account.uid.get();
        if uid_is_retired(self.connection, uid)? {
            return Err(RecordError::Tombstoned);
        }
        let taken = "SELECT 1 FROM identity WHERE uid = ?1 UNION SELECT 1 FROM idp_group WHERE gid = ?1";
        if self.connection.query_row(taken, [uid], |_| Ok(())).optional()?.is_some() {
            return Err(RecordError::UidCollision);
        }
        let generation = self.generation()?;
        self.connection.execute(
            "INSERT INTO identity(login_name, issuer, subject, uid, gid, gecos, home, shell, state, confirmed_day, \
             created_at, generation) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'confirmed', ?9, ?10, ?11)",
            params![
                account.name.as_str(),
                sign_in.issuer.as_str(),
                sign_in.subject.as_str(),
                uid,
                account.gid.get(),
                account.gecos,
                account.home,
                account.shell,
                sign_in.today.0,
                seconds(sign_in.now),
                generation
            ],
        )?;
        let id = self.connection.last_insert_rowid();
        if sign_in.existing {
            // A store that is not migrated yet lacks the column: such people come in once it is.
            self.connection.execute("UPDATE identity SET existing = 1 WHERE id = ?1", [id])?;
        }
        event(
            self.connection,
            seconds(sign_in.now),
            "first_sign_in",
            account.name.as_str(),
            "sign-in",
            &format!("uid={uid}"),
        )?;
        Ok(id)
    }

    /// What the keeper of an account that is not ours has made of it.
    fn follow(&mut self, identity: i64, account: &Account) -> Result<(), RecordError> {
        let generation = self.generation()?;
        self.connection.execute(
            "UPDATE identity SET gid = ?2, home = ?3, shell = ?4, generation = ?5 WHERE id = ?1",
            params![identity, account.gid.get(), account.home, account.shell, generation],
        )?;
        Ok(())
    }

    /// Binds a reserved row, and notes the day.
    fn confirm(&mut self, person: &Person, sign_in: &SignIn<'_>) -> Result<i64, RecordError> {
        let (ours, theirs) = (&person.account, sign_in.account);
        let key = |account: &Account| (account.uid, account.gid, account.home.clone(), account.shell.clone());
        if key(ours) != key(theirs) {
            if !person.existing || ours.uid != theirs.uid {
                return Err(RecordError::AccountChanged);
            }
            self.follow(person.id, theirs)?;
        }
        let newly = person.state == RowState::Reserved;
        let new_day = person.confirmed_day != Some(sign_in.today);
        if !newly && !new_day && !person.revoked {
            return Ok(person.id);
        }
        if newly || sign_in.publish_day || person.revoked {
            let generation = self.generation()?;
            self.connection.execute(
                "UPDATE identity SET generation = ?2 WHERE id = ?1",
                params![person.id, generation],
            )?;
        }
        self.connection.execute(
            "UPDATE identity SET state = 'confirmed', issuer = ?2, subject = ?3, confirmed_day = ?4 WHERE id = ?1",
            params![person.id, sign_in.issuer.as_str(), sign_in.subject.as_str(), sign_in.today.0],
        )?;
        let at = seconds(sign_in.now);
        if person.revoked {
            self.connection.execute("UPDATE identity SET revoked = 0 WHERE id = ?1", [person.id])?;
            event(self.connection, at, "reinstated", ours.name.as_str(), "sign-in", "")?;
        }
        if newly {
            event(self.connection, at, "first_sign_in", ours.name.as_str(), "sign-in", "reserved")?;
        }
        Ok(person.id)
    }

    /// Brings the memberships in line with what the provider says now.
    fn groups(&mut self, id: i64, sign_in: &SignIn<'_>, recorded: &mut Recorded) -> Result<(), RecordError> {
        let current = self.memberships(id)?;
        for group in sign_in.groups {
            if current.iter().any(|(provider_id, _)| *provider_id == group.provider_id) {
                continue;
            }
            if self.ensure_group(group)? {
                self.set_membership(id, &group.provider_id, "INSERT INTO membership VALUES (?1, ?2)")?;
                recorded.added.push(group.name.to_string());
            } else {
                recorded.refused_groups.push(group.name.to_string());
            }
        }
        for (provider_id, name) in current {
            if !sign_in.groups.iter().any(|group| group.provider_id == provider_id) {
                let delete = "DELETE FROM membership WHERE identity = ?1 AND provider_id = ?2";
                self.set_membership(id, &provider_id, delete)?;
                recorded.removed.push(name);
            }
        }
        let at = seconds(sign_in.now);
        for (kind, names) in [("group_added", &recorded.added), ("group_removed", &recorded.removed)] {
            for name in names {
                event(self.connection, at, kind, sign_in.account.name.as_str(), "sign-in", name)?;
            }
        }
        Ok(())
    }

    fn memberships(&self, id: i64) -> Result<Vec<(String, String)>, StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT provider_id, name FROM membership JOIN idp_group USING (provider_id) WHERE identity = ?1",
        )?;
        let rows = statement.query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(super) fn set_membership(
        &mut self,
        id: i64,
        provider_id: &str,
        statement: &str,
    ) -> Result<(), StoreError> {
        let generation = self.generation()?;
        self.connection.execute(statement, params![id, provider_id])?;
        self.connection
            .execute("UPDATE identity SET generation = ?2 WHERE id = ?1", params![id, generation])?;
        self.connection.execute(
            "UPDATE idp_group SET generation = ?2 WHERE provider_id = ?1",
            params![provider_id, generation],
        )?;
        Ok(())
    }

    /// `false` if the gid or the name is somebody else's: the person comes in without the group.
    pub(super) fn ensure_group(&mut self, group: &GroupClaim) -> Result<bool, StoreError> {
        let known = "SELECT name FROM idp_group WHERE provider_id = ?1";
        let known: Option<String> =
            self.connection.query_row(known, [&group.provider_id], |row| row.get(0)).optional()?;
        if let Some(name) = known {
            if name != group.name.as_str() {
                // group_map has another name for it now; it stays the same group with the same gid.
                let rename = "UPDATE idp_group SET name = ?2 WHERE provider_id = ?1";
                self.connection.execute(rename, params![group.provider_id, group.name.as_str()])?;
            }
            return Ok(true);
        }
        let taken = "SELECT 1 FROM idp_group WHERE gid = ?1 \
                     UNION SELECT 1 FROM identity WHERE uid = ?1 OR login_name = ?2";
        let name = group.name.as_str();
        let taken =
            self.connection.query_row(taken, params![group.gid.get(), name], |_| Ok(())).optional()?;
        if taken.is_some() || uid_is_retired(self.connection, group.gid.get())? {
            return Ok(false);
        }
        let generation = self.generation()?;
        self.connection.execute(
            "INSERT INTO idp_group VALUES (?1, ?2, ?3, ?4)",
            params![group.provider_id, name, group.gid.get(), generation],
        )?;
        Ok(true)
    }
}
