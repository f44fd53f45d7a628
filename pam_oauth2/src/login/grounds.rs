//! What a login is decided by, known before the provider is asked and after.

use super::auth::{Held, Login};
use super::resident::Residence;
use crate::admission::Grounds;
use crate::outcome::LoginError;
use shared::config::Config;
use shared::etc::LocalNames;
use shared::store::Store;

/// What is known of a login before the provider is asked.
pub(super) struct Prepared {
    pub(super) config: Config,
    pub(super) local: LocalNames,
    pub(super) held: Held,
    pub(super) residence: Residence,
}

/// Step 8, by what it is decided by.
pub(super) fn with_grounds<T, E: From<LoginError>>(
    login: &Login<'_>,
    prepared: &Prepared,
    decide: impl FnOnce(&Grounds<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let Prepared { config, local, held, residence } = prepared;
    let store = Store::open(&login.machine.places).map_err(LoginError::from)?;
    let unfinished = (*residence == Residence::Unfinished).then_some(held.account.uid.get());
    let id_is_taken = |id| {
        // The host knows the very account. Whose else the number may be, the files and the store say.
        if unfinished == Some(id) { Ok(local.has_id(id)) } else { Ok(login.host.has_id(id)?) }
    };
    let origin = held.origin;
    decide(&Grounds { config, local, store: &store, id_is_taken: &id_is_taken, origin })
}
