//! Provisioning by the store: record, publish, and see that it is published.

use super::{Provisioned, Provisioner};
use crate::admission::{Admitted, Origin, Revoked};
use crate::outcome::LoginError;
use shared::clock::Clock;
use shared::config::Config;
use shared::snapshot::{MappedFile, Snapshot, SnapshotError, State};
use shared::store::parameters;
use shared::store::publish::{Load, Want, publish};
use shared::store::{Places, RecordError, Recorded, SignIn, Store};
use shared::types::LoginName;
use std::time::Duration;

/// Records sign-ins in the live store and publishes them.
pub struct StoreProvisioner<'a> {
    /// Where the store is.
    pub places: &'a Places,
    /// Reads configuration and local names as they are now.
    pub load: Load<'a>,
    /// Time.
    pub clock: &'a dyn Clock,
    /// The account stands in /etc/passwd, whoever has put it there.
    pub existing: bool,
}

impl Provisioner for StoreProvisioner<'_> {
    fn provision(
        &mut self,
        admitted: &Admitted,
        config: &Config,
        _: Duration,
    ) -> Result<Provisioned, LoginError> {
        // The person may have taken minutes. What was decided by an older configuration makes nobody new.
        if admitted.known().is_none() && (self.load)()?.config.digest != config.digest {
            return Err(LoginError::ConfigChanged);
        }
        let mut warnings = admitted.warnings().to_vec();
        let recorded = match self.record(admitted, config) {
            Ok(recorded) => recorded,
            Err(RecordError::Store(error)) if self.grants_no_more_than(admitted, config) => {
                warnings.push(format!("not recorded: {error}"));
                return Ok(Provisioned { warnings, ..Provisioned::default() });
            }
            Err(error) => return Err(error.into()),
        };
        let groups = recorded.refused_groups.iter();
        warnings.extend(groups.map(|group| format!("group {group} is left out: its name or gid is taken")));
        if let Err(error) = self.publish(admitted) {
            if !self.grants_no_more_than(admitted, config) {
                return Err(error);
            }
            warnings.push(format!("not published: {error}"));
        }
        let first = admitted.known().is_none();
        Ok(Provisioned { first, added: recorded.added, removed: recorded.removed, warnings })
    }

    fn revoke(&mut self, revoked: &Revoked) -> Result<bool, LoginError> {
        let now = self.clock.unix_seconds();
        let written = Store::open(self.places)?.revoke(revoked.whom(), &revoked.why().to_string(), now)?;
        // Also where it was recorded before: that publication may have failed.
        publish(self.places, self.load, Want::UpToDate, self.clock)?;
        Ok(written)
    }
}

impl StoreProvisioner<'_> {
    fn record(&self, admitted: &Admitted, config: &Config) -> Result<Recorded, RecordError> {
        let claims = admitted.claims();
        Store::open(self.places)?.record(&SignIn {
            account: admitted.account(),
            issuer: &claims.issuer,
            subject: &claims.subject,
            groups: admitted.groups(),
            today: self.clock.today(),
            now: self.clock.unix_seconds(),
            publish_day: config.policy.max_confirmation_age.is_some(),
            existing: self.existing || admitted.origin() == Origin::Existing,
        })
    }

    /// A store that was restored from a backup may count to a generation that is published already, with other rows, and
    /// a file may be damaged where nobody has looked: the person must be in it, else it is made anew.
    fn publish(&self, admitted: &Admitted) -> Result<(), LoginError> {
        let is_published = || matches!(published_gids(self.places, &admitted.account().name), Ok(Some(_)));
        publish(self.places, self.load, Want::UpToDate, self.clock)?;
        if !is_published() {
            publish(self.places, self.load, Want::Rebuild, self.clock)?;
        }
        // Still not: an administrator's change meanwhile shuts them out.
        if is_published() { Ok(()) } else { Err(LoginError::ConfigChanged) }
    }

    /// Rule 12: a full disk or a read-only file system must not keep out who was in before, unless what is published
    /// still grants something that the provider has taken away. Only what is published counts: it is what `id` shows.
    fn grants_no_more_than(&self, admitted: &Admitted, config: &Config) -> bool {
        let Ok(Some(published)) = published_gids(self.places, &admitted.account().name) else { return false };
        let Ok(inputs) = (self.load)() else { return false };
        let name = &admitted.account().name;
        let own =
            Store::open(self.places).and_then(|store| store.local_gids(&inputs, name)).unwrap_or_default();
        let people = parameters::people_gid(&inputs).unwrap_or(config.accounts.people_gid).get();
        let own = |gid: u32| gid == people || own.contains(&gid);
        let granted = |gid: &u32| own(*gid) || admitted.groups().iter().any(|group| group.gid.get() == *gid);
        admitted.known().is_some() && published.iter().all(granted)
    }
}

/// The supplementary groups of a confirmed person, as published; `None` if they are not.
fn published_gids(places: &Places, name: &LoginName) -> Result<Option<Vec<u32>>, SnapshotError> {
    let file = MappedFile::open_owned_by(places.nss_db.to_str().unwrap_or_default(), places.owner)?;
    let person = Snapshot::open(file.bytes())?.person_by_name(name.as_str().as_bytes())?;
    let confirmed = person.filter(|person| person.state == State::Confirmed);
    confirmed.map(|person| person.supplementary().collect()).transpose()
}
