//! Taking over a map of names and numbers: it reserves people and retires names and numbers; it takes nothing away and
//! overrules nothing.

use super::former::holder;
use super::ids::{FormerId, IdEntry, IdPerson};
use super::people::{event, find, next_rebuild, seconds};
use super::roster::{By, RosterError};
use super::{Store, StoreError};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

/// Two maps that do not go together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// What the map says.
    pub there: String,
    /// What this store says.
    pub here: String,
}

/// What an import did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// What is new here, one sentence each.
    pub added: Vec<String>,
    /// What stands against the map. With any, nothing is changed.
    pub conflicts: Vec<Conflict>,
}

impl Store {
    /// Takes over what the map has and this store has not: all of it, or, with a conflict or `dry_run`, nothing.
    /// `objection` says what else on this machine is in the way of an entry that is new here.
    ///
    /// # Errors
    /// The store cannot be read or written. Conflicts are no error: they stand in the result.
    pub fn import_ids(
        &mut self,
        map: &[IdEntry],
        objection: &dyn Fn(&IdEntry) -> Option<String>,
        dry_run: bool,
        by: By<'_>,
    ) -> Result<Imported, RosterError> {
        let transaction = self.immediate()?;
        let generation = next_rebuild(&transaction)?;
        let now = seconds(by.now);
        let mut import =
            Import { connection: &transaction, objection, map, generation, now, made: Imported::default() };
        // Whoever is shut out comes first: nobody is to be reserved who was removed elsewhere.
        let order = |entry: &&IdEntry| match entry {
            IdEntry::Group { .. } => 0,
            IdEntry::FormerUid(_) => 1,
            IdEntry::Removed(_) => 2,
            IdEntry::Person(_) => 3,
            IdEntry::FormerName { .. } => 4,
        };
        let mut entries: Vec<&IdEntry> = map.iter().collect();
        entries.sort_by_key(order);
        entries.into_iter().try_for_each(|entry| import.entry(entry))?;
        let made = import.made;
        if !made.conflicts.is_empty() || made.added.is_empty() || dry_run {
            return Ok(made);
        }
        event(
            &transaction,
            seconds(by.now),
            "ids_imported",
            "",
            by.actor,
            &format!("added={}", made.added.len()),
        )?;
        transaction.commit()?;
        Ok(made)
    }
}

struct Import<'a> {
    connection: &'a Connection,
    objection: &'a dyn Fn(&IdEntry) -> Option<String>,
    map: &'a [IdEntry],
    generation: i64,
    now: i64,
    made: Imported,
}

