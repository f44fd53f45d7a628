//! From a name or an id to an entry of the published database.
//!
//! An entry is borrowed from the mapped file, so it is handed to `copy` while the mapping is held. `copy` may be called
//! more than once; what it did last counts.

use shared::snapshot::{Blob, Gids, Group, Person, SharedSnapshot, Snapshot, SnapshotError};
use std::io;

/// What a lookup ended with when nothing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The entry was copied.
    Found,
    /// Nobody has this name or number; or the enumeration is over.
    Absent,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The published database.
    #[error(transparent)]
    Database(#[from] SnapshotError),
    /// A file that a prospective entry depends on.
    #[error("the machine's own names cannot be read: {0}")]
    Local(io::Error),
    /// The caller's buffer does not hold the entry.
    #[error("the buffer is too small")]
    TooSmall,
    /// No memory left.
    #[error("out of memory")]
    OutOfMemory,
}

/// The answer to one question.
pub type Answer = Result<Outcome, LookupError>;

/// An entry of passwd(5). The password is `x` in all of them: there is no shadow entry to it, so that pam_unix refuses.
#[derive(Clone, Copy, Debug)]
pub struct PasswdEntry<'a> {
    /// Login name.
    pub name: &'a str,
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Comment.
    pub gecos: &'a [u8],
    /// Home directory.
    pub home: &'a [u8],
    /// Login shell.
    pub shell: &'a [u8],
}

/// An entry of group(5).
#[derive(Clone, Copy, Debug)]
pub struct GroupEntry<'a> {
    /// Group name.
    pub name: &'a str,
    /// Group id.
    pub gid: u32,
    /// How many members, and their names, each ended by NUL. A private group has none: its person has it as the
    /// primary group.
    pub members: Option<(u32, Blob<'a>)>,
}

impl<'a> PasswdEntry<'a> {
    fn of(person: &Person<'a>) -> Self {
        let Person { name, gecos, home, shell, .. } = *person;
        Self { name, uid: person.uid.get(), gid: person.gid.get(), gecos, home, shell }
    }
}

impl<'a> GroupEntry<'a> {
    fn of(group: &Group<'a>) -> Self {
        Self { name: group.name, gid: group.gid, members: Some((group.member_count, group.packed_members())) }
    }

    /// The group of a person alone, if there is one. It is not served for an account of /etc/passwd, whose group is
    /// in /etc/group.
    fn private_of(person: &Person<'a>) -> Option<Self> {
        (person.visible && person.private_group).then_some(Self {
            name: person.name,
            gid: person.uid.get(),
            members: None,
        })
    }
}

