//! `limits`: how many sign-ins may be started, and how many requests sent, in a minute.

use super::keys::nearest_in;
use super::raw::{Fault, Fields};
use serde_json::Value;
use std::ops::RangeInclusive;

/// Upper bound of both: more than one machine could do, so that it means "no limit".
const MOST: u64 = 1_000_000;
const STARTS: RangeInclusive<u64> = 1..=MOST;
/// Half of it is a stranger's share, and a login costs a handful.
const REQUESTS: RangeInclusive<u64> = 10..=MOST;

/// What a minute may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Device authorization requests for one address; for a confirmed name, for that name from one address.
    pub starts_per_minute: u32,
    /// Requests to the provider for the whole machine.
    pub provider_requests_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { starts_per_minute: 60, provider_requests_per_minute: 600 }
    }
}

pub(super) fn limits(fields: &mut Fields) -> Limits {
    let mut limits = Limits::default();
    for (key, value) in fields.object("limits") {
        let (place, bounds) = match key.as_str() {
            "starts_per_minute" => (&mut limits.starts_per_minute, STARTS),
            "provider_requests_per_minute" => (&mut limits.provider_requests_per_minute, REQUESTS),
            comment if comment.starts_with('_') => continue,
            _ => {
                let nearest = nearest_in("limits", &key);
                fields.faults.push(Fault::Unknown { key: format!("limits.{key}"), nearest });
                continue;
            }
        };
        match within(&value, &bounds) {
            Some(number) => *place = number,
            None => fields.fault(
                &format!("limits.{key}"),
                format!("a whole number from {} to {}", bounds.start(), bounds.end()),
            ),
        }
    }
    limits
}

fn within(value: &Value, bounds: &RangeInclusive<u64>) -> Option<u32> {
    value.as_u64().filter(|number| bounds.contains(number)).and_then(|number| u32::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{faults, load_text};
    use super::*;

    fn with(limits: &str) -> String {
        format!(r#"{{"client_id": "c", "issuer": "https://idp.example", "provisioning": "store"{limits}}}"#)
    }

    fn limits_of(text: &str) -> Limits {
        load_text(&with(text)).unwrap().config.limits
    }

    #[test]
    fn what_is_not_written_has_its_default() {
        assert_eq!(limits_of(""), Limits { starts_per_minute: 60, provider_requests_per_minute: 600 });
        let some = limits_of(r#", "limits": {"_why": "a school", "starts_per_minute": 500}"#);
        assert_eq!(some, Limits { starts_per_minute: 500, ..Limits::default() });
        let other = limits_of(r#", "limits": {"provider_requests_per_minute": 10}"#);
        assert_eq!(other, Limits { provider_requests_per_minute: 10, ..Limits::default() });
    }

    #[test]
    fn a_limit_that_would_shut_everybody_out_or_that_nobody_knows_is_a_fault() {
        for (limits, fault) in [
            (r#"{"starts_per_minute": 0}"#, "\"limits.starts_per_minute\" must be a whole number from 1 to"),
            (r#"{"starts_per_minute": "60"}"#, "\"limits.starts_per_minute\""),
            (r#"{"starts_per_minute": null}"#, "\"limits.starts_per_minute\""),
            (r#"{"provider_requests_per_minute": 9}"#, "from 10 to 1000000"),
            (r#"{"provider_requests_per_minute": 1000001}"#, "from 10 to 1000000"),
            (r#"{"starts_per_minuet": 6}"#, "unknown key \"limits.starts_per_minuet\""),
            ("60", "\"limits\" must be an object"),
        ] {
            let found = faults(&with(&format!(", \"limits\": {limits}")));
            assert!(found.len() == 1 && found[0].contains(fault), "{limits}: {found:?}");
        }
    }

    #[test]
    fn every_limit_is_in_the_manual_page() {
        let page = include_str!("../../../man/config.json.5");
        for key in ["starts_per_minute", "provider_requests_per_minute"] {
            assert!(page.contains(key), "{key}");
        }
    }
}
