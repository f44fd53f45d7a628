//! Store -> published database (design, section 6): copy + delta under a temporary name, sync, rename, and a byte in
//! the retired file that tells every process which has it mapped. Logins that wait for the lock find their change
//! published by whoever held it (group commit).

use super::people::{PERSON, Person, RowState, gids_of, person_row};
use super::snapshot_file::{HeaderRow, PublishedPerson, SnapshotFile, WriteError};
use super::{Places, Store, StoreError};
use crate::clock::Clock;
use crate::config::Config;
use crate::etc::LocalNames;
use crate::first_login::{self, FirstLogin};
use crate::identity::policy;
use crate::secure_file::{self, SecureFileError};
use crate::snapshot::{self, MappedFile, Snapshot, State};
use crate::types::{Gid, IdError};
use rusqlite::Connection;
use rustix::fs::{FlockOperation, Mode};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a publication waits for the one before it.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Shell of a locked row: it does not exist, so that sshd refuses the person even where PAM is not asked.
pub const LOCKED_SHELL: &str = "/nonexistent/oauth2-locked";

/// What a publication is made from besides the store.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// /etc/passwd and /etc/group.
    pub local: &'a LocalNames,
}

/// What a caller needs published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// At least this generation of the store.
    Generation(i64),
    /// Everything, made anew.
    Rebuild,
}

/// What a publication did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It was there already.
    Current,
    /// The old file was copied and patched.
    Patched,
    /// A file was made from the whole store.
    Rebuilt,
}

/// Why nothing was published; the old file is untouched then.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] SecureFileError),
    /// The new database cannot be written.
    #[error("{path} cannot be written: {message}")]
    Write {
        /// The temporary file.
        path: PathBuf,
        /// What SQLite or the system said.
        message: String,
    },
    /// Another publication does not end.
    #[error("another publication holds {0} for more than ten seconds")]
    Locked(PathBuf),
    /// `people_group` is root's group in /etc/group.
    #[error("the people group cannot have gid {}", .0.0)]
    PeopleGroup(IdError),
}

impl From<rusqlite::Error> for PublishError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Publishes what is wanted, and brings the parameter file of first logins up to date where there is one.
///
/// # Errors
/// See [`PublishError`].
pub fn publish(
    places: &Places,
    inputs: &Inputs<'_>,
    want: Want,
    clock: &dyn Clock,
) -> Result<Published, PublishError> {
    let _lock = lock(&places.lock, clock)?;
    let store = Store::open(places)?;
    let people_gid = people_gid(inputs)?;
    let publication = Publication { store: &store, inputs, people_gid, beside: beside(&places.nss_db) };
    // One consistent view of the store for everything that follows.
    store.connection.execute_batch("BEGIN")?;
    let (row, rebuild_generation) = publication.header_row()?;
    let published = match usable(places, &row, rebuild_generation, want) {
        Usable::Current => Published::Current,
        Usable::Base(base) => publication.patch_or_rebuild(&places.nss_db, base, &row)?,
        Usable::No => publication.rebuild(&row)?,
    };
    if published != Published::Current {
        replace(&places.nss_db, &publication.beside)?;
    }
    refresh_first_login(places, inputs)?;
    Ok(published)
}

/// The parameters of prospective entries, as this configuration resolves them.
///
/// # Errors
/// [`PublishError::PeopleGroup`].
pub fn first_login_parameters(inputs: &Inputs<'_>, profile: &str) -> Result<FirstLogin, PublishError> {
    let accounts = &inputs.config.accounts;
    Ok(FirstLogin {
        config_digest: inputs.config.digest,
        profile: profile.to_owned(),
        uid_range: accounts.uid_range,
        gid_range: accounts.gid_range,
        id_key: accounts.id_key.clone(),
        uid_overrides: accounts.uid_overrides.clone(),
        home: accounts.home.clone(),
        shell: accounts.shell.clone(),
        preserve_case: inputs.config.mapping.preserve_case,
        patterns: accounts.first_login.clone(),
        people_group: accounts.people_group.clone(),
        people_gid: people_gid(inputs)?,
        refused_names: inputs.config.mapping.group_map.values().map(ToString::to_string).collect(),
    })
}

