//! `user lock` and `user unlock`.

use super::{Change, known_name};
use crate::failure::Failure;
use crate::output::{changed, say};
use pam_oauth2::login::Machine;
use shared::clock::{Clock, SystemClock};
use shared::store::Person;

/// Locks all of these, and publishes once. What was locked is published also where somebody else could not be.
pub(super) fn lock(machine: &Machine, people: &[Person]) -> Result<(), Failure> {
    let mut change = Change::begin(machine)?;
    let (mut is_new, mut result) = (false, Ok(()));
    for person in people {
        let name = &person.account.name;
        match change.make(|store, by| store.lock(name, by)) {
            Ok(true) => {
                is_new = true;
                changed(&format!("user locked user={name}"));
                say(&format!(
                    "{name} is locked: no sign-in, key, cron job or su from now on. What runs goes on running"
                ));
            }
            Ok(false) => say(&format!("no change: {name} is locked")),
            Err(failure) => result = Err(failure),
        }
    }
    // Before the publication: it holds also where that fails.
    result = result.and(change.settle_local_accounts());
    if is_new {
        super::super::publish_change(machine).map_err(|failure| {
            Failure::Other(format!("locked; but that is not published yet: {failure}. Say it again"))
        })?;
    } else {
        super::super::publish_missing(machine)?;
    }
    people.iter().try_for_each(|person| change.warn_where_it_does_not_bite(person))?;
    result
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
