//! UTC days as administrators write and read them.

use shared::clock::Day;

/// The years that are dates here.
const YEARS: std::ops::RangeInclusive<u64> = 1970..=9999;

/// A day as YYYY-MM-DD (civil_from_days; the epoch is shifted to 0000-03-01 so that leap days end their year).
pub(crate) fn text(Day(day): Day) -> String {
    let shifted = u64::from(day) + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{:02}", of_year - (153 * march_month + 2) / 5 + 1)
}

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
    parsed.filter(|parsed| text(*parsed) == date).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates_and_dates_are_days() {
        for (number, date) in
            [(0, "1970-01-01"), (59, "1970-03-01"), (11_016, "2000-02-29"), (20_779, "2026-11-22")]
        {
            assert_eq!(text(Day(number)), date);
            assert_eq!(parse(date), Ok(Day(number)));
        }
        for number in (0..2_900_000).step_by(97) {
            assert_eq!(parse(&text(Day(number))), Ok(Day(number)));
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
}
