//! Admission (step 8): verified claims, the requested name and the policy -> [`Admitted`]. Only this module makes one,
//! and only from claims that the provider module verified: nothing can be recorded for anybody else.

use crate::oauth::VerifiedClaims;
use crate::outcome::LoginError;
use shared::config::Config;
use shared::etc::LocalNames;
use shared::identity::account::Account;
use shared::identity::claims::Claims;
use shared::identity::{admissible, ids, policy};
use shared::prospective::{Absent, exists};
use shared::store::{GroupClaim, Person, RowState, Store};

/// A person who is who they say, may come in, and for whom the host holds the right account.
#[derive(Debug)]
pub struct Admitted {
    claims: VerifiedClaims,
    account: Account,
    groups: Vec<GroupClaim>,
    known: Option<Known>,
}

/// What the store says about a person who has signed in before.
#[derive(Debug)]
pub struct Known {
    /// Local names of the provider groups on record.
    pub groups: Vec<String>,
}

impl Admitted {
    /// Issuer, subject, name and groups, as verified.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        self.claims.claims()
    }

    /// The account that the host holds and that is recorded.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The mapped groups.
    #[must_use]
    pub fn groups(&self) -> &[GroupClaim] {
        &self.groups
    }

    /// None at the first sign-in.
    #[must_use]
    pub fn known(&self) -> Option<&Known> {
        self.known.as_ref()
    }
}

/// What an admission is decided by.
pub struct Grounds<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// /etc/passwd and /etc/group.
    pub local: &'a LocalNames,
    /// The live store.
    pub store: &'a Store,
    /// Is the uid somebody's in any name service source?
    pub uid_is_taken: &'a dyn Fn(u32) -> Result<bool, LoginError>,
}

/// Decides. `held` is the account that the host resolved at step 2 and will use.
///
/// # Errors
/// The rule that said no.
pub fn admit(claims: VerifiedClaims, held: &Account, grounds: &Grounds<'_>) -> Result<Admitted, LoginError> {
    let verified = claims.claims();
    let allowed = policy::decide(verified, &held.name, grounds.config)?;
    let known = grounds.store.check_binding(&allowed.name, &verified.issuer, &verified.subject)?;
    let known = match known {
        Some(person) => known_person(&person, held, grounds)?,
        None => {
            new_person(held, grounds)?;
            None
        }
    };
    let groups = allowed.groups.into_iter().filter_map(|(provider_id, name)| {
        let accounts = &grounds.config.accounts;
        let gid = ids::derive_gid(&provider_id, &accounts.gid_range, &accounts.id_key)?;
        Some(GroupClaim { provider_id, name, gid })
    });
    Ok(Admitted { groups: groups.collect(), account: held.clone(), claims, known })
}

/// The recorded account must be the held one; a row that nobody has confirmed gets no home that is there already.
fn known_person(person: &Person, held: &Account, grounds: &Grounds<'_>) -> Result<Option<Known>, LoginError> {
    if !same(&person.account, held) {
        return Err(LoginError::IdentityChanged);
    }
    if person.state == RowState::Confirmed {
        return Ok(Some(Known { groups: grounds.store.group_names(&held.name)? }));
    }
    no_home(held)?;
    Ok(None)
}

fn new_person(held: &Account, grounds: &Grounds<'_>) -> Result<(), LoginError> {
    let configured = grounds.config.mapping.group_map.values().map(|name| name.as_str());
    admissible::check(held.name.as_str(), grounds.local, configured).map_err(Absent::from)?;
    let uid = held.uid.get();
    if (grounds.uid_is_taken)(uid)? {
        return Err(Absent::UidCollision { uid }.into());
    }
    no_home(held)
}

/// An old home may hold keys of somebody else.
fn no_home(held: &Account) -> Result<(), LoginError> {
    if exists(&held.home) { Err(Absent::HomeExists { home: held.home.clone() }.into()) } else { Ok(()) }
}

fn same(a: &Account, b: &Account) -> bool {
    (a.uid, a.gid, &a.home, &a.shell) == (b.uid, b.gid, &b.home, &b.shell)
}
