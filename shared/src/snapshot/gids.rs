//! Packed gids: somebody in hundreds of groups has them copied at every login.

use super::SnapshotError;
use super::table::{Blob, Chunks};
use std::mem::MaybeUninit;

/// The gids of a person's supplementary groups.
pub struct Gids<'a> {
    chunks: Chunks<'a>,
    chunk: &'a [u8],
    carry: Carry,
}

impl<'a> Gids<'a> {
    pub(super) fn of(packed: Blob<'a>) -> Self {
        Self { chunks: packed.chunks(), chunk: &[], carry: Carry::default() }
    }

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
pub(super) fn is_group(gid: u32) -> bool {
    (gid != 0) & (gid != u32::MAX)
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
