//! What a minute may hold (design, section 7): sign-ins started from one address, requests sent by this machine.
//!
//! A stranger over a limit is refused, somebody whom the machine knows only waits, and a fault of the counters limits
//! nobody. These counters are the one thing that is written before anything is verified.

mod file;
mod table;

pub use table::{LONGEST_DELAY, OverLimit};

use crate::oauth::{Connect, Http, HttpError, Request, Response};
use file::CountersError;
use shared::clock::Clock;
use shared::config::Limits;
use shared::types::LoginName;
use std::path::Path;
use std::time::Duration;
use table::Table;

/// The counters of a machine.
#[derive(Clone, Copy)]
pub struct Counters<'a> {
    /// Their file; made when it is missing.
    pub file: &'a Path,
    /// Whose it must be.
    pub owner: u32,
    /// For the pause between two tries of the lock.
    pub clock: &'a dyn Clock,
    /// Time since the boot, the same in every process, which nobody sets: CLOCK_BOOTTIME.
    pub since_boot: &'a dyn Fn() -> Duration,
}

impl Counters<'_> {
    /// Counts a start of somebody whom nobody has confirmed.
    ///
    /// # Errors
    /// There were too many: they may not start.
    pub fn stranger_starts(&self, address: &str, limits: &Limits) -> Result<(), OverLimit> {
        let outcome = self.update(|table, now| table.stranger_starts(address, limits, now));
        outcome.unwrap_or_else(|error| {
            log::warn!("this sign-in is not limited: {error}");
            Ok(())
        })
    }

    /// Counts a start of a confirmed name, and says how long it should wait: at most [`LONGEST_DELAY`].
    #[must_use]
    pub fn confirmed_starts(&self, address: &str, name: &LoginName, limits: &Limits) -> Duration {
        let outcome = self.update(|table, now| table.confirmed_starts(address, name.as_str(), limits, now));
        outcome.unwrap_or_else(|error| {
            log::warn!("this sign-in is not limited: {error}");
            Duration::ZERO
        })
    }

    fn request_is_sent(&self, for_confirmed: bool) {
        if let Err(error) = self.update(|table, now| table.request_is_sent(for_confirmed, now)) {
            log::debug!("this request is not counted: {error}");
        }
    }

    fn update<T>(&self, change: impl FnOnce(&mut Table, u32) -> T) -> Result<T, CountersError> {
        file::update(self.file, self.owner, self.clock, |table| {
            // Asked under the lock, so that a later process never brings an earlier time. 136 years are enough.
            let now = u32::try_from((self.since_boot)().as_secs()).unwrap_or(u32::MAX);
            change(table, now)
        })
    }
}

/// Time since the boot, suspended time included.
#[must_use]
pub fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::from_secs(now.tv_sec.try_into().unwrap_or(0))
}

/// A way to the provider on which every request is counted. None is ever held back here: whoever has a code may use it.
pub struct Counted<'a> {
    /// The way.
    pub connect: &'a dyn Connect,
    /// The counters, if there are any.
    pub counters: Option<Counters<'a>>,
    /// Whose login it is: that of a confirmed name, or a stranger's.
    pub for_confirmed: bool,
}

impl Connect for Counted<'_> {
    fn connect(&self) -> Result<Box<dyn Http + '_>, HttpError> {
        let http = self.connect.connect()?;
        Ok(Box::new(CountedHttp { http, counters: self.counters, for_confirmed: self.for_confirmed }))
    }
}

struct CountedHttp<'a> {
    http: Box<dyn Http + 'a>,
    counters: Option<Counters<'a>>,
    for_confirmed: bool,
}

impl Http for CountedHttp<'_> {
    fn send(&self, request: &Request) -> Result<Response, HttpError> {
        if let Some(counters) = &self.counters {
            counters.request_is_sent(self.for_confirmed);
        }
        self.http.send(request)
    }
}
