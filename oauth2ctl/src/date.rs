//! UTC days as administrators write them.

use shared::clock::Day;

/// The years that are dates here.
const YEARS: std::ops::RangeInclusive<u64> = 1970..=9999;

/// Reads YYYY-MM-DD.
pub(crate) fn parse(date: &str) -> Result<Day, String> {
    let expected = || "a date such as 2027-01-31 is expected (UTC)".to_owned();
    let mut parts = date.splitn(3, '-').map(str::parse::<u64>);
    let mut next = || parts.next().and_then(Result::ok).ok_or_else(expected);
    let (year, month, day) = (next()?, next()?, next()?);
    if !YEARS.contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return Err(expected());
    }
    // days_from_civil: the year begins in March, as above.
    let march_year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (march_year / 400, march_year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    let parsed = days.checked_sub(719_468).and_then(|days| u32::try_from(days).ok()).map(Day);
    // The 31st of February is a day of March; and one date is written in one way.
    parsed.filter(|parsed| parsed.to_string() == date).ok_or_else(expected)
}

/// A moment as YYYY-MM-DDThh:mm:ssZ (RFC 3339).
pub(crate) fn moment(unix: u64) -> String {
    let (day, second) = (unix / 86_400, unix % 86_400);
    let day = Day(u32::try_from(day).unwrap_or(u32::MAX));
    format!("{day}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// The moment that a day begins, in seconds since 1970.
pub(crate) fn start(Day(day): Day) -> u64 {
    u64::from(day) * 86_400
}

/// A date, or a time before now such as 90m, 12h or 7d.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// The first moment of this day.
    Day(Day),
    /// So many seconds ago.
    Ago(u64),
}

impl Since {
    /// Seconds since 1970.
    pub(crate) fn unix(self, now: u64) -> u64 {
        match self {
            Self::Day(day) => start(day),
            Self::Ago(seconds) => now.saturating_sub(seconds),
        }
    }
}

/// Reads a [`Since`].
pub(crate) fn parse_since(text: &str) -> Result<Since, String> {
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400), ("w", 604_800)];
    let duration = units.iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*seconds)
    });
    match duration {
        Some(seconds) => Ok(Since::Ago(seconds)),
        None => parse(text).map(Since::Day).map_err(|_| {
            "a date such as 2027-01-31 (UTC) or a duration such as 90m, 12h, 7d is expected".into()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates_and_dates_are_days() {
        for (number, date) in
            [(0, "1970-01-01"), (59, "1970-03-01"), (11_016, "2000-02-29"), (20_779, "2026-11-22")]
        {
            assert_eq!(Day(number).to_string(), date);
            assert_eq!(parse(date), Ok(Day(number)));
        }
        for number in (0..2_900_000).step_by(97) {
            assert_eq!(parse(&Day(number).to_string()), Ok(Day(number)));
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for date in [
            "",
            "2026",
            "2026-13-01",
            "2027-02-29",
            "2026-2-1",
            "1969-12-31",
            "2026-01-01T00",
            "-1-1-1",
            "tomorrow",
        ] {
            assert!(parse(date).is_err(), "{date}");
        }
    }

    #[test]
    fn a_moment_is_written_as_rfc_3339_has_it() {
        assert_eq!(moment(0), "1970-01-01T00:00:00Z");
        assert_eq!(moment(20_779 * 86_400 + 86_399), "2026-11-22T23:59:59Z");
    }

    #[test]
    fn since_is_a_day_or_a_duration() {
        assert_eq!(parse_since("7d"), Ok(Since::Ago(604_800)));
        assert_eq!(parse_since("1970-01-02").map(|since| since.unix(0)), Ok(86_400));
        for text in ["", "d", "-1d", "7", "7y", "99999999999999999999d", "yesterday"] {
            assert!(parse_since(text).is_err(), "{text}");
        }
    }
}
