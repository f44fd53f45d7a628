//! Packed lists of members, a page at a time: groups have hundreds of members, and getgrnam(3) is asked for them in
//! every `id` and `ls -l`.

/// Could this be part of a packed list: names without a character that would break a line of group(5) or a terminal,
/// each ended by NUL? What else makes a login name matters where one is looked up, not in a list.
#[must_use]
#[inline(never)] // this crate is built for speed, its caller for size
pub fn is_packed_names(chunk: &[u8]) -> bool {
    let (words, tail) = chunk.as_chunks();
    words.iter().chain(&filled_up(tail)).all(|word| !breaks_line(u64::from_le_bytes(*word)))
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
                None => (filled_up(std::mem::take(&mut self.tail))?, self.words),
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

/// A last word of fewer than eight bytes, and letters behind them.
fn filled_up(tail: &[u8]) -> Option<[u8; 8]> {
    let mut word = [b'a'; 8];
    word.iter_mut().zip(tail).for_each(|(slot, byte)| *slot = *byte);
    (!tail.is_empty()).then_some(word)
}

/// The same byte eight times.
const fn eight(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

const HIGH: u64 = eight(0x80);
const LOW: u64 = eight(0x7f);

/// The high bit of every byte that is 0: adding 7f carries into it from any of the lower bits.
fn zero_bytes(word: u64) -> u64 {
    !(((word & LOW) + LOW) | word | LOW)
}

/// Is any of the bytes a control character other than NUL, a space, a comma, a colon, DEL or not ASCII?
fn breaks_line(word: u64) -> bool {
    let low = word & LOW;
    // Carries into the high bit from '!' on, and from DEL on.
    let (printable, delete) = (low + eight(0x80 - b'!'), low + eight(0x80 - 0x7f));
    let separator = zero_bytes(word ^ eight(b',')) | zero_bytes(word ^ eight(b':'));
    ((word | delete | separator | !(printable | zero_bytes(word))) & HIGH) != 0
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
