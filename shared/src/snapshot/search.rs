//! Where a key stands in a page, with few probes: each is a cache miss in a large file.
//!
//! The next probe is where the key would be if all keys were as far from each other as the next, which hashes and derived
//! ids are: half the probes of halving. Other keys cost [`GUESSES`] probes more in each page, and not all of them.

use super::SnapshotError;

/// Guesses in a page before the rest of it is halved. Three are enough where keys are evenly spread.
const GUESSES: usize = 8;

/// The nearest keys that were seen on both sides of the one that is looked for, on this page and those above it.
pub(super) struct Around {
    smaller: i64,
    not_smaller: i64,
}

impl Around {
    /// The least and the greatest number stand for none.
    pub(super) const NOTHING: Self = Self { smaller: i64::MIN, not_smaller: i64::MAX };

    fn is_known(&self) -> bool {
        self.smaller != i64::MIN && self.not_smaller != i64::MAX
    }
}

/// How many cells there are from one key to another, as far as that can be told from the page around them.
#[derive(Clone, Copy)]
struct Spread {
    /// Low bits of a distance that are left out, so that no more than 32 remain.
    shift: u32,
    /// Cells for each unit of what remains, times 2^[`FRACTION`]; 0: nothing is known.
    scale: u64,
}

/// A page has fewer than 2^11 cells: 2^48 times that is a u64, and so is the scale times any distance within the range.
const FRACTION: u32 = 48;

impl Spread {
    fn of(around: &Around, cells: usize) -> Self {
        if !around.is_known() {
            return Self { shift: 0, scale: 0 };
        }
        let range = distance(around.smaller, around.not_smaller);
        let shift = (u64::BITS - range.leading_zeros()).saturating_sub(32);
        Self { shift, scale: ((cells as u64) << FRACTION) / (range >> shift).max(1) }
    }

    /// Below 2^16 in any case; sensible for keys between those around.
    fn cells(self, smaller: i64, larger: i64) -> usize {
        ((distance(smaller, larger) >> self.shift).wrapping_mul(self.scale) >> FRACTION) as usize
    }
}

fn distance(smaller: i64, larger: i64) -> u64 {
    larger.wrapping_sub(smaller).cast_unsigned()
}

/// The cell whose key is `key`, or the first behind it; no two have the same. `around` comes from the page above, and goes
/// to the one below.
///
/// # Errors
/// Those of `key_of`.
#[inline(always)] // once in the module, with its only `key_of`
pub(super) fn lower_bound(
    cells: usize,
    key: i64,
    around: &mut Around,
    key_of: impl Fn(usize) -> Result<i64, SnapshotError>,
) -> Result<usize, SnapshotError> {
    let (mut low, mut high) = (0, cells);
    let mut spread = Spread::of(around, cells);
    let mut guess = spread.cells(around.smaller, key);
    let mut probes = 0;
    while low < high {
        let guessing = spread.scale != 0 && probes < GUESSES;
        let middle = if guessing { guess.clamp(low, high - 1) } else { low.midpoint(high) };
        let found = key_of(middle)?;
        if found == key {
            return Ok(middle);
        }
        if found < key {
            (low, around.smaller) = (middle + 1, found);
            guess = low + spread.cells(found, key);
        } else {
            (high, around.not_smaller) = (middle, found);
            guess = high.saturating_sub(1 + spread.cells(key, found));
        }
        if spread.scale == 0 {
            spread = Spread::of(around, high - low);
            guess = low + spread.cells(around.smaller, key);
        }
        probes += 1;
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Index and probes.
    fn search(keys: &[i64], key: i64, smaller: i64, not_smaller: i64) -> (usize, usize) {
        let probes = Cell::new(0);
        let key_of = |index: usize| {
            probes.set(probes.get() + 1);
            Ok(keys[index])
        };
        let mut around = Around { smaller, not_smaller };
        let index = lower_bound(keys.len(), key, &mut around, key_of).unwrap();
        (index, probes.get())
    }

    fn numbers(count: usize, bits: u32) -> Vec<i64> {
        let mut state = 7_u64;
        let mut next = || {
            // Knuth's MMIX generator.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> (64 - bits)).cast_signed()
        };
        let mut numbers: Vec<_> = (0..count).map(|_| next()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// Every key, its neighbours and the ends, from every knowledge about what is around the page.
    fn is_found(keys: &[i64]) {
        let ends = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
        let near = keys.iter().flat_map(|key| [key.saturating_sub(1), *key, key.saturating_add(1)]);
        for key in near.chain(ends) {
            let expected = keys.partition_point(|found| *found < key);
            for (smaller, not_smaller) in
                [(i64::MIN, i64::MAX), (-1, i64::MAX - 1), (i64::MIN + 1, 5), (3, 3), (9, 2)]
            {
                let (index, probes) = search(keys, key, smaller, not_smaller);
                assert_eq!(index, expected, "{key} between {smaller} and {not_smaller} in {keys:?}");
                let halvings = (usize::BITS - keys.len().leading_zeros()) as usize;
                assert!(probes <= GUESSES + halvings + 1, "{probes} probes in {} keys", keys.len());
            }
        }
    }

    #[test]
    fn a_key_is_found_however_the_keys_are_spread() {
        is_found(&[]);
        for count in [1, 2, 3, 30, 500] {
            is_found(&numbers(count, 63));
            is_found(&numbers(count, 20));
            is_found(&(0..count as i64).collect::<Vec<_>>());
            is_found(
                &(0..count as u32)
                    .map(|n| 1 << (n % 63))
                    .collect::<std::collections::BTreeSet<i64>>()
                    .into_iter()
                    .collect::<Vec<_>>(),
            );
        }
        is_found(&[i64::MIN, i64::MIN + 1, -5, 7, i64::MAX - 1, i64::MAX]);
    }

    #[test]
    fn keys_out_of_order_end_the_search_all_the_same() {
        let mut keys = numbers(200, 64);
        for turn in 0..keys.len() {
            keys.rotate_left(turn);
            let (index, probes) = search(&keys, keys[turn / 2], keys[turn], keys[0]);
            assert!(index <= keys.len() && probes <= GUESSES + 9);
        }
    }

    /// What the guesses are for: 31 people in a leaf, 270 leaves below an interior page.
    #[test]
    fn evenly_spread_keys_take_about_half_the_probes_of_halving() {
        for (count, most) in [(31, 2.7), (270, 3.5)] {
            let keys = numbers(count, 63);
            let probes: usize = keys.iter().map(|key| search(&keys, *key, -1, i64::MAX - 1).1).sum();
            let each = probes as f64 / keys.len() as f64;
            assert!(each < most, "{each} probes among {count} keys");
        }
    }
}
