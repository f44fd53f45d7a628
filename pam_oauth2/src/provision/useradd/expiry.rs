//! The expiry of an account that useradd made. People in /etc/passwd are local people to pam_unix: where this package's
//! own account phase cannot answer, the account's day of expiry in shadow(5) does. What the store and the configuration
//! say is written there, unless an administrator's own day is earlier; and that day comes back.

use super::lock::lock;
use super::record::{Entry, Record, RecordFileError};
use super::tools::Tools;
use crate::home::CommandError;
use shared::config::{Config, Provisioning};
use shared::etc::{LocalNames, PasswdLine};
use shared::store::{Places, RowState, Store, StoreError};
use shared::types::{LoginName, Uid};
use std::io::{self, BufRead, BufReader};
use std::path::Path;

/// The day that stands in shadow(5) of an account which we have shut: 1970-02-07, in days. Every reader compares it with today,
/// so that it is over for all of them, as the 1 is that usermod(8) advises; but nobody writes it by hand, and an administrator's
/// own 0 or 1 is told from ours. Early, for machines whose clock begins at 1970; shadow(5) leaves 0 undefined.
pub(super) const SHUT: u32 = 37;

/// Beside the live store.
const RECORD: &str = "local-expiry";

/// Why the expiry of an account could not be settled.
#[derive(Debug, thiserror::Error)]
pub enum ExpiryError {
    /// shadow(5), or the lock.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// What stood there before.
    #[error(transparent)]
    Record(#[from] RecordFileError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// usermod(8).
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Who has a say about the expiry of local accounts.
#[derive(Clone, Copy)]
pub struct LocalExpiry<'a> {
    /// usermod(8).
    pub tools: Tools<'a>,
    /// The live store, and the record beside it.
    pub places: &'a Places,
    /// /etc/shadow.
    pub shadow: &'a Path,
    /// `provisioning`, `allowed_users`, `allowed_groups`, and which uids are ours.
    pub config: &'a Config,
    /// /etc/passwd.
    pub local: &'a LocalNames,
}

/// From which day on the account should not work, in days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    NotOurs,
    Never,
    From(u32),
}

impl LocalExpiry<'_> {
    /// Settles every account that useradd made; the first fault is returned after all have been tried.
    ///
    /// # Errors
    /// See [`ExpiryError`].
    pub fn settle_all(&self) -> Result<(), ExpiryError> {
        let mut outcome = Ok(());
        for line in self.local.passwd.iter().filter(|line| self.is_made_by_us(line)) {
            let settled = self.settle(&line.name);
            outcome = outcome.and(settled);
        }
        outcome
    }

    /// Brings the expiry of one account in line with the store and the configuration. Accounts of others are left alone.
    ///
    /// # Errors
    /// See [`ExpiryError`].
    pub fn settle(&self, name: &str) -> Result<(), ExpiryError> {
        if !self.local.user(name).is_some_and(|line| self.is_made_by_us(line)) {
            return Ok(());
        }
        let _lock = lock(self.places, self.tools.clock, self.tools.deadline)?;
        self.settle_locked(name)
    }

    /// As [`Self::settle`], for a caller that holds the lock.
    pub(super) fn settle_locked(&self, name: &str) -> Result<(), ExpiryError> {
        let Some(line) = self.local.user(name) else { return Ok(()) };
        let path = self.places.lock.with_file_name(RECORD);
        let mut record = Record::read(&path, self.places.owner)?;
        let due = match self.due(line, record.get(line.uid).is_some())? {
            Due::NotOurs => return Ok(()),
            Due::Never => None,
            Due::From(day) => Some(day.max(SHUT)),
        };
        let Some(now) = day_in(self.shadow, name)? else { return Ok(()) };
        let is_ours =
            now.is_some_and(|now| record.get(line.uid).is_some_and(|entry| entry.ours.contains(&now)));
        let before = if is_ours { record.get(line.uid).and_then(|entry| entry.before) } else { now };
        let wanted = [before, due].into_iter().flatten().min();
        let is_there = |uid| self.local.passwd.iter().any(|line| line.uid == uid);
        // Written before the change and after it: a crash at any instruction leaves a record that tells our days from an
        // administrator's.
        if let Some(day) = wanted.filter(|_| wanted != before) {
            let mut ours = vec![day];
            ours.extend(now.filter(|now| is_ours && *now != day));
            record.put(line.uid, Some(Entry { before, ours }), is_there)?;
        }
        if wanted != now {
            let name = LoginName::parse(name).map_err(|error| io::Error::other(error.to_string()))?;
            let day = wanted.map_or(String::new(), |day| day.to_string());
            self.tools.expire(&name, &day)?;
        }
        let ours = wanted.filter(|_| wanted != before).map(|day| Entry { before, ours: vec![day] });
        Ok(record.put(line.uid, ours, is_there)?)
    }

    /// In our own range of uids, or settled by `uid_overrides`: only useradd mode makes such accounts.
    fn is_made_by_us(&self, line: &PasswdLine) -> bool {
        let accounts = &self.config.accounts;
        let settled = LoginName::parse(&line.name).ok().and_then(|name| accounts.uid_overrides.get(&name));
        self.config.provisioning == Provisioning::Useradd
            && (accounts.uid_range.contains(line.uid) || settled.copied().map(Uid::get) == Some(line.uid))
    }

    /// `was_shut`: the record has the account.
    fn due(&self, line: &PasswdLine, was_shut: bool) -> Result<Due, StoreError> {
        let Some(name) = LoginName::parse(&line.name).ok().filter(|_| self.is_made_by_us(line)) else {
            return Ok(Due::NotOurs);
        };
        let store = Store::open(self.places)?;
        let Some(person) = store.person(&name)?.filter(|person| !person.probe) else {
            let was_theirs = store.tombstone(&name)?.is_some_and(|removed| removed.uid.get() == line.uid);
            return Ok(if was_theirs { Due::From(SHUT) } else { Due::NotOurs });
        };
        if person.account.uid.get() != line.uid {
            return Ok(Due::NotOurs);
        }
        // Somebody who was removed and may come back: their keys wait for the sign-in.
        let is_waiting = person.state == RowState::Reserved && was_shut;
        if person.state == RowState::Locked || is_waiting || person.is_denied(self.config) {
            return Ok(Due::From(SHUT));
        }
        Ok(person.expires_day.map_or(Due::Never, |day| Due::From(day.0)))
    }
}

/// Is a day of ours on record for this uid?
pub(super) fn has_day_of_ours(places: &Places, uid: u32) -> Result<bool, RecordFileError> {
    Ok(Record::read(&places.lock.with_file_name(RECORD), places.owner)?.get(uid).is_some())
}

/// The day of expiry in shadow(5) of a user: `Some(None)` where there is none, `None` where there is no such user. A negative
/// number is none (shadow(3)).
pub(super) fn day_in(shadow: &Path, name: &str) -> io::Result<Option<Option<u32>>> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", shadow.display()));
    for line in BufReader::new(std::fs::File::open(shadow).map_err(named)?).split(b'\n') {
        let line = line.map_err(named)?;
        let mut fields = line.split(|byte| *byte == b':');
        // Name, password, and five numbers before the day of expiry (shadow(5)).
        if fields.next() == Some(name.as_bytes()) {
            let day = fields.nth(6).and_then(|day| std::str::from_utf8(day).ok()?.parse().ok());
            return Ok(Some(day));
        }
    }
    Ok(None)
}
