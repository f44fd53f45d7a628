//! Time as an argument: the pipeline never asks the operating system itself.

use std::cell::Cell;
use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A UTC day: whole days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub u32);

impl fmt::Display for Day {
    /// YYYY-MM-DD (civil_from_days; the epoch is shifted to 0000-03-01 so that leap days end their year).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shifted = u64::from(self.0) + 719_468;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * of_year + 2) / 153;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        write!(f, "{year:04}-{month:02}-{:02}", of_year - (153 * march_month + 2) / 5 + 1)
    }
}

/// Wall clock, monotonic clock and sleep.
pub trait Clock {
    /// Seconds since 1970-01-01T00:00:00Z.
    fn unix_seconds(&self) -> u64;
    /// Time since an arbitrary start that never goes backwards.
    fn monotonic(&self) -> Duration;
    /// Waits.
    fn sleep(&self, duration: Duration);

    /// The UTC day of [`Clock::unix_seconds`].
    fn today(&self) -> Day {
        Day(u32::try_from(self.unix_seconds() / 86_400).unwrap_or(u32::MAX))
    }
}

/// The operating system's clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn unix_seconds(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// A clock for tests: sleeping moves it and returns at once.
#[derive(Debug)]
pub struct TestClock {
    unix_start: u64,
    elapsed: Cell<Duration>,
}

impl TestClock {
    /// A clock that shows `unix_seconds` until somebody sleeps on it.
    #[must_use]
    pub fn at(unix_seconds: u64) -> Self {
        Self { unix_start: unix_seconds, elapsed: Cell::new(Duration::ZERO) }
    }
}

impl Clock for TestClock {
    fn unix_seconds(&self) -> u64 {
        self.unix_start.saturating_add(self.elapsed.get().as_secs())
    }

    fn monotonic(&self) -> Duration {
        self.elapsed.get()
    }

    fn sleep(&self, duration: Duration) {
        self.elapsed.set(self.elapsed.get().saturating_add(duration));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeping_moves_the_test_clock() {
        let clock = TestClock::at(86_399);
        assert_eq!(clock.today(), Day(0));
        clock.sleep(Duration::from_secs(1));
        assert_eq!(clock.today(), Day(1));
        assert_eq!(clock.monotonic(), Duration::from_secs(1));
    }
}
