//! What an administrator changes about people: lock, unlock, expiry, binding, uid. Each change is one transaction with
//! its line in the audit trail. The next publication patches the row in; where the uid changes, it starts anew.

use super::former::{IdHolder, forget_former_uid, former_uid_owner, holder, retire_uid, shut_out};
use super::people::{Person, RowState, event, find, next_generation, next_rebuild, seconds};
use super::{Store, StoreError, schema};
use crate::clock::Day;
use crate::types::{Gid, Issuer, LoginName, Subject, Uid};
use rusqlite::{Connection, ToSql, Transaction, TransactionBehavior, params};

/// Who asks for a change, and when.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// The administrator.
    pub actor: &'a str,
    /// Seconds since 1970.
    pub now: u64,
}

/// Why a change was not made; nothing was written then. Each sentence names the remedy.
#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    /// Nobody of that name.
    #[error("nobody of the name {0} is known here")]
    NotFound(LoginName),
    /// The name is somebody's.
    #[error("{0} is known here already: see oauth2ctl user show {0}")]
    NameTaken(LoginName),
    /// A group of the provider has the name.
    #[error("a group of the provider is called {0}: take another name, or rename the group in \"group_map\"")]
    GroupName(LoginName),
    /// The name belonged to somebody who was removed, with another uid or another subject than asked for.
    #[error(
        "{name} was removed before, with uid {uid}: oauth2ctl user add {name}, without --uid and --subject, lets the \
         same person in again; for a new person say --reuse-name --uid N"
    )]
    Removed {
        /// The name.
        name: LoginName,
        /// Its uid.
        uid: Uid,
    },
    /// The name was left by a rename.
    #[error("{name} is the former name of {now} (uid {uid}): for a new person say --reuse-name")]
    FormerName {
        /// The name.
        name: LoginName,
        /// The person's name of now.
        now: String,
        /// The person's uid.
        uid: Uid,
    },
    /// The uid is somebody's.
    #[error("uid {uid} is {holder}: choose another one with --uid N")]
    UidTaken {
        /// The uid.
        uid: Uid,
        /// Whose it is.
        holder: IdHolder,
    },
    /// The home directory is somebody else's.
    #[error("{home} is the home directory of {name}: choose another one with --home DIR")]
    HomeTaken {
        /// The directory.
        home: String,
        /// Whose it is.
        name: String,
    },
    /// A group's gid or name is somebody else's.
    #[error("the group {0} cannot be recorded: its gid or its name is taken")]
    GroupTaken(String),
    /// The provider's subject has another name here.
    #[error(
        "this subject of the provider is {0} here: if they have a new name, say oauth2ctl user rename {0} NEW"
    )]
    SubjectKnown(LoginName),
    /// The provider's subject was removed.
    #[error(
        "this subject of the provider was removed here as {0}: oauth2ctl user add {0} lets them in again under their \
         old ids; oauth2ctl user bind NAME ISSUER SUBJECT --force under the name and uid of NAME"
    )]
    ShutOut(String),
    /// The person is bound to another subject.
    #[error(
        "{name} is bound to {bound}: if both are the same person, who keeps home, keys and uid, \
         say --force; for somebody else: oauth2ctl user remove {name}, then oauth2ctl user add {name} --reuse-name --uid N"
    )]
    Bound {
        /// The name.
        name: LoginName,
        /// Issuer and subject of now.
        bound: String,
    },
    /// The person has signed in, and has files.
    #[error(
        "{name} has signed in: their files keep uid {uid} until you change it yourself. With --force the uid is \
         changed, and {uid} goes to nobody else"
    )]
    InUse {
        /// The name.
        name: LoginName,
        /// The uid.
        uid: Uid,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for RosterError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// Shuts a person out, in every service and also for SSH keys. `false`: they were.
    ///
    /// # Errors
    /// See [`RosterError`].
    pub fn lock(&mut self, name: &LoginName, by: By<'_>) -> Result<bool, RosterError> {
        let transaction = self.immediate()?;
        let person = known(&transaction, name)?;
        if person.state == RowState::Locked {
            return Ok(false);
        }
        set(&transaction, &person, "state = 'locked'", &[])?;
        note(&transaction, by, "locked", name, person.state.as_str())?;
        transaction.commit()?;
        Ok(true)
    }

    /// Takes the lock off: whoever had signed in before is confirmed again, everybody else reserved. `false`: there
    /// was none.
    ///
    /// # Errors
    /// See [`RosterError`].
    pub fn unlock(&mut self, name: &LoginName, by: By<'_>) -> Result<bool, RosterError> {
        let transaction = self.immediate()?;
        let person = known(&transaction, name)?;
        if person.state != RowState::Locked {
            return Ok(false);
        }
        // A subject alone may have been bound by an administrator, before anybody had signed in.
        let had_signed_in = person.confirmed_day.is_some() && person.subject.is_some();
        let state = if had_signed_in { RowState::Confirmed } else { RowState::Reserved };
        set(&transaction, &person, "state = ?3", &[&state.as_str()])?;
        note(&transaction, by, "unlocked", name, state.as_str())?;
        transaction.commit()?;
        Ok(true)
    }

    /// Sets the first UTC day on which the account no longer works, or takes it away. `false`: it was that.
    ///
    /// # Errors
    /// See [`RosterError`].
    pub fn set_expiry(
        &mut self,
        name: &LoginName,
        day: Option<Day>,
        by: By<'_>,
    ) -> Result<bool, RosterError> {
        let transaction = self.immediate()?;
        let person = known(&transaction, name)?;
        if person.expires_day == day {
            return Ok(false);
        }
        set(&transaction, &person, "expires_day = ?3", &[&day.map(|day| day.0)])?;
        let detail = |day: Option<Day>| day.map_or("never".to_owned(), |day| format!("day {}", day.0));
        let detail = format!("old={} new={}", detail(person.expires_day), detail(day));
        note(&transaction, by, "expiry_set", name, &detail)?;
        transaction.commit()?;
        Ok(true)
    }

    /// Says that the home directory which is there already is that of a person who has not signed in yet. `false`:
    /// that was said before, or they have.
    ///
    /// # Errors
    /// See [`RosterError`].
    pub fn adopt_home(&mut self, name: &LoginName, by: By<'_>) -> Result<bool, RosterError> {
        let transaction = self.immediate()?;
        let person = known(&transaction, name)?;
        if person.adopt_home || person.confirmed_day.is_some() {
            return Ok(false);
        }
        set(&transaction, &person, "adopt_home = 1", &[])?;
        note(&transaction, by, "home_adopted", name, &person.account.home)?;
        transaction.commit()?;
        Ok(true)
    }

    /// Binds a name to a subject of the provider: nobody else signs in under it. State, uid and home stay. `false`:
    /// it was bound to that one.
    ///
    /// # Errors
    /// See [`RosterError`]; `force` overrides an earlier binding, and the removal of the subject.
    pub fn bind(
        &mut self,
        name: &LoginName,
        (issuer, subject): (&Issuer, &Subject),
        force: bool,
        by: By<'_>,
    ) -> Result<bool, RosterError> {
        let transaction = self.immediate()?;
        let person = known(&transaction, name)?;
        match &person.subject {
            Some((old_issuer, old)) if old_issuer == issuer && old == subject => return Ok(false),
            Some((issuer, subject)) if !force => {
                let bound = identifier(issuer, subject);
                return Err(RosterError::Bound { name: name.clone(), bound });
            }
            _ => {}
        }
        if force {
            lift_removal(&transaction, issuer, subject)?;
        }
        free_subject(&transaction, issuer, subject)?;
        set(&transaction, &person, "issuer = ?3, subject = ?4", &[&issuer.as_str(), &subject.as_str()])?;
        let old = person.subject.map_or("-".to_owned(), |(issuer, subject)| identifier(&issuer, &subject));
        let detail = format!("old={old} new={}", identifier(issuer, subject));
        note(&transaction, by, "bound", name, &detail)?;
        transaction.commit()?;
        Ok(true)
    }

    /// Gives a person another uid, and the private group of that number. Returns the old one.
    ///
    /// # Errors
    /// See [`RosterError`]; somebody who has signed in has files, so that `force` must say that it is meant. The old
    /// uid of such a person goes to nobody else, but may be given back to them.
    pub fn pin(&mut self, name: &LoginName, uid: Uid, force: bool, by: By<'_>) -> Result<Uid, RosterError> {
        let transaction = self.immediate()?;
        let person = known(&transaction, name)?;
        let old = person.account.uid;
        if old == uid {
            return Ok(old);
        }
        let has_signed_in = person.confirmed_day.is_some();
        if has_signed_in && !force {
            return Err(RosterError::InUse { name: name.clone(), uid: old });
        }
        let is_theirs = former_uid_owner(&transaction, uid)? == Some(old);
        if is_theirs {
            forget_former_uid(&transaction, uid)?;
        }
        free_uid(&transaction, uid)?;
        // What is published has the person under the old uid.
        let generation = next_rebuild(&transaction)?;
        let values: [&dyn ToSql; 2] = [&uid.get(), &Gid::from(uid).get()];
        set_as_of(&transaction, generation, &person, "uid = ?3, gid = ?4", &values)?;
        // Whoever was removed and let in again has no day, but a subject, and perhaps files.
        if has_signed_in || person.subject.is_some() {
            retire_uid(&transaction, (old, uid), name, (by.now, generation))?;
        }
        let moved = params![old.get(), uid.get()];
        transaction.execute("UPDATE former_name SET uid = ?2 WHERE uid = ?1", moved)?;
        transaction.execute("UPDATE pinned_uid SET owner = ?2 WHERE owner = ?1", moved)?;
        note(&transaction, by, "pinned", name, &format!("old={old} new={uid}"))?;
        transaction.commit()?;
        Ok(old)
    }

    pub(super) fn immediate(&mut self) -> Result<Transaction<'_>, RosterError> {
        schema::check_current(&self.connection)?;
        Ok(self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
    }
}

