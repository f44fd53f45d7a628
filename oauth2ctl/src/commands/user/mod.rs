//! `user …`: people. Every change is a transaction of the store with its line in the audit trail, and is published at
//! once; what cannot be published is said. Each command may be repeated: it publishes what an earlier run could not.

mod add;
mod archive;
mod bind;
mod existing;
mod expire;
mod groups;
mod kill_as;
mod leftovers;
mod lock;
mod lock_many;
mod pin;
mod processes;
mod remove;
mod rename;
mod sessions;
mod show;
mod subids;
mod sweep;
mod uids;

use super::{profile, proof};
use crate::cli::User;
use crate::failure::Failure;
use crate::output::{actor, changed, say, warn};
use pam_oauth2::login::{LOCAL_PROFILE, Machine};
use shared::clock::{Clock, Day, SystemClock};
use shared::config::Config;
use shared::store::{By, Person, RosterError, Store};
use shared::types::LoginName;
use std::path::Path;

pub(super) fn run(machine: &Machine, command: User) -> Result<(), Failure> {
    match command {
        User::List { state, group } => show::list(machine, state, group.as_deref()),
        User::Show { name } => show::show(machine, &name),
        User::Add(request) => add::run(machine, &request),
        User::Lock(request) => lock_many::run(machine, &request),
        User::Unlock { name } => lock::unlock(machine, &name),
        User::Expire { name, date } => expire::run(machine, &name, date.0),
        User::Remove { name, purge, archive } => remove::run(machine, &name, purge, archive.as_deref()),
        User::Sweep => sweep::run(machine),
        User::Rename { old, new, reuse_name } => rename::run(machine, &old, &new, reuse_name),
        User::Bind { name, issuer, subject, force } => bind::run(machine, &name, &issuer, &subject, force),
        User::Pin { name, uid, force } => pin::run(machine, &name, uid, force),
    }
}

/// A change that is being made: the open store, and who makes it.
struct Change<'a> {
    machine: &'a Machine,
    config: Config,
    store: Store,
    actor: String,
    now: u64,
}

impl<'a> Change<'a> {
    fn begin(machine: &'a Machine) -> Result<Self, Failure> {
        let config = machine.load_config()?.config;
        let store = Store::open(&machine.places)?;
        Ok(Self { machine, config, store, actor: actor(), now: SystemClock::new().unix_seconds() })
    }

    /// Makes the change.
    fn make<T>(
        &mut self,
        change: impl FnOnce(&mut Store, By<'_>) -> Result<T, RosterError>,
    ) -> Result<T, Failure> {
        let by = By { actor: &self.actor, now: self.now };
        Ok(change(&mut self.store, by)?)
    }

    /// Shuts accounts that useradd made, or opens them again, also where this package's own account phase is not asked:
    /// people in /etc/passwd are local people to pam_unix.
    fn settle_local_accounts(&self) -> Result<(), Failure> {
        super::local_expiry::settle(self.machine)
    }

    /// Where a stack jumps over users of /etc/passwd, or does not ask us at all, our account phase shuts none of them out.
    fn warn_where_it_does_not_bite(&self, person: &Person) -> Result<(), Failure> {
        let name = person.account.name.as_str();
        if !person.existing && self.machine.local()?.user(name).is_none() {
            return Ok(());
        }
        for service in proof::SERVICES {
            let is_there =
                proof::DIRECTORIES.iter().any(|directory| Path::new(directory).join(service).exists());
            if is_there && profile::in_stack(&proof::DIRECTORIES, service) != Some(LOCAL_PROFILE) {
                warn(&format!(
                    "{name} is a user of this machine, and /etc/pam.d/{service} does not ask us about those: there it \
                     has no effect. It needs the PAM profile {LOCAL_PROFILE}"
                ));
            }
        }
        Ok(())
    }

    /// Publishes it, and says so: `sentence` to the administrator, `line` to the system log.
    fn publish(&self, line: &str, sentence: &str) -> Result<(), Failure> {
        changed(line);
        super::publish_change(self.machine).map_err(|failure| {
            Failure::Other(format!("{sentence}; but that is not published yet: {failure}. Say it again"))
        })?;
        say(sentence);
        Ok(())
    }

    /// Nothing to do; what an earlier run could not publish is published.
    fn no_change(&self, sentence: &str) -> Result<(), Failure> {
        if super::publish_missing(self.machine)? {
            say(&format!("{sentence}; and now that is published too"));
        } else {
            say(&format!("no change: {sentence}"));
        }
        Ok(())
    }
}

/// What shuts a person out, or how far they have come, in a word.
pub(super) fn state_of(person: &Person, config: Option<&Config>, today: Day) -> &'static str {
    config.and_then(|config| sweep::why(person, config, today)).unwrap_or(person.state.as_str())
}

/// A name of somebody known: what is no login name is nobody's.
fn known_name(name: &str) -> Result<LoginName, Failure> {
    LoginName::parse(name).map_err(|_| Failure::NotFound(shared::text::printable(name, 64)))
}

fn find(store: &Store, name: &str) -> Result<Person, Failure> {
    let found = store.person(&known_name(name)?)?.filter(|person| !person.probe);
    found.ok_or_else(|| Failure::NotFound(shared::text::printable(name, 64)))
}
