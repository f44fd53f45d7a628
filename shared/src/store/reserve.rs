//! Reservation: a row for somebody who has not signed in yet. Their name, their groups and their uid resolve from now
//! on; no key opens anything before their first verified sign-in.

use super::Store;
use super::former::tombstone;
use super::people::{next_generation, next_rebuild, seconds};
use super::rename::free_name;
use super::roster::{By, RosterError, free_subject, free_uid, identifier, note};
use super::sign_in::{Change, GroupClaim};
use crate::clock::Day;
use crate::identity::account::Account;
use crate::types::{Issuer, Subject};
use rusqlite::{Connection, OptionalExtension, params};

/// What an administrator reserves.
#[derive(Clone, Debug)]
pub struct Reservation<'a> {
    /// Name, ids, home, shell. For somebody who was removed, their old ids.
    pub account: &'a Account,
    /// Nobody else may sign in under the name. For somebody who was removed, none: their own is used.
    pub subject: Option<(Issuer, Subject)>,
    /// First UTC day on which the account no longer works.
    pub expires: Option<Day>,
    /// Groups of the provider; the first sign-in brings them in line with what the provider says.
    pub groups: &'a [GroupClaim],
    /// Groups of /etc/group.
    pub local_groups: &'a [String],
    /// The name may have been somebody else's.
    pub reuse_name: bool,
    /// The home directory which is there already is theirs.
    pub adopt_home: bool,
    /// The account is one of /etc/passwd or of another source.
    pub existing: bool,
}

impl<'a> Reservation<'a> {
    /// Somebody who has an account that this package did not make: it stays as it is.
    #[must_use]
    pub fn of_existing(account: &'a Account, subject: Option<(Issuer, Subject)>) -> Self {
        Self {
            account,
            subject,
            expires: None,
            groups: &[],
            local_groups: &[],
            reuse_name: false,
            adopt_home: false,
            existing: true,
        }
    }
}

impl Store {
    /// Reserves a row. A removed person's tombstone becomes their row again, unless the name is to be somebody else's:
    /// then it stays, and with it the old uid and whoever was removed.
    ///
    /// # Errors
    /// See [`RosterError`].
    pub fn reserve(&mut self, wanted: &Reservation<'_>, by: By<'_>) -> Result<(), RosterError> {
        let transaction = self.immediate()?;
        let (name, uid) = (&wanted.account.name, wanted.account.uid);
        free_name(&transaction, name, None, wanted.reuse_name)?;
        let mut subject = wanted.subject.clone();
        let removed = tombstone(&transaction, name)?.filter(|_| !wanted.reuse_name);
        if let Some(removed) = &removed {
            let is_theirs = subject.is_none() || removed.subject.is_none() || subject == removed.subject;
            if removed.uid != uid || !is_theirs {
                return Err(RosterError::Removed { name: name.clone(), uid: removed.uid });
            }
            transaction.execute("DELETE FROM tombstone WHERE login_name = ?1", [name.as_str()])?;
            subject = removed.subject.clone().or(subject);
        }
        free_uid(&transaction, uid)?;
        free_home(&transaction, &wanted.account.home)?;
        if let Some((issuer, subject)) = &subject {
            free_subject(&transaction, issuer, subject)?;
        }
        let was_left =
            transaction.execute("DELETE FROM former_name WHERE login_name = ?1", [name.as_str()])? > 0;
        // What is published says that name or uid are a former person's: nothing in the store would take that out of it.
        let generation = if removed.is_some() || was_left {
            next_rebuild(&transaction)?
        } else {
            next_generation(&transaction)?
        };
        insert(&transaction, generation, wanted, subject.as_ref(), by)?;
        let returns = if removed.is_some() { " returns" } else { "" };
        let bound = subject.map_or("-".to_owned(), |(issuer, subject)| identifier(&issuer, &subject));
        note(&transaction, by, "reserved", name, &format!("uid={uid} subject={bound}{returns}"))?;
        transaction.commit()?;
        Ok(())
    }
}

fn free_home(connection: &Connection, home: &str) -> Result<(), RosterError> {
    let sql = "SELECT login_name FROM identity WHERE home = ?1 AND probe = 0";
    match connection.query_row(sql, [home], |row| row.get(0)).optional()? {
        Some(name) => Err(RosterError::HomeTaken { home: home.to_owned(), name }),
        None => Ok(()),
    }
}

fn insert(
    connection: &Connection,
    generation: i64,
    wanted: &Reservation<'_>,
    subject: Option<&(Issuer, Subject)>,
    by: By<'_>,
) -> Result<(), RosterError> {
    let account = wanted.account;
    connection.execute(
        "INSERT INTO identity(login_name, issuer, subject, uid, gid, gecos, home, shell, state, expires_day, adopt_home, \
         existing, created_at, generation) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'reserved', ?9, ?10, ?11, ?12, ?13)",
        params![
            account.name.as_str(),
            subject.map(|(issuer, _)| issuer.as_str()),
            subject.map(|(_, subject)| subject.as_str()),
            account.uid.get(),
            account.gid.get(),
            account.gecos,
            account.home,
            account.shell,
            wanted.expires.map(|day| day.0),
            wanted.adopt_home,
            wanted.existing,
            seconds(by.now),
            generation
        ],
    )?;
    let id = connection.last_insert_rowid();
    let mut change = Change { connection, generation: Some(generation) };
    for group in wanted.groups {
        if !change.ensure_group(group)? {
            return Err(RosterError::GroupTaken(group.name.to_string()));
        }
        change.set_membership(id, &group.provider_id, "INSERT INTO membership VALUES (?1, ?2)")?;
        note(connection, by, "group_added", &account.name, group.name.as_str())?;
    }
    for group in wanted.local_groups {
        connection.execute("INSERT OR IGNORE INTO local_membership VALUES (?1, ?2)", params![id, group])?;
        note(connection, by, "local_group_added", &account.name, group)?;
    }
    Ok(())
}
