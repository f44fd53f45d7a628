//! `user expire`.

use super::{Change, known_name};
use crate::failure::Failure;
use pam_oauth2::login::Machine;
use shared::clock::Day;

pub(super) fn run(machine: &Machine, name: &str, day: Option<Day>) -> Result<(), Failure> {
    let name = known_name(name)?;
    let mut change = Change::begin(machine)?;
    let sentence = match day {
        Some(day) => format!("{name} works until {day} 00:00 UTC, and not from then on"),
        None => format!("{name} does not expire"),
    };
    let is_new = change.make(|store, by| store.set_expiry(&name, day, by))?;
    let person = super::find(&change.store, name.as_str())?;
    let settled = change.settle_local_accounts();
    if is_new {
        let line = day.map_or("never".into(), |day| day.to_string());
        change.publish(&format!("user expiry set user={name} expires={line}"), &sentence)?;
    } else {
        change.no_change(&sentence)?;
    }
    change.warn_where_it_does_not_bite(&person)?;
    settled
}
