//! The counters, as values: 64 KiB, whatever happens. Nothing here asks for the time or opens a file.
//!
//! Every counter is of a window of a minute that begins with what it counts first. A counter from the future (the clock
//! went back) or one that was evicted is a counter that begins anew: whatever this table forgets, it forgets in favour of
//! the person.

use aws_lc_rs::hmac;
use shared::config::Limits;
use std::net::IpAddr;
use std::time::Duration;

/// Size of the table, in bytes.
pub(super) const SIZE: usize = 64 * 1024;

/// Bytes of the key that addresses are hashed with.
pub(super) const KEY_SIZE: usize = 16;

/// Longest time that somebody whom the machine knows is kept waiting.
pub const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// Length of a window, in seconds.
const WINDOW: u32 = 60;

/// Format, with its number at the end.
const MAGIC: [u8; 8] = *b"oa2lim\0\x01";

/// Bytes of a slot: tag, start of the window, starts in it.
const SLOT_SIZE: usize = 16;

/// What is left after the header of three slots' size.
const SLOTS: usize = SIZE / SLOT_SIZE - 3;

/// Why a stranger may not start a sign-in now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverLimit {
    /// Too many from this address.
    #[error("more than {0} sign-ins a minute from this address (limits.starts_per_minute)")]
    Starts(u32),
    /// Strangers have used their half of the requests.
    #[error("strangers have used their half of {0} requests a minute (limits.provider_requests_per_minute)")]
    Requests(u32),
}

/// All counters, and the key of their tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    key: [u8; KEY_SIZE],
    requests: Requests,
    slots: Vec<Slot>,
}

/// What the machine has sent to the provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Requests {
    since: u32,
    for_strangers: u32,
    for_confirmed: u32,
}

/// Starts from one address, or of one name from one address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slot {
    /// Keyed hash; 0 where there is nothing yet.
    tag: u64,
    since: u32,
    starts: u32,
}

impl Table {
    pub(super) fn new(key: [u8; KEY_SIZE]) -> Self {
        Self { key, requests: Requests::default(), slots: vec![Slot::default(); SLOTS] }
    }

