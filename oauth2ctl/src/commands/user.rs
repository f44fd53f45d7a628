//! `user list|show|remove`.

use crate::failure::Failure;
use crate::output::{actor, changed, say, table};
use pam_oauth2::login::Machine;
use shared::clock::{Clock, Day, SystemClock};
use shared::store::{Person, Store};
use shared::types::LoginName;

pub(super) fn list(machine: &Machine) -> Result<(), Failure> {
    let store = Store::open(&machine.places)?;
    let mut rows = vec![["NAME", "UID", "STATE", "LAST SIGN-IN", "GROUPS"].map(str::to_owned).to_vec()];
    for person in store.people()?.iter().filter(|person| !person.probe) {
        let groups = store.group_names(&person.account.name)?.join(",");
        rows.push(vec![
            person.account.name.to_string(),
            person.account.uid.to_string(),
            person.state.as_str().into(),
            day(person.confirmed_day),
            groups,
        ]);
    }
    table(&rows);
    Ok(())
}

pub(super) fn show(machine: &Machine, name: &str) -> Result<(), Failure> {
    let store = Store::open(&machine.places)?;
    let person = find(&store, name)?;
    let account = &person.account;
    let (issuer, subject) = match &person.subject {
        Some((issuer, subject)) => (issuer.as_str(), subject.as_str()),
        None => ("-", "-"),
    };
    let groups = store.group_names(&account.name)?.join(", ");
    let rows = [
        ("name", account.name.to_string()),
        ("uid", account.uid.to_string()),
        ("gid", account.gid.to_string()),
        ("home", account.home.clone()),
        ("shell", account.shell.clone()),
        ("state", person.state.as_str().to_owned()),
        ("last sign-in", day(person.confirmed_day)),
        ("expires", day(person.expires_day)),
        ("issuer", issuer.to_owned()),
        ("subject", subject.to_owned()),
        ("groups", groups),
    ];
    table(&rows.map(|(key, value)| vec![key.to_owned(), value]));
    Ok(())
}

/// What cannot be published is not removed either; a removal that was cut short is published by saying it again.
pub(super) fn remove(machine: &Machine, name: &str) -> Result<(), Failure> {
    machine.load_config()?;
    let mut store = Store::open(&machine.places)?;
    let person = match find(&store, name) {
        Err(Failure::NotFound(_)) if is_removed(&store, name)? => {
            super::publish_now(machine)?;
            say(&format!("no change: {name} was removed before"));
            return Ok(());
        }
        found => found?,
    };
    let account = &person.account;
    store.remove(&account.name, SystemClock::new().unix_seconds(), &actor())?;
    drop(store);
    changed(&format!("user removed user={} uid={}", account.name, account.uid));
    super::publish_now(machine).map_err(|failure| {
        Failure::Other(format!("{name} is removed, but that is not published yet: {failure}. Say it again"))
    })?;
    say(&format!(
        "{} (uid {}) is removed; the name, the uid and the person stay shut out",
        account.name, account.uid
    ));
    say(&format!("{} is kept: archive or delete it by hand", account.home));
    Ok(())
}

fn is_removed(store: &Store, name: &str) -> Result<bool, Failure> {
    let Ok(name) = LoginName::parse(name) else { return Ok(false) };
    Ok(store.tombstone(&name)?.is_some())
}

fn find(store: &Store, name: &str) -> Result<Person, Failure> {
    let missing = || Failure::NotFound(shared::text::printable(name, 64));
    let name = LoginName::parse(name).map_err(|_| missing())?;
    store.person(&name)?.filter(|person| !person.probe).ok_or_else(missing)
}

/// A day as YYYY-MM-DD (civil_from_days; the epoch is shifted to 0000-03-01 so that leap days end their year).
fn day(day: Option<Day>) -> String {
    let Some(Day(day)) = day else { return "-".into() };
    let shifted = u64::from(day) + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{:02}", of_year - (153 * march_month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_shown_as_dates() {
        for (number, date) in
            [(0, "1970-01-01"), (59, "1970-03-01"), (11_016, "2000-02-29"), (20_779, "2026-11-22")]
        {
            assert_eq!(day(Some(Day(number))), date);
        }
        assert_eq!(day(None), "-");
    }
}
