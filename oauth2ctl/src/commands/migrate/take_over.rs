//! `--take-over-users`: accounts of /etc/passwd that another module made become rows of the store. They are taken as they
//! are: uid, home, cron jobs and groups stay.

use crate::cli::Migrate;
use crate::failure::Failure;
use crate::output::{actor, changed, confirm, field, say, table};
use pam_oauth2::host::Resolved;
use pam_oauth2::login::Machine;
use pam_oauth2::name_service;
use serde_json::{Value, json};
use shared::clock::{Clock, SystemClock};
use shared::config::{Config, LocalUsers, Provisioning};
use shared::identity::account::Account;
use shared::identity::admissible::is_reserved;
use shared::identity::privileged::is_privileged;
use shared::store::publish::{self, Want};
use shared::store::{By, Reservation, Store};
use shared::types::{FIRST_ID, Gid, Issuer, LoginName, Subject, Uid};
use std::collections::BTreeMap;

/// nobody(5) and the ids that mean none.
const NOBODY: u32 = 65534;

/// An account that is to become a row of the store.
struct Candidate<'a> {
    account: Account,
    /// The store has a row already, which is to be bound.
    is_known: bool,
    subject: Option<&'a (Issuer, Subject)>,
}

impl Candidate<'_> {
    fn bound_to(&self) -> Option<String> {
        self.subject.map(|(issuer, subject)| format!("{} {}", issuer.as_str(), subject.as_str()))
    }
}

type Subjects = BTreeMap<String, (Issuer, Subject)>;

/// Returns whether there is anything to take over.
pub(super) fn run(machine: &Machine, request: &Migrate, names: &[String]) -> Result<bool, Failure> {
    // With --dry-run the configuration may not be there yet.
    let config = machine.load_config()?.config;
    if config.local_users != LocalUsers::Allow && config.provisioning != Provisioning::None {
        return Err(Failure::Refused(
            "people of /etc/passwd may not sign in: write \"local_users\": \"allow\" into the configuration first".into(),
        ));
    }
    let subjects = subjects(request)?;
    let mut store = Store::open(&machine.places)?;
    let found = if names.is_empty() { likely(machine, &config)? } else { named(machine, names)? };
    if let Some(name) =
        subjects.keys().find(|name| !found.iter().any(|account| account.name.as_str() == *name))
    {
        return Err(Failure::NotFound(name.clone()));
    }
    let mut rows = Vec::new();
    for account in found {
        let known = store.person(&account.name)?;
        let subject = subjects.get(account.name.as_str());
        let is_done =
            known.as_ref().is_some_and(|person| subject.is_none_or(|s| person.subject.as_ref() == Some(s)));
        if !is_done {
            rows.push(Candidate { account, is_known: known.is_some(), subject });
        }
    }
    report(&rows);
    if request.dry_run {
        return Ok(!rows.is_empty());
    }
    if rows.is_empty() {
        // What an earlier run could not.
        publish(machine)?;
        return Ok(false);
    }
    confirm(&format!(
        "Let the provider's people of these {} name(s) sign in with these accounts?",
        rows.len()
    ))?;
    let done = rows.into_iter().try_for_each(|row| take(&mut store, &row));
    drop(store);
    // Whoever was taken over before something went wrong is published all the same.
    let published = publish(machine);
    done.and(published).map(|()| true)
}

fn take(store: &mut Store, row: &Candidate<'_>) -> Result<(), Failure> {
    let Candidate { account, is_known, subject } = row;
    let by = By { actor: &actor(), now: SystemClock::new().unix_seconds() };
    match (is_known, subject) {
        (true, Some((issuer, subject))) => {
            store.bind(&account.name, (issuer, subject), false, by)?;
        }
        _ => enrol(store, account, *subject, by)?,
    }
    changed(&format!("user taken over user={} uid={}", account.name, account.uid));
    say(&format!("{} is taken over: uid {}, home {}", account.name, account.uid, account.home));
    Ok(())
}

/// Touches nothing where nothing is missing.
fn publish(machine: &Machine) -> Result<(), Failure> {
    publish::publish(&machine.places, &|| machine.inputs(), Want::UpToDate, &SystemClock::new())?;
    Ok(())
}

fn enrol(
    store: &mut Store,
    account: &Account,
    subject: Option<&(Issuer, Subject)>,
    by: By<'_>,
) -> Result<(), Failure> {
    Ok(store.reserve(&Reservation::of_existing(account, subject.cloned()), by)?)
}