    /// Reads a table; `None` for anything else. Any counters are a table.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (slots, []) = bytes.as_chunks::<SLOT_SIZE>() else { return None };
        let ([first, second, third], slots) = slots.split_first_chunk::<3>()?;
        let (magic, start_of_key) = first.split_first_chunk::<8>()?;
        let (rest_of_key, counters) = second.split_first_chunk::<8>()?;
        let mut key = [0; KEY_SIZE];
        key.iter_mut().zip(start_of_key.iter().chain(rest_of_key)).for_each(|(to, from)| *to = *from);
        let (since, counters) = number(counters)?;
        let (for_strangers, _) = number(counters)?;
        let (for_confirmed, _) = number(third)?;
        let slots: Vec<_> = slots.iter().filter_map(Slot::parse).collect();
        let requests = Requests { since, for_strangers, for_confirmed };
        (*magic == MAGIC && slots.len() == SLOTS).then_some(Self { key, requests, slots })
    }

    /// The table as [`SIZE`] bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SIZE);
        bytes.extend(MAGIC);
        bytes.extend(self.key);
        let Requests { since, for_strangers, for_confirmed } = self.requests;
        [since, for_strangers, for_confirmed].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        bytes.resize(3 * SLOT_SIZE, 0);
        for slot in &self.slots {
            bytes.extend(slot.tag.to_le_bytes());
            bytes.extend(slot.since.to_le_bytes());
            bytes.extend(slot.starts.to_le_bytes());
        }
        bytes
    }

    /// Counts a start of somebody whom nobody has confirmed, or refuses it. A refused one is not counted: who is refused
    /// is let in again when a minute has passed since the first start, however often they try.
    pub(super) fn stranger_starts(
        &mut self,
        address: &str,
        limits: &Limits,
        now: u32,
    ) -> Result<(), OverLimit> {
        let requests = self.requests.at(now);
        let tag = self.tag(address, None);
        let Some(slot) = self.slot(tag, now) else { return Ok(()) };
        if slot.starts >= limits.starts_per_minute {
            return Err(OverLimit::Starts(limits.starts_per_minute));
        }
        if requests.for_strangers >= share_of_strangers(limits) {
            return Err(OverLimit::Requests(limits.provider_requests_per_minute));
        }
        slot.starts += 1;
        Ok(())
    }

    /// Counts a start of a confirmed name: how long it should wait. There is no way to refuse it.
    pub(super) fn confirmed_starts(
        &mut self,
        address: &str,
        name: &str,
        limits: &Limits,
        now: u32,
    ) -> Duration {
        let requests = self.requests.at(now);
        let others = requests.for_strangers.min(share_of_strangers(limits));
        let share = limits.provider_requests_per_minute.saturating_sub(others);
        let mut seconds = 0;
        if requests.for_confirmed >= share {
            seconds = left(requests.since, now);
        }
        let tag = self.tag(address, Some(name));
        if let Some(slot) = self.slot(tag, now) {
            slot.starts = slot.starts.saturating_add(1);
            if slot.starts > limits.starts_per_minute {
                seconds = seconds.max(left(slot.since, now));
            }
        }
        Duration::from_secs(seconds.into()).min(LONGEST_DELAY)
    }

    /// Counts a request to the provider.
    pub(super) fn request_is_sent(&mut self, for_confirmed: bool, now: u32) {
        self.requests = self.requests.at(now);
        let Requests { for_strangers, for_confirmed: confirmed, .. } = &mut self.requests;
        let counter = if for_confirmed { confirmed } else { for_strangers };
        *counter = counter.saturating_add(1);
    }

    /// The slot of a tag, its window begun anew where it is over. Where the tag has none it gets a free one, else that
    /// with the fewest starts, of several the oldest: somebody with many addresses evicts what they have just put here,
    /// and the address with most starts stays longest.
    fn slot(&mut self, tag: u64, now: u32) -> Option<&mut Slot> {
        let own = self.slots.iter().position(|slot| slot.tag == tag);
        let slot = match own {
            Some(place) => self.slots.get_mut(place),
            None => self.slots.iter_mut().min_by_key(|slot| {
                if is_current(slot.since, now) { (slot.starts, slot.since) } else { (0, 0) }
            }),
        }?;
        if slot.tag != tag || !is_current(slot.since, now) {
            *slot = Slot { tag, since: now, starts: 0 };
        }
        Some(slot)
    }

    /// Nobody can choose an address that falls together with another's, and nobody who reads the table learns who was
    /// here.
    fn tag(&self, address: &str, name: Option<&str>) -> u64 {
        let mut text = network(address);
        if let Some(name) = name {
            // No address holds this byte.
            text.push(0);
            text.extend(name.as_bytes());
        }
        let hash = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.key), &text);
        let tag = hash.as_ref().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        tag.max(1)
    }
}

impl Slot {
    fn parse(bytes: &[u8; SLOT_SIZE]) -> Option<Self> {
        let (tag, rest) = bytes.split_first_chunk::<8>()?;
        let (since, rest) = number(rest)?;
        let (starts, _) = number(rest)?;
        Some(Self { tag: u64::from_le_bytes(*tag), since, starts })
    }
}

impl Requests {
    /// The window that `now` falls into.
    fn at(self, now: u32) -> Self {
        if is_current(self.since, now) { self } else { Self { since: now, ..Self::default() } }
    }
}

fn share_of_strangers(limits: &Limits) -> u32 {
    limits.provider_requests_per_minute / 2
}

fn is_current(since: u32, now: u32) -> bool {
    now.checked_sub(since).is_some_and(|age| age < WINDOW)
}

/// Seconds until a current window is over.
fn left(since: u32, now: u32) -> u32 {
    since.saturating_add(WINDOW).saturating_sub(now)
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*number), rest))
}

/// What counts as one address: an IPv4 address, the /64 of an IPv6 address (everybody has a whole one), or the text of
/// anything else. With `UseDNS yes` sshd gives a name, which is not resolved here.
fn network(address: &str) -> Vec<u8> {
    // fe80::1%eth0.
    let bare = address.split('%').next().unwrap_or_default();
    match bare.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => [&[4], address.octets().as_slice()].concat(),
        Ok(IpAddr::V6(address)) => [6].into_iter().chain(address.octets().into_iter().take(8)).collect(),
        Err(_) => [b"t", address.to_ascii_lowercase().as_bytes()].concat(),
    }
}

#[cfg(test)]
mod tests;
