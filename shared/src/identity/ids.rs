//! Ids derived from names (design, section 5): the same name gets the same number on every machine. The number is
//! never probed; who finds it taken refuses.

use crate::types::{Gid, LoginName, Uid};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// Ids `first..=last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    first: u32,
    last: u32,
}

/// Default range of people.
pub const UID_RANGE: IdRange = IdRange { first: 1_879_048_192, last: 2_130_706_431 };
/// Default range of provider groups.
pub const GID_RANGE: IdRange = IdRange { first: 2_130_706_432, last: 2_147_352_575 };

/// Ranges that belong to somebody else: the machine's own ids; systemd's dynamic users (61184-65519) and what 16-bit
/// interfaces give a meaning; container users; foreign ids (systemd, UIDS-GIDS.md).
const FOREIGN: [(u32, u32, &str); 5] = [
    (0, 999, "the machine's own ids"),
    (61_184, 65_535, "systemd's dynamic users"),
    (524_288, 1_879_048_191, "container users"),
    (2_147_352_576, 2_147_418_111, "foreign ids"),
    (u32::MAX, u32::MAX, "\"no id\""),
];

/// Why two numbers are no range for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// Less than two ids.
    #[error("the range {0}-{1} holds fewer than two ids")]
    Empty(u32, u32),
    /// Overlaps ids with another owner.
    #[error("the range {first}-{last} overlaps {owner}")]
    Foreign {
        /// First id.
        first: u32,
        /// Last id.
        last: u32,
        /// Whose ids they are.
        owner: &'static str,
    },
}

impl IdRange {
    /// Ids `first..=last`.
    ///
    /// # Errors
    /// Fewer than two ids, or an overlap with ids that have another owner.
    pub fn new(first: u32, last: u32) -> Result<Self, RangeError> {
        if first >= last {
            return Err(RangeError::Empty(first, last));
        }
        let range = Self { first, last };
        match FOREIGN.iter().find(|(from, to, _)| range.overlaps(&Self { first: *from, last: *to })) {
            Some((_, _, owner)) => Err(RangeError::Foreign { first, last, owner }),
            None => Ok(range),
        }
    }

    /// First id.
    #[must_use]
    pub fn first(&self) -> u32 {
        self.first
    }

    /// Last id.
    #[must_use]
    pub fn last(&self) -> u32 {
        self.last
    }

    /// Is `id` in the range?
    #[must_use]
    pub fn contains(&self, id: u32) -> bool {
        (self.first..=self.last).contains(&id)
    }

    /// Do the two share an id?
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// `first + hash mod size`; `size` leaves out `spared` ids at the end.
    fn pick(&self, hash: u64, spared: u64) -> u32 {
        let size = (u64::from(self.last) - u64::from(self.first) + 1).saturating_sub(spared).max(1);
        let offset = u32::try_from(hash % size).unwrap_or(0);
        self.first.saturating_add(offset)
    }
}

/// The key of a fleet (`id_key_file`), or none. Without one, somebody who can choose a login name at the provider can
/// look for a name with a given id.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct IdKey(Option<Zeroizing<Vec<u8>>>);

impl IdKey {
    /// A key of the fleet.
    #[must_use]
    pub fn new(key: Vec<u8>) -> Self {
        Self(Some(Zeroizing::new(key)))
    }

    /// The bytes, for the parameter file alone.
    #[must_use]
    pub fn expose(&self) -> Option<&[u8]> {
        self.0.as_ref().map(|key| key.as_slice())
    }

    /// First 8 bytes, big-endian, of HMAC-SHA-256 with the key, or of SHA-256 without one.
    fn hash(&self, text: &str) -> u64 {
        let digest: [u8; 32] = match &self.0 {
            // HMAC takes keys of every length (RFC 2104 §2): new_from_slice cannot fail.
            Some(key) => Hmac::<Sha256>::new_from_slice(key)
                .map(|mac| mac.chain_update(text.as_bytes()).finalize().into_bytes().into())
                .unwrap_or_default(),
            None => Sha256::digest(text.as_bytes()).into(),
        };
        let [a, b, c, d, e, f, g, h, ..] = digest;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Debug for IdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "IdKey(***)" } else { "IdKey(none)" })
    }
}

/// The uid of a login name; `None` if the range ends in an id with a meaning of its own, which [`IdRange::new`] rules
/// out.
#[must_use]
pub fn derive_uid(name: &LoginName, range: &IdRange, key: &IdKey) -> Option<Uid> {
    Uid::new(range.pick(key.hash(name.as_str()), 0)).ok()
}

/// The gid of a provider's group, from its id there. The last gid of the range is the people group's.
#[must_use]
pub fn derive_gid(provider_id: &str, range: &IdRange, key: &IdKey) -> Option<Gid> {
    Gid::new(range.pick(key.hash(provider_id), 1)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fixed for ever: a change of one of these gives people other files.
    #[test]
    fn the_derivation_never_changes() {
        let name = |name| LoginName::parse(name).unwrap();
        let keyed = IdKey::new(b"0123456789abcdef0123456789abcdef".to_vec());
        let none = IdKey::default();
        let uid = |text, key: &IdKey| derive_uid(&name(text), &UID_RANGE, key).map(Uid::get);
        assert_eq!(uid("ann", &none), Some(1_883_979_822));
        assert_eq!(uid("john.doe@example.com", &none), Some(2_031_229_748));
        assert_eq!(uid("ann", &keyed), Some(2_019_553_107));
        let gid = |text, key: &IdKey| derive_gid(text, &GID_RANGE, key).map(Gid::get);
        assert_eq!(gid("3f1c-staff", &none), Some(2_138_904_761));
        assert_eq!(gid("3f1c-staff", &keyed), Some(2_146_638_806));
    }

    #[test]
    fn a_range_may_not_touch_ids_of_others() {
        for (first, last) in
            [(900, 2000), (60_000, 70_000), (600_000, 700_000), (2_147_352_000, 2_147_352_600)]
        {
            assert!(matches!(IdRange::new(first, last), Err(RangeError::Foreign { .. })), "{first}");
        }
        assert!(matches!(IdRange::new(5000, 5000), Err(RangeError::Empty(..))));
        assert!(IdRange::new(UID_RANGE.first, UID_RANGE.last).is_ok());
        assert!(IdRange::new(GID_RANGE.first, GID_RANGE.last).is_ok());
        assert!(!UID_RANGE.overlaps(&GID_RANGE));
    }

    #[test]
    fn the_last_gid_is_never_derived() {
        let range = IdRange::new(5000, 5001).unwrap();
        for group in ["a", "b", "c", "d", "e", "f"] {
            assert_eq!(derive_gid(group, &range, &IdKey::default()).map(Gid::get), Some(5000));
        }
    }
}
