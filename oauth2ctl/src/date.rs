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
}
