//! Eight bytes at once, for what every lookup looks at: names and the fields of a person.

/// The same byte eight times.
pub(crate) const fn eight(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The high bit of each byte.
pub(crate) const HIGH: u64 = eight(0x80);
const LOW: u64 = eight(0x7f);

/// The high bit of every byte that is 0: adding 7f carries into it from any of the lower bits.
pub(crate) const fn zero_bytes(word: u64) -> u64 {
    !((word & LOW).wrapping_add(LOW) | word | LOW)
}

/// The high bit of every byte that is `byte`.
pub(crate) const fn equal_bytes(word: u64, byte: u8) -> u64 {
    zero_bytes(word ^ eight(byte))
}

/// The high bit of every byte from `first` to `last`, both of which are ASCII.
pub(crate) const fn bytes_between(word: u64, first: u8, last: u8) -> u64 {
    let low = word & LOW;
    // Carries into the high bit from `first` on, and from behind `last` on.
    low.wrapping_add(eight(0x80 - first)) & !low.wrapping_add(eight(0x7f - last)) & !word & HIGH
}

/// Fewer than eight bytes, and `filler` behind them.
pub(crate) fn filled_up(bytes: &[u8], filler: u8) -> [u8; 8] {
    let mut word = [filler; 8];
    word.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
    word
}

/// Every word of `bytes`. The last one overlaps the one before; less than a word has underscores behind it.
#[inline(always)]
pub(crate) fn each_word(bytes: &[u8], mut take: impl FnMut(u64)) {
    match bytes.last_chunk() {
        Some(last) => {
            bytes.as_chunks().0.iter().chain([last]).for_each(|word| take(u64::from_le_bytes(*word)))
        }
        None => take(u64::from_le_bytes(filled_up(bytes, b'_'))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_stands_at_each_byte_that_is_meant_and_at_no_other() {
        for (first, last) in [(b'a', b'z'), (b'0', b'9'), (0, 0), (0x7f, 0x7f), (b'!', b'~')] {
            for byte in 0..=255 {
                for at in 0..8 {
                    for others in [0, b'a', 0x7f, 0x80, 0xff] {
                        let mut bytes = [others; 8];
                        bytes[at] = byte;
                        let marks = |is: fn(u8, u8, u8) -> bool| {
                            u64::from_le_bytes(bytes.map(|byte| 0x80 * u8::from(is(byte, first, last))))
                        };
                        let word = u64::from_le_bytes(bytes);
                        assert_eq!(
                            bytes_between(word, first, last),
                            marks(|byte, first, last| (first..=last).contains(&byte))
                        );
                        assert_eq!(equal_bytes(word, first), marks(|byte, first, _| byte == first));
                    }
                }
            }
        }
    }

    #[test]
    fn no_byte_is_left_out() {
        let zeros = |bytes: &[u8]| {
            let mut found = 0;
            each_word(bytes, |word| found |= zero_bytes(word));
            found
        };
        for length in 0..40 {
            let clean = vec![b'x'; length];
            assert_eq!(zeros(&clean), 0);
            for at in 0..length {
                let mut bytes = clean.clone();
                bytes[at] = 0;
                assert_ne!(zeros(&bytes), 0, "{at} of {length}");
            }
        }
    }
}
