//! The `Date` of an answer (RFC 9110 §6.6.1): what the provider takes the time to be.

use super::Response;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Response {
    /// The same answer with its `Date` header; what is no date is left out.
    #[must_use]
    pub(in crate::oauth) fn with_date(self, header: &str) -> Self {
        Self { date: seconds(header), ..self }
    }

    /// When the provider says that it answered, in seconds since 1970.
    #[must_use]
    pub fn date(&self) -> Option<u64> {
        self.date
    }
}

/// An IMF-fixdate (RFC 9110 §5.6.7), the one form that is still sent: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn seconds(date: &str) -> Option<u64> {
    let mut words = date.split_once(", ")?.1.split(' ');
    let day: u64 = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|month| *month == name)?;
    let year: u64 = words.next()?.parse().ok()?;
    let mut time = words.next()?.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let sane = (1970..=9999).contains(&year) && (1..=31).contains(&day) && hour < 24 && minute < 60;
    if !sane || second > 60 || words.next()? != "GMT" || words.next().is_some() {
        return None;
    }
    let days = days_before(year, month)? + day - 1;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days from 1970-01-01 to the first of a month, of which January is 0.
fn days_before(year: u64, month: usize) -> Option<u64> {
    const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap_years_to = |year: u64| year / 4 - year / 100 + year / 400;
    let leaps = leap_years_to(year - 1) - leap_years_to(1969);
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let this_year = u64::from(is_leap && month > 1);
    Some((year - 1970) * 365 + leaps + BEFORE.get(month)? + this_year)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_seconds_since_1970() {
        for (date, expected) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Thu, 29 Feb 2024 23:59:60 GMT", 1_709_251_200),
            ("Fri, 01 Mar 2024 00:00:00 GMT", 1_709_251_200),
            ("Sun, 01 Mar 2099 00:00:00 GMT", 4_076_006_400),
        ] {
            assert_eq!(seconds(date), Some(expected), "{date}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for date in [
            "",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 99 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
            "Sun, 06 Nov 0000 08:49:37 GMT",
        ] {
            assert_eq!(seconds(date), None, "{date}");
        }
    }
}
