//! Packed lists of members, a page at a time: groups have hundreds of members, and getgrnam(3) is asked for them in
//! every `id` and `ls -l`.

use crate::words::{HIGH, bytes_between, each_word, equal_bytes, filled_up, zero_bytes};

/// Could this be part of a packed list: names without a character that would break a line of group(5) or a terminal,
/// each ended by NUL? What else makes a login name matters where one is looked up, not in a list.
#[must_use]
#[inline(never)] // this crate is built for speed, its caller for size
pub fn is_packed_names(chunk: &[u8]) -> bool {
    let mut breaks = 0;
    each_word(chunk, |word| breaks |= breaks_line(word));
    breaks == 0
}

/// The offsets of the NULs in a chunk.
#[must_use]
pub fn name_ends(chunk: &[u8]) -> NameEnds<'_> {
    let (words, tail) = chunk.as_chunks();
    NameEnds { words, tail, offset: 0, marks: 0 }
}

/// The offsets of the NULs in a chunk, eight bytes at once.
#[derive(Clone, Debug)]
pub struct NameEnds<'a> {
    words: &'a [[u8; 8]],
    tail: &'a [u8],
    /// Of the next word.
    offset: usize,
    /// The high bits of those bytes of the current word that are 0 and have not been given out.
    marks: u64,
}

impl Iterator for NameEnds<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while self.marks == 0 {
            let (word, rest) = match self.words.split_first() {
                Some((word, rest)) => (*word, rest),
                None if self.tail.is_empty() => return None,
                None => (filled_up(std::mem::take(&mut self.tail), b'_'), self.words),
            };
            self.words = rest;
            self.offset += 8;
            self.marks = zero_bytes(u64::from_le_bytes(word));
        }
        let byte = self.marks.trailing_zeros() as usize / 8;
        self.marks &= self.marks - 1;
        Some(self.offset - 8 + byte)
    }
}

/// The high bit of every byte that is a control character other than NUL, a space, a comma, a colon, DEL or not ASCII.
fn breaks_line(word: u64) -> u64 {
    let separators = equal_bytes(word, b',') | equal_bytes(word, b':');
    HIGH & !(zero_bytes(word) | bytes_between(word, b'!', b'~')) | separators
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nul_is_found_once_and_nothing_else_is() {
        let mut state = 7_u64;
        for length in 0..200 {
            let bytes: Vec<u8> = (0..length)
                .map(|_| {
                    // Knuth's MMIX generator.
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    [0, 1, 0x7f, 0x80, 0x81, 0xff, b'a', 0][(state >> 61) as usize]
                })
                .collect();
            let expected: Vec<usize> = (0..length).filter(|at| bytes[*at] == 0).collect();
            assert_eq!(name_ends(&bytes).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_list_holds_nothing_that_would_break_a_line() {
        assert!(is_packed_names(b"ann@example.com\0B_o+b-\0"));
        for byte in 0..=255 {
            let allowed = byte == 0 || byte > b' ' && byte < 0x7f && byte != b',' && byte != b':';
            for length in 1..20 {
                for at in 0..length {
                    let mut bytes = vec![[0, b'~', b'!'][at % 3]; length];
                    bytes[at] = byte;
                    assert_eq!(is_packed_names(&bytes), allowed, "{bytes:?}");
                }
            }
        }
    }
}
