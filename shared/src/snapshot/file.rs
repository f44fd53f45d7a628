//! The file as pages. Section numbers are those of <https://www.sqlite.org/fileformat2.html>.

use super::SnapshotError;

/// `PRAGMA application_id`: "OAU2".
pub const APPLICATION_ID: u32 = 0x4F41_5532;
/// `PRAGMA user_version`: the number of the format this code reads.
pub const FORMAT: u32 = 1;
/// Offset of the byte that is 1 in a file that has been replaced: the first of the header's reserved bytes (§1.3).
pub const RETIRED_BYTE: usize = 72;
/// `PRAGMA page_size`.
pub const PAGE_SIZE: usize = 4096;

/// One page. Format 1 reserves no bytes at its end, so all of it is usable.
pub(super) type Page = [u8; PAGE_SIZE];

/// The database as numbered pages.
#[derive(Clone, Copy)]
pub(super) struct Pages<'a> {
    pages: &'a [Page],
}

impl<'a> Pages<'a> {
    /// The pages of a file whose header says that it is ours and whole.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, SnapshotError> {
        let header = bytes.first_chunk::<100>().ok_or(SnapshotError::Format("too short"))?;
        check_header(header)?;
        let (pages, rest) = bytes.as_chunks::<PAGE_SIZE>();
        // §1.3.8: the size in pages. SQLite truncates the file to it, so anything else has lost its end.
        let size = be32(header, 28).ok_or(SnapshotError::Format("too short"))?;
        if !rest.is_empty() || usize::try_from(size) != Ok(pages.len()) {
            return Err(SnapshotError::Damaged("the file has not the size its header says"));
        }
        Ok(Self { pages })
    }

    /// The pages of a file that [`Self::open`] has accepted before.
    pub(super) fn reopen(bytes: &'a [u8]) -> Self {
        Self { pages: bytes.as_chunks::<PAGE_SIZE>().0 }
    }

    /// Page `number`, counted from one.
    pub(super) fn page(self, number: u32) -> Result<&'a Page, SnapshotError> {
        usize::try_from(number)
            .ok()
            .and_then(|number| self.pages.get(number.wrapping_sub(1)))
            .ok_or(SnapshotError::Damaged("a page that is not in the file"))
    }

    /// How many there are.
    pub(super) fn number(self) -> usize {
        self.pages.len()
    }

    /// Bytes of the whole file: nothing in it can be longer.
    pub(super) fn total(self) -> usize {
        self.pages.as_flattened().len()
    }
}

/// §1.3, the header of the database.
fn check_header(header: &[u8; 100]) -> Result<(), SnapshotError> {
    let number = |at| be32(header, at);
    let byte = |at: usize| header.get(at).copied();
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(SnapshotError::Format("no SQLite file"));
    }
    if number(68) != Some(APPLICATION_ID) {
        return Err(SnapshotError::Format("not this package's file"));
    }
    if number(60) != Some(FORMAT) {
        return Err(SnapshotError::Format("another version"));
    }
    // Page size 4096; read version 1: no write-ahead log; no reserved bytes; text is UTF-8.
    if be16(header, 16) != Some(4096) || byte(19) != Some(1) || byte(20) != Some(0) || number(56) != Some(1) {
        return Err(SnapshotError::Format("another page size, journal or encoding"));
    }
    Ok(())
}

/// Two bytes, big-endian.
pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|word| u16::from_be_bytes(*word))
}

/// Four bytes, big-endian.
pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

/// A variable-length integer (§1.6): seven bits a byte, most significant first, all but the last with the high bit set;
/// the ninth byte is whole. Gives the value and what follows it.
#[inline(always)]
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    // Nearly every length and type of a column is below 128.
    match bytes.split_first()? {
        (byte, rest) if *byte < 0x80 => Some((u64::from(*byte), rest)),
        _ => long_varint(bytes),
    }
}

/// The value alone: the keys that a search compares, where the reader spends most of its time.
#[inline(always)]
pub(super) fn varint_value(bytes: &[u8]) -> Option<u64> {
    wide_varint(bytes).map(|(value, _)| value)
}

#[inline(never)]
fn long_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    wide_varint(bytes)
}

/// Eight bytes at once where there are nine, which is everywhere but at the very end of a page.
#[inline(always)]
fn wide_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let Some(([a, b, c, d, e, f, g, h, ninth], rest)) = bytes.split_first_chunk() else {
        return varint_bytewise(bytes);
    };
    let word = u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
    let ends = !word & HIGH;
    if ends == 0 {
        return Some((join_sevens(word) << 8 | u64::from(*ninth), rest));
    }
    let length = ends.leading_zeros() / 8 + 1;
    Some((join_sevens(word >> (64 - 8 * length)), bytes.get(length as usize..)?))
}

/// The low seven bits of each byte, put together: pairs of 7 bits, then of 14, then of 28.
fn join_sevens(word: u64) -> u64 {
    let pairs = (word & 0x7f00_7f00_7f00_7f00) >> 1 | word & 0x007f_007f_007f_007f;
    let fours = (pairs & 0x3fff_0000_3fff_0000) >> 2 | pairs & 0x0000_3fff_0000_3fff;
    (fours & 0x0fff_ffff_0000_0000) >> 4 | fours & 0x0000_0000_0fff_ffff
}

#[cold]
fn varint_bytewise(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    let mut rest = bytes;
    for _ in 0..8 {
        let (byte, after) = rest.split_first()?;
        rest = after;
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, rest));
        }
    }
    let (byte, rest) = rest.split_first()?;
    Some((value << 8 | u64::from(*byte), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_has_one_to_nine_bytes() {
        let cases: [(&[u8], u64); 5] = [
            (&[0x7f], 127),
            (&[0x81, 0x00], 128),
            (&[0xff, 0x7f], 16_383),
            (&[0xff; 9], u64::MAX),
            (&[0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], i64::MAX as u64),
        ];
        for (bytes, expected) in cases {
            assert_eq!(varint(&[bytes, b"rest"].concat()), Some((expected, &b"rest"[..])), "{bytes:?}");
            assert_eq!(varint(&bytes[..bytes.len() - 1]), None);
        }
    }

    #[test]
    fn a_varint_read_by_the_word_is_the_one_read_by_the_byte() {
        let mut state = 1_u64;
        for _ in 0..10_000 {
            // Knuth's MMIX generator.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let bytes =
                [(state | 0x8080_8080_8080_8080 >> (state % 64)).to_be_bytes(), state.to_le_bytes()].concat();
            assert_eq!(varint(&bytes), varint_bytewise(&bytes), "{bytes:?}");
        }
    }

    #[test]
    fn a_file_that_is_not_ours_is_refused_by_its_header() {
        assert!(matches!(Pages::open(b""), Err(SnapshotError::Format("too short"))));
        assert!(matches!(Pages::open(&[0; 4096]), Err(SnapshotError::Format("no SQLite file"))));
    }
}
