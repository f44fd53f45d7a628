//! What the rows say: people and groups. A row that breaks a rule is an error, never served (design, section 6): the
//! reader is the last to look before root's programs believe it.

use super::SnapshotError;
use super::gids::{Gids, is_group};
use super::table::{Blob, Columns};
use crate::types::{self, Gid, Uid};
use crate::words::{each_word, equal_bytes, zero_bytes};

/// Gecos, home and shell of a person together, in bytes: what stands in the leaf of the b-tree however many groups
/// follow (at least 489 bytes do; the name and the numbers have the rest).
pub const TEXT_MAX: usize = 320;

/// How far a person has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Reserved by the administrator; nobody has signed in yet.
    Reserved,
    /// The provider has confirmed the person at least once.
    Confirmed,
    /// Locked by the administrator.
    Locked,
    /// The policy no longer lets the person in.
    Denied,
}

impl State {
    /// The number in the column `state`.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Reserved => 0,
            Self::Confirmed => 1,
            Self::Locked => 2,
            Self::Denied => 3,
        }
    }

    fn from_number(number: i64) -> Result<Self, SnapshotError> {
        match number {
            0 => Ok(Self::Reserved),
            1 => Ok(Self::Confirmed),
            2 => Ok(Self::Locked),
            3 => Ok(Self::Denied),
            _ => Err(SnapshotError::Refused("an unknown state")),
        }
    }
}

/// A person, borrowed from the file.
#[derive(Clone, Debug)]
pub struct Person<'a> {
    /// Login name.
    pub name: &'a str,
    /// User id.
    pub uid: Uid,
    /// Primary group.
    pub gid: Gid,
    /// Full name, any encoding.
    pub gecos: &'a [u8],
    /// Home directory.
    pub home: &'a [u8],
    /// Login shell.
    pub shell: &'a [u8],
    /// How far the person has come.
    pub state: State,
    /// UTC day of the last verified sign-in.
    pub confirmed_day: Option<u32>,
    /// First UTC day on which the account no longer works.
    pub expires_day: Option<u32>,
    /// false: the account itself is in /etc/passwd; only state and memberships are to be served.
    pub visible: bool,
    /// A group of the person's name with gid = uid exists.
    pub private_group: bool,
    supplementary: Blob<'a>,
}

impl<'a> Person<'a> {
    /// From the columns of `passwd` behind its key, the uid.
    pub(super) fn by_uid(key: i64, columns: &mut Columns<'a>) -> Result<Self, SnapshotError> {
        let name = login_name(columns.text()?)?;
        Self::decode(name, columns, Some(key))
    }

    /// From the columns of `passwd_name` behind its name, which is a login name.
    pub(super) fn by_name(name: &'a str, columns: &mut Columns<'a>) -> Result<Self, SnapshotError> {
        Self::decode(name, columns, None)
    }

    /// From the columns behind the name, in the order of schema.sql; `passwd_name` has the uid as a column.
    fn decode(name: &'a str, columns: &mut Columns<'a>, uid: Option<i64>) -> Result<Self, SnapshotError> {
        let gid = columns.integer()?;
        let ahead = columns.values();
        let (gecos, home, shell) = (columns.text()?, columns.text()?, columns.text()?);
        // They stand one behind the other.
        let fields = ahead.get(..gecos.len() + home.len() + shell.len()).unwrap_or(ahead);
        let state = State::from_number(columns.integer()?)?;
        let (confirmed_day, expires_day) = (day(columns)?, day(columns)?);
        let (visible, private_group) = (boolean(columns)?, boolean(columns)?);
        let uid = uid.map_or_else(|| columns.integer(), Ok)?;
        if breaks_passwd_line(fields) {
            return Err(SnapshotError::Refused("a field with NUL, newline or colon"));
        }
        Ok(Self {
            name,
            uid: number(uid).and_then(|uid| Uid::new(uid).ok()).ok_or(SnapshotError::Refused("a uid"))?,
            gid: number(gid)
                .and_then(|gid| Gid::new(gid).ok())
                .ok_or(SnapshotError::Refused("a primary gid"))?,
            gecos,
            home,
            shell,
            state,
            confirmed_day,
            expires_day,
            visible,
            private_group,
            supplementary: columns.blob()?,
        })
    }

    /// The gids of the supplementary groups. An error is the last item; whoever has taken gids before it must drop
    /// them.
    #[must_use]
    pub fn supplementary(&self) -> Gids<'a> {
        Gids::of(self.supplementary)
    }
}