fn refresh_first_login(places: &Places, inputs: &Inputs<'_>) -> Result<(), PublishError> {
    let old = match secure_file::read(&places.first_login, places.owner, first_login::LIMIT) {
        Ok(old) => old.bytes,
        // Not enabled: a publication does not enable.
        Err(SecureFileError::Missing(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let profile =
        std::str::from_utf8(&old).ok().and_then(|text| FirstLogin::parse(text).ok()).map(|old| old.profile);
    let Some(profile) = profile else { return Ok(()) };
    let text = first_login_parameters(inputs, &profile)?.to_text();
    if text.as_bytes() != old {
        secure_file::replace(&places.first_login, text.as_bytes(), 0o600)?;
    }
    Ok(())
}

/// The group of /etc/group, where it has the name; else the gid that nobody else is given.
fn people_gid(inputs: &Inputs<'_>) -> Result<Gid, PublishError> {
    let accounts = &inputs.config.accounts;
    match inputs.local.group(accounts.people_group.as_str()) {
        Some(line) => Gid::of_local_group(line.gid).map_err(PublishError::PeopleGroup),
        None => Ok(accounts.people_gid),
    }
}

/// Is the file that is published now enough, something to build on, or neither?
enum Usable {
    Current,
    Base(Base),
    No,
}

struct Base {
    hash_key: [u8; 16],
    generation: i64,
}

fn usable(places: &Places, row: &HeaderRow, rebuild_generation: i64, want: Want) -> Usable {
    let Want::Generation(wanted) = want else { return Usable::No };
    // Whatever is wrong with the old file, a new one is made from the store.
    let path = places.nss_db.to_str().unwrap_or_default();
    let Ok(file) = MappedFile::open_owned_by(path, places.owner) else { return Usable::No };
    let Ok(header) = Snapshot::open(file.bytes()).and_then(|snapshot| snapshot.header()) else {
        return Usable::No;
    };
    let generation = header.generation;
    if !row.same_origin(&header) || generation < rebuild_generation || generation > row.generation {
        return Usable::No;
    }
    if generation >= wanted {
        return Usable::Current;
    }
    Usable::Base(Base { hash_key: header.hash_key, generation })
}

struct Publication<'a> {
    store: &'a Store,
    inputs: &'a Inputs<'a>,
    people_gid: Gid,
    beside: PathBuf,
}

impl Publication<'_> {
    fn connection(&self) -> &Connection {
        &self.store.connection
    }

    fn write_error(&self, error: &WriteError) -> PublishError {
        PublishError::Write { path: self.beside.clone(), message: error.to_string() }
    }

    fn header_row(&self) -> Result<(HeaderRow, i64), PublishError> {
        let sql = "SELECT store_id, generation, rebuild_generation FROM meta";
        let (store_id, generation, rebuild) =
            self.connection().query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let config = self.inputs.config;
        let row = HeaderRow {
            store_id,
            generation,
            inputs_digest: inputs_digest(self.inputs),
            max_confirmation_age: config.policy.max_confirmation_age,
            services: config.services.join(" "),
        };
        Ok((row, rebuild))
    }

    fn patch_or_rebuild(
        &self,
        nss_db: &Path,
        base: Base,
        row: &HeaderRow,
    ) -> Result<Published, PublishError> {
        match self.patch(nss_db, base, row) {
            Ok(true) => Ok(Published::Patched),
            // The old file is not what the store says it is, or has no room: start anew.
            Ok(false) | Err(WriteError::BucketFull | WriteError::Sqlite(_)) => self.rebuild(row),
            Err(error) => Err(self.write_error(&error)),
        }
    }

    /// `false` when the patched copy does not add up to the store.
    fn patch(&self, nss_db: &Path, base: Base, row: &HeaderRow) -> Result<bool, WriteError> {
        remove(&self.beside)?;
        std::fs::copy(nss_db, &self.beside)?;
        let file = SnapshotFile::open_copy(&self.beside, base.hash_key)?;
        self.write_tombstones(&file, base.generation)?;
        self.write_people(&file, base.generation)?;
        self.write_groups(&file, base.generation)?;
        let Some(counts) = file.counts()? else { return Ok(false) };
        if counts != self.expected_counts()? {
            return Ok(false);
        }
        file.finish(&self.beside, row, counts)?;
        Ok(true)
    }

    fn rebuild(&self, row: &HeaderRow) -> Result<Published, PublishError> {
        let mut result = Err(WriteError::BucketFull);
        // A full bucket is a matter of luck: each try draws another key.
        for _ in 0..4 {
            result = self.build(row);
            if !matches!(result, Err(WriteError::BucketFull)) {
                break;
            }
        }
        result.map(|()| Published::Rebuilt).map_err(|error| self.write_error(&error))
    }

    fn build(&self, row: &HeaderRow) -> Result<(), WriteError> {
        remove(&self.beside)?;
        let file = SnapshotFile::create(&self.beside)?;
        let people_group = self.inputs.config.accounts.people_group.as_str();
        if self.inputs.local.group(people_group).is_none() {
            // Everybody is in it; a list of everybody would be read by every `ls -l` of a group file.
            file.put_group(self.people_gid.get(), people_group, 0, &[])?;
        }
        self.write_people(&file, -1)?;
        self.write_groups(&file, -1)?;
        self.write_tombstones(&file, -1)?;
        let counts = self.expected_counts()?;
        file.finish(&self.beside, row, counts)
    }

    /// Rows that a complete file has in `passwd` and `grp`.
    fn expected_counts(&self) -> Result<(i64, i64), WriteError> {
        let people = self.connection().query_row("SELECT count(*) FROM identity", [], |row| row.get(0))?;
        let mut groups: i64 = 0;
        let mut statement = self.connection().prepare("SELECT name, gid FROM idp_group")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            groups += i64::from(self.serves_group(&row.get::<_, String>(0)?, row.get(1)?));
        }
        let people_group = self.inputs.config.accounts.people_group.as_str();
        Ok((people, groups + i64::from(self.inputs.local.group(people_group).is_none())))
    }

    /// A name or gid of /etc/group is never redefined.
    fn serves_group(&self, name: &str, gid: u32) -> bool {
        let local = &self.inputs.local.group;
        !local.iter().any(|line| line.name == name || line.gid == gid)
    }

    fn write_people(&self, file: &SnapshotFile, after: i64) -> Result<(), WriteError> {
        let sql = format!("SELECT {PERSON} WHERE generation > ?1 ORDER BY uid");
        let mut statement = self.connection().prepare(&sql)?;
        for person in statement.query_map([after], person_row)? {
            let person = person?.map_err(into_write)?;
            file.put_person(&self.published(&person)?)?;
        }
        Ok(())
    }

    fn published<'p>(&self, person: &'p Person) -> Result<PublishedPerson<'p>, WriteError> {
        let account = &person.account;
        let (name, uid) = (account.name.as_str(), account.uid.get());
        let local = self.inputs.local;
        let visible = local.user(name).is_none();
        let private_group = visible && self.serves_group(name, uid);
        let denied = !person.probe && !policy::permits_user(&account.name, self.inputs.config);
        let state = match person.state {
            RowState::Locked => State::Locked,
            _ if denied => State::Denied,
            RowState::Reserved => State::Reserved,
            RowState::Confirmed => State::Confirmed,
        };
        Ok(PublishedPerson {
            name,
            uid,
            gid: account.gid.get(),
            gecos: &account.gecos,
            home: &account.home,
            shell: if state == State::Locked { LOCKED_SHELL } else { &account.shell },
            state,
            confirmed_day: person.confirmed_day.map(|day| day.0),
            expires_day: person.expires_day.map(|day| day.0),
            visible,
            private_group,
            supplementary: self.supplementary(person)?,
        })
    }

    /// The people group and the served provider groups, packed.
    fn supplementary(&self, person: &Person) -> Result<Vec<u8>, WriteError> {
        let mut gids: BTreeSet<u32> =
            gids_of(self.connection(), person.id).map_err(into_write)?.into_iter().map(Gid::get).collect();
        gids.retain(|gid| !self.inputs.local.group.iter().any(|line| line.gid == *gid));
        gids.insert(self.people_gid.get());
        gids.remove(&person.account.gid.get());
        Ok(gids.into_iter().flat_map(u32::to_be_bytes).collect())
    }

    fn write_groups(&self, file: &SnapshotFile, after: i64) -> Result<(), WriteError> {
        let mut statement = self
            .connection()
            .prepare("SELECT provider_id, name, gid FROM idp_group WHERE generation > ?1")?;
        let mut members = self.connection().prepare(
            "SELECT login_name FROM identity JOIN membership ON identity = id WHERE provider_id = ?1 ORDER BY login_name",
        )?;
        let mut rows = statement.query([after])?;
        while let Some(row) = rows.next()? {
            let (id, name, gid): (String, String, u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if !self.serves_group(&name, gid) {
                continue;
            }
            let (mut count, mut packed) = (0_u32, Vec::new());
            for member in members.query_map([&id], |row| row.get::<_, String>(0))? {
                packed.extend_from_slice(member?.as_bytes());
                packed.push(0);
                count = count.saturating_add(1);
            }
            file.put_group(gid, &name, count, &packed)?;
        }
        Ok(())
    }

    fn write_tombstones(&self, file: &SnapshotFile, after: i64) -> Result<(), WriteError> {
        let mut statement =
            self.connection().prepare("SELECT login_name, uid FROM tombstone WHERE generation > ?1")?;
        let mut rows = statement.query([after])?;
        while let Some(row) = rows.next()? {
            let (name, uid): (String, u32) = (row.get(0)?, row.get(1)?);
            file.remove_person(uid, &name)?;
            file.put_tombstone(&name, uid)?;
        }
        Ok(())
    }
}

