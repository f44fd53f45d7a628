//! Where a name stands in the published database: SipHash-2-4 under a key that is kept in the file, so that nobody can
//! choose login names that fall into one place. (J.-P. Aumasson, D. J. Bernstein: SipHash, a fast short-input PRF,
//! 2012.) Own code, since every process of the machine carries it: fifty lines without a panic or an unsafe block.

use crate::words::filled_up;

/// A name stands in one of this many slots, beginning at [`hash_name`].
pub const SLOTS: i64 = 4;

/// The bucket of a login or group name: a multiple of [`SLOTS`] between 0 and 2^63.
#[must_use]
pub fn hash_name(key: &[u8; 16], name: &[u8]) -> i64 {
    signed(siphash(key, name)) & !(SLOTS - 1)
}

/// The row that says that somebody of this name was removed.
#[must_use]
pub fn hash_tombstone_name(key: &[u8; 16], name: &[u8]) -> i64 {
    signed(siphash(key, &[b"n", name].concat()))
}

/// The row that says that somebody with this uid was removed.
#[must_use]
pub fn hash_tombstone_uid(key: &[u8; 16], uid: u32) -> i64 {
    let [a, b, c, d] = uid.to_be_bytes();
    signed(siphash(key, &[b'u', a, b, c, d]))
}

/// The upper 63 bits: SQLite's INTEGER has a sign.
fn signed(hash: u64) -> i64 {
    (hash >> 1).cast_signed()
}

fn siphash(key: &[u8; 16], bytes: &[u8]) -> u64 {
    let mut state = Sip::new(u128::from_le_bytes(*key));
    let (words, tail) = bytes.as_chunks::<8>();
    for word in words {
        state.absorb(u64::from_le_bytes(*word));
    }
    // The last word holds what is left and, in its top byte, the length modulo 256.
    let tail = u64::from_le_bytes(filled_up(tail, 0));
    state.absorb(tail | (bytes.len() as u64) << 56);
    state.finish()
}

struct Sip {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
}

impl Sip {
    fn new(key: u128) -> Self {
        let (low, high) = (key as u64, (key >> 64) as u64);
        Self {
            v0: low ^ 0x736f_6d65_7073_6575,
            v1: high ^ 0x646f_7261_6e64_6f6d,
            v2: low ^ 0x6c79_6765_6e65_7261,
            v3: high ^ 0x7465_6462_7974_6573,
        }
    }

    fn absorb(&mut self, word: u64) {
        self.v3 ^= word;
        self.round();
        self.round();
        self.v0 ^= word;
    }

    fn round(&mut self) {
        self.v0 = self.v0.wrapping_add(self.v1);
        self.v2 = self.v2.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(13) ^ self.v0;
        self.v3 = self.v3.rotate_left(16) ^ self.v2;
        self.v0 = self.v0.rotate_left(32);
        self.v2 = self.v2.wrapping_add(self.v1);
        self.v0 = self.v0.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(17) ^ self.v2;
        self.v3 = self.v3.rotate_left(21) ^ self.v0;
        self.v2 = self.v2.rotate_left(32);
    }

    fn finish(mut self) -> u64 {
        self.v2 ^= 0xff;
        for _ in 0..4 {
            self.round();
        }
        self.v0 ^ self.v1 ^ self.v2 ^ self.v3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key 00..0f and message 00..(n-1), as in appendix A of the paper and `vectors.h` of the reference code.
    fn reference(length: u8) -> u64 {
        let key: [u8; 16] = std::array::from_fn(|i| i as u8);
        siphash(&key, &(0..length).collect::<Vec<_>>())
    }

    #[test]
    fn the_reference_vectors_come_out() {
        let vectors = [
            (0, [0x31, 0x0e, 0x0e, 0xdd, 0x47, 0xdb, 0x6f, 0x72]),
            (1, [0xfd, 0x67, 0xdc, 0x93, 0xc5, 0x39, 0xf8, 0x74]),
            (7, [0x37, 0xd1, 0x01, 0x8b, 0xf5, 0x00, 0x02, 0xab]),
            (8, [0x62, 0x24, 0x93, 0x9a, 0x79, 0xf5, 0xf5, 0x93]),
            (15, [0xe5, 0x45, 0xbe, 0x49, 0x61, 0xca, 0x29, 0xa1]),
            (63, [0x72, 0x45, 0x06, 0xeb, 0x4c, 0x32, 0x8a, 0x95]),
        ];
        for (length, expected) in vectors {
            assert_eq!(reference(length).to_le_bytes(), expected, "{length}");
        }
    }

    #[test]
    fn a_bucket_is_never_negative_and_leaves_room_for_its_slots() {
        for n in 0..1000_u32 {
            let bucket = hash_name(&[7; 16], &n.to_be_bytes());
            assert!(bucket >= 0 && bucket % SLOTS == 0 && bucket.checked_add(SLOTS - 1).is_some());
        }
    }

    #[test]
    fn names_and_uids_of_removed_people_do_not_mix() {
        let key = [9; 16];
        assert_ne!(hash_tombstone_name(&key, &1000_u32.to_be_bytes()), hash_tombstone_uid(&key, 1000));
    }
}
