//! `user lock` and `user unlock`.

use super::{Change, known_name};
use crate::failure::Failure;
use pam_oauth2::login::Machine;
use shared::clock::{Clock, SystemClock};

pub(super) fn lock(machine: &Machine, name: &str) -> Result<(), Failure> {
    let name = known_name(name)?;
    let mut change = Change::begin(machine)?;
    let locked = change.make(|store, by| store.lock(&name, by))?;
    let person = super::find(&change.store, name.as_str())?;
    // First: it holds also where the publication fails.
    let shut = change.settle_local_accounts();
    if locked {
        change.publish(
            &format!("user locked user={name}"),
            &format!(
                "{name} is locked: no sign-in, key, cron job or su from now on. What runs goes on running"
            ),
        )?;
    } else {
        change.no_change(&format!("{name} is locked"))?;
    }
    change.warn_where_it_does_not_bite(&person)?;
    shut
}

pub(super) fn unlock(machine: &Machine, name: &str) -> Result<(), Failure> {
    let name = known_name(name)?;
    let mut change = Change::begin(machine)?;
    let was_locked = change.make(|store, by| store.unlock(&name, by))?;
    let person = super::find(&change.store, name.as_str())?;
    let today = SystemClock::new().today();
    let expired = match person.expires_day {
        Some(day) if day <= today => {
            format!("; but the account expired on {day}: oauth2ctl user expire {name} DATE sets another day")
        }
        _ => String::new(),
    };
    let revoked = if person.revoked { format!("; but {}", super::show::REVOKED) } else { String::new() };
    let state = person.state.as_str();
    if was_locked {
        change.publish(
            &format!("user unlocked user={name}"),
            &format!("{name} is {state} again{expired}{revoked}"),
        )?;
    } else {
        change.no_change(&format!("{name} is not locked ({state}){expired}{revoked}"))?;
    }
    change.settle_local_accounts()
}
