//! The account phase: from the published database alone, in every service and for callers that may read nothing else.

use super::known::{self, Row, Standing};
use super::resident::{Residence, residence};
use super::{Exit, Machine};
use crate::host::Host;
use crate::outcome::{Barred, LoginError, NotOurs};
use shared::clock::Clock;
use shared::snapshot::{SnapshotError, State};
use shared::types::is_login_name;

/// May this person use the machine now? `just_signed_in`: the auth phase of this very handle has verified them, even
/// if the day could not be recorded (rule 12).
///
/// # Errors
/// Not our business, or why not.
pub fn account(
    machine: &Machine,
    host: &mut dyn Host,
    clock: &dyn Clock,
    just_signed_in: bool,
) -> Result<(), Exit> {
    let name = host.user()?;
    let residence = residence(machine, &name)?;
    if matches!(residence, Residence::Stranger | Residence::NotOurs) {
        return Err(Exit::NotOurs(NotOurs::LocalUser));
    }
    // It is in /etc/passwd, where a key from outside the home directory would open it.
    if residence == Residence::Unfinished {
        return Err(LoginError::Barred(Barred::Unconfirmed).into());
    }
    if !is_login_name(name.as_bytes()) {
        return Err(Exit::NotOurs(NotOurs::Name));
    }
    match known::standing(machine, &name)? {
        // Gone, though first logins are enabled (as far as the caller can see): not a machine without people.
        None if machine.places.first_login.exists() => {
            Err(LoginError::Snapshot(SnapshotError::Missing).into())
        }
        None => Err(Exit::NotOurs(NotOurs::NotConfigured)),
        Some(Standing::Removed) => Err(LoginError::Barred(Barred::Removed).into()),
        Some(Standing::Row(row)) => judge(&row, host, clock, just_signed_in),
        Some(Standing::Nobody) => nobody(machine, host, &name),
    }
}

/// What a published row means for the call.
pub(super) fn judge(row: &Row, host: &dyn Host, clock: &dyn Clock, just_signed_in: bool) -> Result<(), Exit> {
    check(row, host, clock, just_signed_in)?;
    // Whoever keeps the account has a say: chage(1), pam_unix, SSSD.
    if row.is_served { Ok(()) } else { Err(Exit::NotOurs(NotOurs::LocalUser)) }
}

fn check(row: &Row, host: &dyn Host, clock: &dyn Clock, just_signed_in: bool) -> Result<(), LoginError> {
    let today = clock.today();
    // A key must not open a name that nobody has verified, unless the account was its owner's before we knew of them.
    let unconfirmed = row.state == State::Reserved && row.is_served;
    if let Some(barred) = row.barred(today).or(unconfirmed.then_some(Barred::Unconfirmed)) {
        return Err(LoginError::Barred(barred));
    }
    let resolved = host.resolve(&row.entry.name)?;
    if !resolved.is_some_and(|resolved| row.is_of(&resolved)) {
        return Err(LoginError::Barred(Barred::IdentityChanged));
    }
    match row.max_confirmation_age {
        // An account that is not ours and not confirmed yet has no day.
        Some(_) if row.state == State::Reserved => Ok(()),
        Some(days) if !just_signed_in && applies(row, &host.service()) && !is_fresh(row, today.0, days) => {
            Err(LoginError::TooOld { days })
        }
        _ => Ok(()),
    }
}

fn applies(row: &Row, service: &str) -> bool {
    row.services.split(' ').any(|listed| listed == service)
}

/// A day later than tomorrow was written by a clock that was wrong: it proves nothing.
fn is_fresh(row: &Row, today: u32, days: u32) -> bool {
    row.confirmed_day.is_some_and(|day| day <= today.saturating_add(1) && today.saturating_sub(day) <= days)
}

/// A name that is not published is ours only if the host resolved it to the entry that it *would* get: sshd let
/// somebody in by a key whom nobody has verified. Only root's sshd sees such entries, and may read their parameters.
fn nobody(machine: &Machine, host: &dyn Host, name: &str) -> Result<(), Exit> {
    let local = machine.local()?;
    let Ok(Some(parameters)) = known::parameters(machine) else { return Err(Exit::NotOurs(NotOurs::Name)) };
    let Ok(account) = known::prospective_account(machine, name, &local, &parameters) else {
        return Err(Exit::NotOurs(NotOurs::Name));
    };
    match host.resolve(name)? {
        Some(resolved) if resolved.is(&account) => Err(LoginError::Barred(Barred::Unconfirmed).into()),
        _ => Err(Exit::NotOurs(NotOurs::Name)),
    }
}
