//! What the rows say: people and groups. A row that breaks a rule is an error, never served (design, section 6): the
//! reader is the last to look before root's programs believe it.

use super::SnapshotError;
use super::table::{Blob, Chunks, Columns};
use crate::types::{Gid, NAME_MAX, Uid, is_login_name};
use std::mem::MaybeUninit;

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
    pub(super) fn by_uid(key: i64, mut columns: Columns<'a>) -> Result<Self, SnapshotError> {
        let name = login_name(columns.text()?)?;
        Self::decode(name, columns, Some(key))
    }

    /// From the columns of `passwd_name` behind its name, which is a login name.
    pub(super) fn by_name(name: &'a str, columns: Columns<'a>) -> Result<Self, SnapshotError> {
        Self::decode(name, columns, None)
    }

    /// From the columns behind the name, in the order of schema.sql; `passwd_name` has the uid as a column.
    fn decode(name: &'a str, mut columns: Columns<'a>, uid: Option<i64>) -> Result<Self, SnapshotError> {
        let gid = columns.integer()?;
        let (gecos, home, shell) = (columns.text()?, columns.text()?, columns.text()?);
        let state = State::from_number(columns.integer()?)?;
        let (confirmed_day, expires_day) = (day(&mut columns)?, day(&mut columns)?);
        let (visible, private_group) = (boolean(&mut columns)?, boolean(&mut columns)?);
        let uid = uid.map_or_else(|| columns.integer(), Ok)?;
        if breaks_passwd_line(gecos) | breaks_passwd_line(home) | breaks_passwd_line(shell) {
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
        Gids { chunks: self.supplementary.chunks(), chunk: &[], carry: Carry::default() }
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
    pub(super) fn by_gid(key: i64, mut columns: Columns<'a>) -> Result<Self, SnapshotError> {
        let name = login_name(columns.text()?)?;
        Self::decode(name, columns, Some(key))
    }

    /// From the columns of `grp_name` behind its name, which is a group name.
    pub(super) fn by_name(name: &'a str, columns: Columns<'a>) -> Result<Self, SnapshotError> {
        Self::decode(name, columns, None)
    }

    fn decode(name: &'a str, mut columns: Columns<'a>, gid: Option<i64>) -> Result<Self, SnapshotError> {
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

/// The gids of a person's supplementary groups.
pub struct Gids<'a> {
    chunks: Chunks<'a>,
    chunk: &'a [u8],
    carry: Carry,
}

impl Gids<'_> {
    /// Copies gids other than `skip` to the front of `places`: how many. Fewer than there are places: there are no more.
    /// Somebody in hundreds of groups has them copied here without a question for each.
    ///
    /// # Errors
    /// As the iterator's; what was copied is void then.
    pub fn copy_to(&mut self, places: &mut [MaybeUninit<u32>], skip: u32) -> Result<usize, SnapshotError> {
        let mut filled = 0;
        while let Some(free) = places.get_mut(filled..).filter(|free| !free.is_empty()) {
            let (words, _) = self.chunk.as_chunks();
            let words = words.get(..free.len()).unwrap_or(words);
            if let Some(rest) = self.chunk.get(4 * words.len()..).filter(|_| !words.is_empty()) {
                filled += copy_words(words, free, skip)?;
                self.chunk = rest;
            } else if let Some(word) = self.across_pages()? {
                filled += copy_words(&[word], free, skip)?;
            } else {
                break;
            }
        }
        Ok(filled)
    }

    /// The word that is cut by the end of a page, or the first on the next one.
    #[cold]
    fn across_pages(&mut self) -> Result<Option<[u8; 4]>, SnapshotError> {
        loop {
            if let Some(word) = self.carry.fill(&mut self.chunk) {
                return Ok(Some(word));
            }
            match self.chunks.next() {
                Some(chunk) => self.chunk = chunk?,
                None if self.carry.length == 0 => return Ok(None),
                None => {
                    self.carry.length = 0;
                    return Err(SnapshotError::Damaged("half a gid"));
                }
            }
        }
    }
}

/// Gids that are looked at together: some of the processor's vectors.
const BLOCK: usize = 16;

/// Copies gids other than `skip`: how many. There are at least as many places as words.
fn copy_words(words: &[[u8; 4]], places: &mut [MaybeUninit<u32>], skip: u32) -> Result<usize, SnapshotError> {
    let (blocks, rest) = words.as_chunks::<BLOCK>();
    let mut filled = 0;
    for block in blocks {
        let gids = block.map(u32::from_be_bytes);
        // Without a branch for each: one that is to be left out, or refused, is nearly never among them.
        let plain = gids.iter().fold(true, |plain, gid| plain & is_group(*gid) & (*gid != skip));
        let free = places.get_mut(filled..).unwrap_or_default();
        match free.first_chunk_mut() {
            Some(places) if plain => {
                *places = gids.map(MaybeUninit::new);
                filled += BLOCK;
            }
            _ => filled += copy_each(block, free, skip)?,
        }
    }
    Ok(filled + copy_each(rest, places.get_mut(filled..).unwrap_or_default(), skip)?)
}

fn copy_each(words: &[[u8; 4]], places: &mut [MaybeUninit<u32>], skip: u32) -> Result<usize, SnapshotError> {
    let (all, mut places) = (places.len(), places.iter_mut());
    for word in words {
        let gid = u32::from_be_bytes(*word);
        if !is_group(gid) {
            return Err(SnapshotError::Refused("a supplementary gid"));
        }
        if gid != skip
            && let Some(place) = places.next()
        {
            place.write(gid);
        }
    }
    Ok(all - places.len())
}

/// The beginning of a word whose end is on the next page.
#[derive(Default)]
struct Carry {
    bytes: [u8; 4],
    length: usize,
}

impl Carry {
    /// Takes bytes off the front of `chunk` until a word is whole.
    fn fill(&mut self, chunk: &mut &[u8]) -> Option<[u8; 4]> {
        while let Some(slot) = self.bytes.get_mut(self.length) {
            let (byte, rest) = chunk.split_first()?;
            (*slot, *chunk) = (*byte, rest);
            self.length += 1;
        }
        self.length = 0;
        Some(self.bytes)
    }
}

impl Iterator for Gids<'_> {
    type Item = Result<u32, SnapshotError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        // Nothing is ever carried over into the middle of a page.
        let word = if let Some((word, rest)) = self.chunk.split_first_chunk() {
            self.chunk = rest;
            *word
        } else {
            match self.across_pages() {
                Ok(word) => word?,
                Err(error) => return Some(Err(error)),
            }
        };
        let gid = u32::from_be_bytes(word);
        Some(if is_group(gid) { Ok(gid) } else { Err(SnapshotError::Refused("a supplementary gid")) })
    }
}

