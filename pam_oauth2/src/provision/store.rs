//! Provisioning by the store: record, publish.

use super::{Provisioned, Provisioner};
use crate::admission::Admitted;
use crate::outcome::LoginError;
use shared::clock::Clock;
use shared::config::Config;
use shared::etc::LocalNames;
use shared::store::publish::{Inputs, Want, publish};
use shared::store::{Places, RecordError, Recorded, SignIn, Store};

/// Records sign-ins in the live store and publishes them.
pub struct StoreProvisioner<'a> {
    /// Where the store is.
    pub places: &'a Places,
    /// Time.
    pub clock: &'a dyn Clock,
}

impl Provisioner for StoreProvisioner<'_> {
    fn provision(
        &mut self,
        admitted: &Admitted,
        config: &Config,
        local: &LocalNames,
    ) -> Result<Provisioned, LoginError> {
        let recorded = match self.record(admitted, config) {
            Ok(recorded) => recorded,
            Err(error) => return unrecorded(admitted, error),
        };
        let mut provisioned = Provisioned {
            first: admitted.known().is_none(),
            added: recorded.added,
            removed: recorded.removed,
            warnings: recorded
                .refused_groups
                .iter()
                .map(|group| format!("group {group} is left out: its name or gid is taken"))
                .collect(),
        };
        let inputs = Inputs { config, local };
        match publish(self.places, &inputs, Want::Generation(recorded.generation), self.clock) {
            Ok(_) => Ok(provisioned),
            // Rule 12: a returning person gets in, unless something was to be taken away.
            Err(error) if !provisioned.first && provisioned.removed.is_empty() => {
                provisioned.warnings.push(format!("not published: {error}"));
                Ok(provisioned)
            }
            Err(error) => Err(error.into()),
        }
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
        })
    }
}

/// A full disk or a read-only file system must not keep out who was in before (rule 12), as long as nothing that the
/// store still grants has been taken away.
fn unrecorded(admitted: &Admitted, error: RecordError) -> Result<Provisioned, LoginError> {
    let (Some(known), RecordError::Store(_)) = (admitted.known(), &error) else { return Err(error.into()) };
    let kept = |name: &String| admitted.groups().iter().any(|group| group.name.as_str() == name);
    if !known.groups.iter().all(kept) {
        return Err(error.into());
    }
    Ok(Provisioned { warnings: vec![format!("not recorded: {error}")], ..Provisioned::default() })
}