/// getpwnam(3). What is no login name, such as `pam_unix_non_existent:`, is nobody's.
///
/// # Errors
/// See [`LookupError`].
pub fn passwd_by_name(
    database: &SharedSnapshot,
    name: &[u8],
    mut copy: impl FnMut(PasswdEntry<'_>) -> Result<(), LookupError>,
) -> Answer {
    ask(database, |snapshot| {
        let person = snapshot.person_by_name(name)?;
        Ok(person.as_ref().filter(|person| person.visible).map(|person| copy(PasswdEntry::of(person))))
    })
}

/// getpwuid(3).
///
/// # Errors
/// See [`LookupError`].
pub fn passwd_by_uid(
    database: &SharedSnapshot,
    uid: u32,
    mut copy: impl FnMut(PasswdEntry<'_>) -> Result<(), LookupError>,
) -> Answer {
    ask(database, |snapshot| {
        let person = snapshot.person_by_uid(uid)?;
        Ok(person.as_ref().filter(|person| person.visible).map(|person| copy(PasswdEntry::of(person))))
    })
}

/// The visible person with the smallest uid above `uid`; `copy` gets the entry, and the uid is the answer.
///
/// # Errors
/// See [`LookupError`].
pub fn passwd_after(
    database: &SharedSnapshot,
    uid: Option<u32>,
    mut copy: impl FnMut(PasswdEntry<'_>) -> Result<(), LookupError>,
) -> Answer {
    ask(database, |snapshot| {
        let person = next_person(&snapshot, uid, |person| person.visible.then(|| PasswdEntry::of(person)))?;
        Ok(person.map(&mut copy))
    })
}

/// getgrnam(3).
///
/// # Errors
/// See [`LookupError`].
pub fn group_by_name(
    database: &SharedSnapshot,
    name: &[u8],
    mut copy: impl FnMut(GroupEntry<'_>) -> Result<(), LookupError>,
) -> Answer {
    ask(database, |snapshot| {
        if let Some(group) = snapshot.group_by_name(name)? {
            return Ok(Some(copy(GroupEntry::of(&group))));
        }
        let person = snapshot.person_by_name(name)?;
        Ok(person.as_ref().and_then(GroupEntry::private_of).map(&mut copy))
    })
}

/// getgrgid(3).
///
/// # Errors
/// See [`LookupError`].
pub fn group_by_gid(
    database: &SharedSnapshot,
    gid: u32,
    mut copy: impl FnMut(GroupEntry<'_>) -> Result<(), LookupError>,
) -> Answer {
    ask(database, |snapshot| {
        if let Some(group) = snapshot.group_by_gid(gid)? {
            return Ok(Some(copy(GroupEntry::of(&group))));
        }
        let person = snapshot.person_by_uid(gid)?;
        Ok(person.as_ref().and_then(GroupEntry::private_of).map(&mut copy))
    })
}

/// The group with a row of its own with the smallest gid above `gid`.
///
/// # Errors
/// See [`LookupError`].
pub fn group_after(
    database: &SharedSnapshot,
    gid: Option<u32>,
    mut copy: impl FnMut(GroupEntry<'_>) -> Result<(), LookupError>,
) -> Answer {
    ask(database, |snapshot| Ok(snapshot.groups_after(gid)?.map(|group| copy(GroupEntry::of(&group)))))
}

/// The private group with the smallest gid above `gid`.
///
/// # Errors
/// See [`LookupError`].
pub fn private_group_after(
    database: &SharedSnapshot,
    gid: Option<u32>,
    mut copy: impl FnMut(GroupEntry<'_>) -> Result<(), LookupError>,
) -> Answer {
    ask(database, |snapshot| Ok(next_person(&snapshot, gid, GroupEntry::private_of)?.map(&mut copy)))
}

/// initgroups(3): the supplementary groups of a person, also of one whose account is in /etc/passwd. Each call of
/// `take` begins anew.
///
/// # Errors
/// See [`LookupError`]; the gids taken before are void then.
pub fn supplementary(
    database: &SharedSnapshot,
    name: &[u8],
    mut take: impl FnMut(Gids<'_>) -> Result<(), LookupError>,
) -> Answer {
    ask(database, |snapshot| Ok(snapshot.person_by_name(name)?.map(|person| take(person.supplementary()))))
}

fn ask(
    database: &SharedSnapshot,
    question: impl FnMut(Snapshot<'_>) -> Result<Option<Result<(), LookupError>>, SnapshotError>,
) -> Answer {
    match database.query(question)? {
        Some(copied) => copied.map(|()| Outcome::Found),
        None => Ok(Outcome::Absent),
    }
}

/// What `select` makes of the first person above `uid` of whom it makes anything.
fn next_person<'a, T>(
    snapshot: &Snapshot<'a>,
    uid: Option<u32>,
    select: impl Fn(&Person<'a>) -> Option<T>,
) -> Result<Option<T>, SnapshotError> {
    let mut after = uid;
    while let Some(person) = snapshot.people_after(after)? {
        if let Some(selected) = select(&person) {
            return Ok(Some(selected));
        }
        after = Some(person.uid.get());
    }
    Ok(None)
}