/// A damaged row of the store, met while writing.
fn into_write(error: StoreError) -> WriteError {
    match error {
        StoreError::Sqlite(error) => WriteError::Sqlite(error),
        error => WriteError::Io(io::Error::other(error)),
    }
}

/// SHA-256 of everything besides the store that decides what is published.
fn inputs_digest(inputs: &Inputs<'_>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(inputs.config.digest);
    let users = inputs.local.passwd.iter().map(|line| ("u", &line.name, line.uid));
    let groups = inputs.local.group.iter().map(|line| ("g", &line.name, line.gid));
    for (kind, name, id) in users.chain(groups) {
        // No name of passwd(5) or group(5) holds a newline.
        hash.update(format!("{kind}{id}:{name}\n"));
    }
    hash.finalize().into()
}

/// Takes the publication lock; released when the file is closed.
fn lock(path: &Path, clock: &dyn Clock) -> Result<File, PublishError> {
    let io = |source| SecureFileError::Io { path: path.to_owned(), source };
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map_err(io)?;
    let give_up = clock.monotonic().saturating_add(LOCK_PATIENCE);
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if clock.monotonic() < give_up => {
                clock.sleep(Duration::from_millis(2))
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(PublishError::Locked(path.to_owned())),
            Err(errno) => return Err(io(errno.into()).into()),
        }
    }
}