/// A person who is no probe.
pub(super) fn known(connection: &Connection, name: &LoginName) -> Result<Person, RosterError> {
    find(connection, "login_name = ?1", [name.as_str()])?
        .filter(|person| !person.probe)
        .ok_or_else(|| RosterError::NotFound(name.clone()))
}

/// Changes a row, but neither name nor uid: ?3 and what follows in `assignment` are `values`.
fn set(
    connection: &Connection,
    person: &Person,
    assignment: &str,
    values: &[&dyn ToSql],
) -> Result<(), RosterError> {
    let generation = next_generation(connection)?;
    set_as_of(connection, generation, person, assignment, values)
}

/// As [`set`], with a generation that has been taken.
pub(super) fn set_as_of(
    connection: &Connection,
    generation: i64,
    person: &Person,
    assignment: &str,
    values: &[&dyn ToSql],
) -> Result<(), RosterError> {
    let sql = format!("UPDATE identity SET generation = ?2, {assignment} WHERE id = ?1");
    let mut all: Vec<&dyn ToSql> = vec![&person.id, &generation];
    all.extend_from_slice(values);
    connection.execute(&sql, all.as_slice())?;
    Ok(())
}

pub(super) fn note(
    connection: &Connection,
    by: By<'_>,
    kind: &str,
    name: &LoginName,
    detail: &str,
) -> Result<(), RosterError> {
    Ok(event(connection, seconds(by.now), kind, name.as_str(), by.actor, detail)?)
}

