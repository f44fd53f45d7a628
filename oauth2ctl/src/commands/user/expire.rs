//! `user expire`.

use super::{Change, known_name};
use crate::date;
use crate::failure::Failure;
use pam_oauth2::login::Machine;
use shared::clock::Day;

pub(super) fn run(machine: &Machine, name: &str, day: Option<Day>) -> Result<(), Failure> {
    let name = known_name(name)?;
    let mut change = Change::begin(machine)?;
    let sentence = match day {
        Some(day) => format!("{name} works until {} 00:00 UTC, and not from then on", date::text(day)),
        None => format!("{name} does not expire"),
    };
    if !change.make(|store, by| store.set_expiry(&name, day, by))? {
        return change.no_change(&sentence);
    }
    let line = day.map_or("never".into(), date::text);
    change.publish(&format!("user expiry set user={name} expires={line}"), &sentence)
}
