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

/// A variable-length integer (§1.6): seven bits a byte, most significant first, the ninth byte whole. Gives the value
/// and what follows it.
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
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
    fn a_file_that_is_not_ours_is_refused_by_its_header() {
        assert!(matches!(Pages::open(b""), Err(SnapshotError::Format("too short"))));
        assert!(matches!(Pages::open(&[0; 4096]), Err(SnapshotError::Format("no SQLite file"))));
    }
}