/// A group, borrowed from the file.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// Group name.
    pub name: &'a str,
    /// Group id; may be one of the machine's own below 1000, but never 0.
    pub gid: u32,
    /// Members.
    pub member_count: u32,
    members: Blob<'a>,
}

impl<'a> Group<'a> {
    /// From the columns of `grp` behind its key, the gid.
    pub(super) fn by_gid(key: i64, columns: &mut Columns<'a>) -> Result<Self, SnapshotError> {
        let name = login_name(columns.text()?)?;
        Self::decode(name, columns, Some(key))
    }

    /// From the columns of `grp_name` behind its name, which is a group name.
    pub(super) fn by_name(name: &'a str, columns: &mut Columns<'a>) -> Result<Self, SnapshotError> {
        Self::decode(name, columns, None)
    }

    fn decode(name: &'a str, columns: &mut Columns<'a>, gid: Option<i64>) -> Result<Self, SnapshotError> {
        let gid = gid.map_or_else(|| columns.integer(), Ok)?;
        let gid = number(gid).filter(|gid| is_group(*gid)).ok_or(SnapshotError::Refused("a gid"))?;
        let member_count =
            number(columns.integer()?).ok_or(SnapshotError::Damaged("a number of members out of range"))?;
        let members = columns.blob()?;
        // Every member has at least a letter and a NUL. Whoever makes room for them may rely on it.
        if members.len() / 2 < member_count as usize {
            return Err(SnapshotError::Damaged("fewer members than announced"));
        }
        Ok(Self { name, gid, member_count, members })
    }

    /// The members' names as they are packed: each ended by one NUL byte, none checked.
    #[must_use]
    pub fn packed_members(&self) -> Blob<'a> {
        self.members
    }

    /// The members' names.
    ///
    /// # Errors
    /// A name that is none, or another number of them than announced.
    pub fn members(&self) -> Result<Vec<String>, SnapshotError> {
        let mut packed = Vec::new();
        packed
            .try_reserve_exact(self.members.len())
            .map_err(|_| SnapshotError::Resources(rustix::io::Errno::NOMEM))?;
        for chunk in self.members.chunks() {
            packed.extend_from_slice(chunk?);
        }
        let Some(packed) = packed.strip_suffix(&[0]) else {
            let empty = packed.is_empty() && self.member_count == 0;
            return if empty {
                Ok(Vec::new())
            } else {
                Err(SnapshotError::Damaged("an unended list of members"))
            };
        };
        let names: Result<Vec<_>, _> =
            packed.split(|byte| *byte == 0).map(|name| login_name(name).map(str::to_owned)).collect();
        let counted = |names: &Vec<_>| names.len() == self.member_count as usize;
        names.and_then(|names| {
            counted(&names).then_some(names).ok_or(SnapshotError::Damaged("a number of members"))
        })
    }
}

fn number(value: i64) -> Option<u32> {
    u32::try_from(value).ok()
}

fn day(columns: &mut Columns<'_>) -> Result<Option<u32>, SnapshotError> {
    let Some(day) = columns.optional_integer()? else { return Ok(None) };
    number(day).map(Some).ok_or(SnapshotError::Damaged("a day out of range"))
}

fn boolean(columns: &mut Columns<'_>) -> Result<bool, SnapshotError> {
    match columns.integer()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(SnapshotError::Damaged("a boolean that is neither 0 nor 1")),
    }
}

fn login_name(bytes: &[u8]) -> Result<&str, SnapshotError> {
    types::login_name(bytes).ok_or(SnapshotError::Refused("a name"))
}

/// Would a field end early in C or in a line of passwd(5)?
fn breaks_passwd_line(fields: &[u8]) -> bool {
    let mut ends = 0;
    each_word(fields, |word| ends |= zero_bytes(word) | equal_bytes(word, b'\n') | equal_bytes(word, b':'));
    ends != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_that_ends_a_field_is_missed() {
        for length in 0..40 {
            let clean = vec![b';'; length];
            assert!(!breaks_passwd_line(&clean));
            for (at, byte) in (0..length).flat_map(|at| (0..=255).map(move |byte| (at, byte))) {
                let mut field = clean.clone();
                field[at] = byte;
                assert_eq!(
                    breaks_passwd_line(&field),
                    b"\0\n:".contains(&byte),
                    "{byte} at {at} of {length}"
                );
            }
        }
    }
}