/// Puts the finished file in the place of the published one, and tells those who have the old one mapped.
fn replace(nss_db: &Path, beside: &Path) -> Result<(), PublishError> {
    let io = |path: &Path, source| SecureFileError::Io { path: path.to_owned(), source };
    let new = File::open(beside).map_err(|source| io(beside, source))?;
    rustix::fs::fchmod(&new, Mode::from_raw_mode(0o644)).map_err(|errno| io(beside, errno.into()))?;
    new.sync_all().map_err(|source| io(beside, source))?;
    let retired = OpenOptions::new()
        .write(true)
        .custom_flags((rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits().cast_signed())
        .open(nss_db)
        .ok();
    std::fs::rename(beside, nss_db).map_err(|source| io(nss_db, source))?;
    secure_file::sync_directory_of(nss_db)?;
    if let Some(retired) = retired
        .filter(|file| file.metadata().is_ok_and(|m| m.is_file() && m.len() >= snapshot::PAGE_SIZE as u64))
    {
        // Readers that miss the byte look again within a second: nothing depends on it but speed.
        let _ = retired.write_all_at(&[1], snapshot::RETIRED_BYTE as u64);
    }
    Ok(())
}

fn beside(nss_db: &Path) -> PathBuf {
    let mut name = nss_db.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

fn remove(path: &Path) -> Result<(), WriteError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