fn report(rows: &[Candidate<'_>]) {
    let object = |row: &Candidate<'_>| {
        let Candidate { account, .. } = row;
        json!({
            "name": account.name.as_str(),
            "uid": account.uid.get(),
            "home": account.home,
            "bound_to": row.bound_to(),
        })
    };
    field("users", rows.iter().map(object).collect::<Vec<Value>>());
    if rows.is_empty() {
        say("no account is left to take over");
        return;
    }
    let mut lines = vec![["NAME", "UID", "HOME", "BOUND TO"].map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(|row| {
        let bound = row.bound_to().unwrap_or_else(|| "whoever signs in first under the name".into());
        vec![row.account.name.to_string(), row.account.uid.to_string(), row.account.home.clone(), bound]
    }));
    table(&lines);
}

/// Accounts that look as if the other module had made them.
fn likely(machine: &Machine, config: &Config) -> Result<Vec<Account>, Failure> {
    let mut found = Vec::new();
    for line in machine.local()?.passwd {
        let is_of_the_provider = match &config.mapping.strip_domain {
            Some(_) => !line.name.contains('@'),
            None => line.name.contains('@'),
        };
        if !is_of_the_provider || line.uid < FIRST_ID || line.uid == NOBODY {
            continue;
        }
        let Some((account, resolved)) = account(&line.name)? else { continue };
        if account.home != format!("/home/{}", line.name) || is_reserved(&line.name) {
            continue;
        }
        if is_in_privileged_group(machine, &resolved)? {
            say(&format!("{} is in a privileged group: left out, unless it is named", line.name));
            continue;
        }
        found.push(account);
    }
    Ok(found)
}

fn named(machine: &Machine, names: &[String]) -> Result<Vec<Account>, Failure> {
    let local = machine.local()?;
    let mut found = Vec::new();
    for name in names {
        let shown = shared::text::printable(name, 64);
        let Some(line) = local.user(name) else { return Err(Failure::NotFound(shown)) };
        let refused =
            || Failure::Refused(format!("{shown}: root, a service, or a name that nobody can sign in under"));
        if line.uid < FIRST_ID || line.uid == NOBODY || is_reserved(name) {
            return Err(refused());
        }
        found.push(account(name)?.ok_or_else(refused)?.0);
    }
    Ok(found)
}

/// As the name service has it.
fn account(name: &str) -> Result<Option<(Account, Resolved)>, Failure> {
    let resolved = name_service::user_by_name(name).map_err(|error| Failure::Other(error.to_string()))?;
    let parsed = resolved.and_then(|resolved| {
        let account = Account {
            name: LoginName::parse(name).ok()?,
            uid: Uid::new(resolved.uid).ok()?,
            gid: Gid::new(resolved.gid).ok()?,
            gecos: String::new(),
            home: resolved.home.clone(),
            shell: resolved.shell.clone(),
            supplementary: Vec::new(),
        };
        Some((account, resolved))
    });
    Ok(parsed)
}

fn is_in_privileged_group(machine: &Machine, resolved: &Resolved) -> Result<bool, Failure> {
    let groups = name_service::groups_of(&resolved.name, resolved.gid)
        .map_err(|error| Failure::Other(error.to_string()))?;
    let local = machine.local()?;
    let alias = |gid: u32| local.group.iter().any(|line| line.gid == gid && is_privileged(&line.name));
    Ok(groups.iter().any(|(gid, name)| is_privileged(name) || alias(*gid)))
}

/// `--subject` and `--subjects`.
fn subjects(request: &Migrate) -> Result<Subjects, Failure> {
    let mut subjects = Subjects::new();
    let mut add = |name: &str, issuer: &str, subject: &str| {
        let bad = |error: shared::types::IdentifierError| Failure::Usage(format!("{name}: {error}"));
        let pair = (Issuer::parse(issuer).map_err(bad)?, Subject::parse(subject).map_err(bad)?);
        subjects.insert(name.to_owned(), pair);
        Ok::<_, Failure>(())
    };
    for one in request.subject.chunks(3) {
        if let [name, issuer, subject] = one {
            add(name, issuer, subject)?;
        }
    }
    let Some(file) = &request.subjects else { return Ok(subjects) };
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::Other(format!("{}: {error}", file.display())))?;
    for (n, line) in
        text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, issuer, subject] = words.as_slice() else {
            return Err(Failure::Usage(format!(
                "{}:{}: NAME ISSUER SUBJECT is expected",
                file.display(),
                n + 1
            )));
        };
        add(name, issuer, subject)?;
    }
    Ok(subjects)
}
