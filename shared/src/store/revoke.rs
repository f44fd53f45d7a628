//! Revocation: the provider's groups let somebody in no longer. Written at their own verified sign-in, and taken back by
//! the next one that is admitted (`sign_in`).

use super::people::{RowState, event, find, next_generation, seconds};
use super::{Store, StoreError};
use crate::types::{Issuer, LoginName, Subject, Uid};
use rusqlite::{TransactionBehavior, params};

/// Whom a verified sign-in shuts out: all of it must be what the store has of one person.
#[derive(Clone, Copy, Debug)]
pub struct Whom<'a> {
    /// The name that was asked for, and that the provider's claims map to.
    pub name: &'a LoginName,
    /// Of the account that the host holds.
    pub uid: Uid,
    /// Who vouches.
    pub issuer: &'a Issuer,
    /// Whom the issuer means.
    pub subject: &'a Subject,
}

impl Store {
    /// Is this somebody whom the store knows by the same name, uid and subject, whose keys may open the account, and who is not
    /// locked?
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn is_bound(&self, whom: Whom<'_>) -> Result<bool, StoreError> {
        Ok(self.person(whom.name)?.is_some_and(|person| is_bound(&person, whom)))
    }

    /// Shuts a person out until their next admitted sign-in. `false`: they were, or it is not them.
    ///
    /// # Errors
    /// The store cannot be written, or is of a schema that cannot hold it.
    pub fn revoke(&mut self, whom: Whom<'_>, why: &str, now: u64) -> Result<bool, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let person = find(&transaction, "login_name = ?1", [whom.name.as_str()])?;
        let Some(person) = person.filter(|person| is_bound(person, whom) && !person.revoked) else {
            return Ok(false);
        };
        let generation = next_generation(&transaction)?;
        let sql = "UPDATE identity SET revoked = 1, generation = ?2 WHERE id = ?1";
        transaction.execute(sql, params![person.id, generation])?;
        event(&transaction, seconds(now), "revoked", whom.name.as_str(), "sign-in", why)?;
        transaction.commit()?;
        Ok(true)
    }
}

fn is_bound(person: &super::Person, whom: Whom<'_>) -> bool {
    let theirs = |(issuer, subject): &(Issuer, Subject)| issuer == whom.issuer && subject == whom.subject;
    // Somebody bound beforehand to an account that is not ours has never signed in, and yet its keys open it: until the first
    // sign-in the account phase is silent. Of every other reserved row it refuses them.
    let has_ways_in =
        person.state == RowState::Confirmed || person.state == RowState::Reserved && person.existing;
    has_ways_in
        && !person.probe
        && person.account.uid == whom.uid
        && person.subject.as_ref().is_some_and(theirs)
}