pub(super) fn identifier(issuer: &Issuer, subject: &Subject) -> String {
    format!("{} {}", issuer.as_str(), subject.as_str())
}

/// The subject is nobody's here, and was not removed.
pub(super) fn free_subject(
    connection: &Connection,
    issuer: &Issuer,
    subject: &Subject,
) -> Result<(), RosterError> {
    let key = [issuer.as_str(), subject.as_str()];
    if let Some(other) = find(connection, "issuer = ?1 AND subject = ?2", key)? {
        return Err(RosterError::SubjectKnown(other.account.name));
    }
    match shut_out(connection, issuer, subject)? {
        Some(name) => Err(RosterError::ShutOut(name)),
        None => Ok(()),
    }
}

/// The uid, and the gid of the same number, are nobody's and were nobody's.
pub(super) fn free_uid(connection: &Connection, uid: Uid) -> Result<(), RosterError> {
    match holder(connection, uid.get())? {
        Some(holder) => Err(RosterError::UidTaken { uid, holder }),
        None => Ok(()),
    }
}

/// Names and numbers of the removed stay taken; the person is shut out no more.
fn lift_removal(connection: &Connection, issuer: &Issuer, subject: &Subject) -> Result<(), RosterError> {
    for table in ["tombstone", "former_uid"] {
        let sql =
            format!("UPDATE {table} SET issuer = NULL, subject = NULL WHERE issuer = ?1 AND subject = ?2");
        connection.execute(&sql, [issuer.as_str(), subject.as_str()])?;
    }
    Ok(())
}