/// Neither root's group nor (gid_t)-1.
fn is_group(gid: u32) -> bool {
    (gid != 0) & (gid != u32::MAX)
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
    const NO_NAME: SnapshotError = SnapshotError::Refused("a name");
    if bytes.len() > NAME_MAX || !is_login_name(bytes) {
        return Err(NO_NAME);
    }
    std::str::from_utf8(bytes).map_err(|_| NO_NAME)
}

/// Would the field end early in C or in a line of passwd(5)? Without a branch per byte, so that it is vectorised.
fn breaks_passwd_line(field: &[u8]) -> bool {
    field.iter().fold(false, |found, byte| found | matches!(byte, 0 | b'\n' | b':'))
}

#[cfg(test)]
mod tests {
    #![allow(unsafe_code)] // to read what was copied
    use super::*;

    #[test]
    fn gids_are_copied_but_the_one_to_leave_out_wherever_it_stands_and_none_is_served_beside_a_refused_one() {
        for length in 0..3 * BLOCK as u32 {
            let gids: Vec<u32> = (1000..1000 + length).collect();
            let words: Vec<_> = gids.iter().map(|gid| gid.to_be_bytes()).collect();
            for skip in 999..=1000 + length {
                let mut places = vec![MaybeUninit::new(7); gids.len()];
                let filled = copy_words(&words, &mut places, skip).unwrap();
                // SAFETY: each place was made with a value.
                let copied: Vec<u32> = places.iter().map(|place| unsafe { place.assume_init() }).collect();
                let expected: Vec<u32> = gids.iter().copied().filter(|gid| *gid != skip).collect();
                assert_eq!(
                    (&copied[..filled], &copied[filled..]),
                    (&expected[..], &vec![7; gids.len() - filled][..])
                );
            }
            for (at, refused) in (0..words.len()).flat_map(|at| [(at, 0), (at, u32::MAX)]) {
                let mut words = words.clone();
                words[at] = refused.to_be_bytes();
                assert!(copy_words(&words, &mut vec![MaybeUninit::uninit(); words.len()], 5).is_err());
            }
        }
    }
}
