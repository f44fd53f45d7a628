//! `user bind`.

use super::{Change, existing, known_name};
use crate::failure::Failure;
use pam_oauth2::login::Machine;
use shared::identity::account::Account;
use shared::store::Reservation;
use shared::text::log_value;
use shared::types::{Issuer, Subject};

pub(super) fn run(
    machine: &Machine,
    name: &str,
    issuer: &Issuer,
    subject: &Subject,
    force: bool,
) -> Result<(), Failure> {
    let name = known_name(name)?;
    let mut change = Change::begin(machine)?;
    super::add::warn_of_issuer(&change.config, issuer);
    if change.store.person(&name)?.is_none() {
        let (inputs, removed) = (machine.inputs()?, change.store.tombstone(&name)?);
        let kept = existing::kept(&inputs, &name, removed.as_ref())?;
        if let Some(account) =
            kept.map_or_else(|| existing::account(&inputs, &name), |kept| Ok(Some(kept)))?
        {
            return enrol(change, &account, (issuer.clone(), subject.clone()));
        }
    }
    let old = super::find(&change.store, name.as_str())?.subject;
    let text = |issuer: &Issuer, subject: &Subject| format!("{} {}", issuer.as_str(), subject.as_str());
    let new = text(issuer, subject);
    if !change.make(|store, by| store.bind(&name, (issuer, subject), force, by))? {
        return change.no_change(&format!("{name} is bound to {new}"));
    }
    let old = old.map_or("-".into(), |(issuer, subject)| text(&issuer, &subject));
    change.publish(
        &format!("user bound user={name} old={} new={}", log_value(&old), log_value(&new)),
        &format!("{name} is bound to {new}: nobody else signs in under that name"),
    )
}

/// Somebody who has an account that this package did not make, and has not signed in with it yet.
fn enrol(mut change: Change<'_>, account: &Account, subject: (Issuer, Subject)) -> Result<(), Failure> {
    let name = &account.name;
    let bound = format!("{} {}", subject.0.as_str(), subject.1.as_str());
    let wanted = Reservation::of_existing(account, Some(subject));
    // Whoever was removed and comes back: shut until they have signed in.
    change.settle_local_accounts()?;
    change.make(|store, by| store.reserve(&wanted, by))?;
    change.publish(
        &format!("user bound user={name} old=- new={}", log_value(&bound)),
        &format!("{name} is bound to {bound}: nobody else signs in by browser under that name"),
    )
}