impl Import<'_> {
    fn entry(&mut self, entry: &IdEntry) -> Result<(), StoreError> {
        let before = self.made.conflicts.len();
        let added = match entry {
            IdEntry::Group { provider_id, name, gid } => self.group(provider_id, name, *gid)?,
            IdEntry::Person(person) => self.person(person)?,
            IdEntry::Removed(former) => self.former(former, "tombstone")?,
            IdEntry::FormerUid(former) => self.former(former, "former_uid")?,
            IdEntry::FormerName { name, uid } => self.former_name(name, *uid)?,
        };
        let Some(sentence) = added else { return Ok(()) };
        if let Some(here) = (self.objection)(entry) {
            self.conflict(&sentence, &here);
        } else if self.made.conflicts.len() == before {
            self.made.added.push(sentence);
        }
        Ok(())
    }

    fn conflict(&mut self, there: &str, here: &str) {
        self.made.conflicts.push(Conflict { there: there.to_owned(), here: here.to_owned() });
    }

    fn group(&mut self, id: &str, name: &str, gid: u32) -> Result<Option<String>, StoreError> {
        let there = format!("group {name} ({id}) has gid {gid}");
        let sql = "SELECT gid FROM idp_group WHERE provider_id = ?1";
        match self.connection.query_row(sql, [id], |row| row.get::<_, u32>(0)).optional()? {
            Some(known) if known == gid => return Ok(None),
            Some(known) => self.conflict(&there, &format!("it has gid {known}")),
            None => {
                if let Some(holder) = holder(self.connection, gid)? {
                    self.conflict(&there, &format!("{gid} is {holder}"));
                    return Ok(None);
                }
                let sql = "INSERT INTO idp_group VALUES (?1, ?2, ?3, ?4)";
                self.connection.execute(sql, params![id, name, gid, self.generation])?;
                return Ok(Some(there));
            }
        }
        Ok(None)
    }

    fn person(&mut self, person: &IdPerson) -> Result<Option<String>, StoreError> {
        let (name, uid) = (&person.name, person.uid);
        let there = format!("{name} has uid {uid}");
        if let Some(known) = find(self.connection, "login_name = ?1", [name])? {
            return self.known_person(person, &known, &there).map(|()| None);
        }
        if let Some(holder) = holder(self.connection, uid)? {
            self.conflict(&there, &format!("{uid} is {holder}"));
            return Ok(None);
        }
        for (sql, what) in [
            ("SELECT uid FROM tombstone WHERE login_name = ?1", "was removed"),
            ("SELECT uid FROM former_name WHERE login_name = ?1", "is a former name"),
        ] {
            let former: Option<u32> = self.connection.query_row(sql, [name], |row| row.get(0)).optional()?;
            if let Some(former) = former.filter(|former| !self.is_retired_there(name, *former)) {
                self.conflict(&there, &format!("{name} {what}, with uid {former}"));
                return Ok(None);
            }
        }
        if let Some(holder) = self.subject_holder(person)? {
            self.conflict(&format!("{name} is bound to a subject of the provider"), &holder);
            return Ok(None);
        }
        self.reserve(person)?;
        Ok(Some(there))
    }

    /// Does the map retire this number of the name too? Then the name was given to somebody else over there.
    fn is_retired_there(&self, name: &str, uid: u32) -> bool {
        self.map.iter().any(|entry| match entry {
            IdEntry::Removed(former) | IdEntry::FormerUid(former) => former.name == name && former.uid == uid,
            _ => false,
        })
    }

    /// The row exists. It is never changed, but that a binding it lacks is taken over.
    fn known_person(
        &mut self,
        person: &IdPerson,
        known: &super::Person,
        there: &str,
    ) -> Result<(), StoreError> {
        if known.account.uid.get() != person.uid {
            self.conflict(there, &format!("{} has uid {}", person.name, known.account.uid));
            return Ok(());
        }
        let bound = known.subject.as_ref().map(|(issuer, subject)| (issuer.as_str(), subject.as_str()));
        let theirs = person.issuer.as_deref().zip(person.subject.as_deref());
        match (bound, theirs) {
            (Some(bound), Some(theirs)) if bound != theirs => {
                let text = |(issuer, subject): (&str, &str)| {
                    format!("{} is bound to {issuer} {subject}", person.name)
                };
                self.conflict(&text(theirs), &text(bound));
            }
            (None, Some((issuer, subject))) => {
                if let Some(holder) = self.subject_holder(person)? {
                    self.conflict(&format!("{} is bound to a subject of the provider", person.name), &holder);
                    return Ok(());
                }
                self.connection.execute(
                    "UPDATE identity SET issuer = ?2, subject = ?3, generation = ?4 WHERE login_name = ?1",
                    params![person.name, issuer, subject, self.generation],
                )?;
                self.made.added.push(format!("{} is bound to a subject of the provider", person.name));
            }
            _ => {}
        }
        Ok(())
    }

    fn subject_holder(&self, person: &IdPerson) -> Result<Option<String>, StoreError> {
        let Some((issuer, subject)) = person.issuer.as_ref().zip(person.subject.as_ref()) else {
            return Ok(None);
        };
        let sql = "SELECT login_name || ' is' FROM identity WHERE issuer = ?1 AND subject = ?2 \
                   UNION ALL SELECT login_name || ' was, and was removed' FROM tombstone WHERE issuer = ?1 AND subject = ?2 \
                   UNION ALL SELECT login_name || ' was, and was removed' FROM former_uid WHERE issuer = ?1 AND subject = ?2 \
                   LIMIT 1";
        Ok(self.connection.query_row(sql, [issuer, subject], |row| row.get(0)).optional()?)
    }

    fn reserve(&self, person: &IdPerson) -> Result<(), StoreError> {
        let state = if person.locked { "locked" } else { "reserved" };
        self.connection.execute("DELETE FROM former_name WHERE login_name = ?1", [&person.name])?;
        self.connection.execute(
            "INSERT INTO identity(login_name, issuer, subject, uid, gid, gecos, home, shell, state, expires_day, created_at, \
             generation) VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                person.name,
                person.issuer,
                person.subject,
                person.uid,
                person.gecos,
                person.home,
                person.shell,
                state,
                person.expires_day,
                self.now,
                self.generation
            ],
        )?;
        let id = self.connection.last_insert_rowid();
        for group in &person.groups {
            // A group that the map does not have, or that is in conflict, is passed over: the conflict is told.
            let sql = "INSERT INTO membership SELECT ?1, provider_id FROM idp_group WHERE provider_id = ?2";
            self.connection.execute(sql, params![id, group])?;
            let sql = "UPDATE idp_group SET generation = ?2 WHERE provider_id = ?1";
            self.connection.execute(sql, params![group, self.generation])?;
        }
        Ok(())
    }

    fn former(&mut self, former: &FormerId, table: &str) -> Result<Option<String>, StoreError> {
        let (name, uid) = (&former.name, former.uid);
        let there = format!("{name} (uid {uid}) is gone");
        if let Some(known) = self.retired(uid)? {
            if known != *name {
                self.conflict(&there, &format!("uid {uid} was {known}'s"));
            }
            return Ok(None);
        }
        if let Some(holder) = holder(self.connection, uid)? {
            self.conflict(&there, &format!("uid {uid} is {holder}"));
            return Ok(None);
        }
        if let Some(known) = self.subject_of_somebody(former)? {
            self.conflict(&format!("{name} was removed"), &format!("the same person is {known}"));
            return Ok(None);
        }
        // Two tombstones of one name: the second one keeps its number retired, and its person shut out.
        let sql = "SELECT 1 FROM tombstone WHERE login_name = ?1";
        let has_one = self.connection.query_row(sql, [name], |_| Ok(())).optional()?.is_some();
        let values = params![name, uid, former.issuer, former.subject, self.now, self.generation];
        let sql = if table == "tombstone" && !has_one {
            "INSERT INTO tombstone(login_name, uid, issuer, subject, removed_at, generation) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
        } else {
            "INSERT INTO former_uid(login_name, uid, issuer, subject, since, generation) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
        };
        self.connection.execute(sql, values)?;
        Ok(Some(there))
    }

    /// The name that a retired number had.
    fn retired(&self, uid: u32) -> Result<Option<String>, StoreError> {
        let sql = "SELECT login_name FROM tombstone WHERE uid = ?1 \
                   UNION ALL SELECT login_name FROM former_uid WHERE uid = ?1 LIMIT 1";
        Ok(self.connection.query_row(sql, [uid], |row| row.get(0)).optional()?)
    }

    fn subject_of_somebody(&self, former: &FormerId) -> Result<Option<String>, StoreError> {
        let sql = "SELECT login_name FROM identity WHERE issuer = ?1 AND subject = ?2";
        Ok(self.connection.query_row(sql, [&former.issuer, &former.subject], |row| row.get(0)).optional()?)
    }

    fn former_name(&mut self, name: &str, uid: u32) -> Result<Option<String>, StoreError> {
        let there = format!("{name} is a former name (uid {uid})");
        let known: Option<u32> = self
            .connection
            .query_row("SELECT uid FROM former_name WHERE login_name = ?1", [name], |row| row.get(0))
            .optional()?;
        match known {
            Some(known) if known == uid => return Ok(None),
            Some(known) => {
                self.conflict(&there, &format!("it is a former name of uid {known}"));
                return Ok(None);
            }
            None => {}
        }
        if let Some(person) = find(self.connection, "login_name = ?1", [name])? {
            self.conflict(&there, &format!("{name} has uid {}", person.account.uid));
            return Ok(None);
        }
        let sql = "INSERT INTO former_name VALUES (?1, ?2, ?3, ?4)";
        self.connection.execute(sql, params![name, uid, self.now, self.generation])?;
        Ok(Some(there))
    }
}
