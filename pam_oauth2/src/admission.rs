//! Admission (step 8): verified claims, the requested name and the policy -> [`Admitted`]. Only this module makes one,
//! and only from claims that the provider module verified: nothing can be recorded for anybody else. What takes access away is
//! as strict: [`Revoked`] is made here alone, of the very person who signed in.

use crate::home;
use crate::oauth::VerifiedClaims;
use crate::outcome::LoginError;
use shared::config::Config;
use shared::etc::LocalNames;
use shared::identity::account::Account;
use shared::identity::claims::Claims;
use shared::identity::policy::{self, Denied};
use shared::identity::{admissible, ids};
use shared::prospective::{Absent, exists};
use shared::store::{GroupClaim, Person, RowState, Store, Whom};
use shared::types::{GroupName, LoginName};

/// A person who is who they say, may come in, and for whom the host holds the right account.
#[derive(Debug)]
pub struct Admitted {
    claims: VerifiedClaims,
    account: Account,
    groups: Vec<GroupClaim>,
    known: Option<Known>,
    origin: Origin,
    warnings: Vec<String>,
}

/// Somebody who has signed in before.
#[derive(Clone, Copy, Debug)]
pub struct Known;

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
    pub fn known(&self) -> Option<Known> {
        self.known
    }

    /// Who made the account.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Sentences for the log: what the person does not get.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// Somebody who has signed in here before, or was bound to an account of the machine's own, proved to be that very person, and
/// whom `allowed_groups` does not let in.
/// Nobody else's token makes one: name, subject and account are those of the person's row.
#[derive(Debug)]
pub struct Revoked {
    claims: VerifiedClaims,
    account: Account,
    why: Denied,
}

impl Revoked {
    /// Whom it concerns, as the store has them.
    #[must_use]
    pub fn whom(&self) -> Whom<'_> {
        let claims = self.claims.claims();
        let (issuer, subject) = (&claims.issuer, &claims.subject);
        Whom { name: &self.account.name, uid: self.account.uid, issuer, subject }
    }

    /// The account of their row, as the host holds it.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The rule that said no.
    #[must_use]
    pub fn why(&self) -> &Denied {
        &self.why
    }
}

/// Why nobody is admitted.
#[derive(Debug)]
pub enum Refusal {
    /// Nothing follows from it.
    Refused(LoginError),
    /// The person's other ways in are to be shut too.
    Revoked(Box<Revoked>),
}

impl<E: Into<LoginError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

/// Who made the account that the host holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// We did, or will.
    Ours,
    /// The machine's administrator, or another source: it is taken as it is.
    Existing,
}

/// What an admission is decided by.
pub struct Grounds<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// /etc/passwd and /etc/group.
    pub local: &'a LocalNames,
    /// The live store.
    pub store: &'a Store,
    /// Is the number a user's or a group's in any name service source?
    pub id_is_taken: &'a dyn Fn(u32) -> Result<bool, LoginError>,
    /// Who made the account.
    pub origin: Origin,
}

/// What an admission comes to; nothing can be recorded with it.
#[derive(Debug)]
pub struct Decision {
    /// The mapped groups.
    pub groups: Vec<GroupClaim>,
    /// None at the first sign-in.
    pub known: Option<Known>,
    /// Sentences for the log: what the person does not get.
    pub warnings: Vec<String>,
}

/// Decides. `held` is the account that the host resolved at step 2 and will use.
///
/// # Errors
/// The rule that said no.
pub fn admit(claims: VerifiedClaims, held: &Account, grounds: &Grounds<'_>) -> Result<Admitted, Refusal> {
    match decide(claims.claims(), held, grounds) {
        Ok(Decision { groups, known, warnings }) => {
            let (account, origin) = (held.clone(), grounds.origin);
            Ok(Admitted { claims, account, groups, known, origin, warnings })
        }
        Err(LoginError::Policy(why)) => Err(refusal(claims, held, grounds, why)),
        Err(error) => Err(error.into()),
    }
}

/// Every rule, in order; the first that says no ends it.
///
/// # Errors
/// The rule that said no.
pub fn decide(claims: &Claims, held: &Account, grounds: &Grounds<'_>) -> Result<Decision, LoginError> {
    let allowed = policy::decide(claims, &held.name, grounds.config)?;
    let person = grounds.store.check_binding(&allowed.name, &claims.issuer, &claims.subject)?;
    let case = Case { person: person.as_ref(), held, grounds };
    RULES.iter().try_for_each(|(_, check)| check(&case))?;
    let confirmed = person.is_some_and(|person| person.state == RowState::Confirmed);
    let mut decision =
        Decision { groups: Vec::new(), known: confirmed.then_some(Known), warnings: Vec::new() };
    for (provider_id, name) in allowed.groups {
        match group(provider_id, name, grounds)? {
            Ok(group) => decision.groups.push(group),
            Err(name) => decision
                .warnings
                .push(format!("group {name} is left out: /etc/group has it, or another source its gid")),
        }
    }
    Ok(decision)
}

/// Would this refusal of [`decide`] shut the person's other ways in too (see [`Revoked`])?
#[must_use]
pub fn revokes(why: &LoginError, claims: &Claims, held: &Account, grounds: &Grounds<'_>) -> bool {
    let whom = Whom { name: &held.name, uid: held.uid, issuer: &claims.issuer, subject: &claims.subject };
    let takes_away = matches!(why, LoginError::Policy(denied) if takes_keys_away(denied, held, grounds));
    takes_away && grounds.store.is_bound(whom).unwrap_or(false)
}

/// A rule, and whether it lets the person in.
#[derive(Debug)]
pub struct Verdict {
    /// The rule.
    pub rule: &'static str,
    /// Why not.
    pub outcome: Result<(), LoginError>,
}

/// What each rule of [`decide`] says, also those that a login would not reach any more. Rules about the account need to know
/// whose it is: they are left out where the binding says no.
pub fn verdicts(claims: &Claims, held: &Account, grounds: &Grounds<'_>) -> Vec<Verdict> {
    let mut verdicts = policy_verdicts(claims, &held.name, grounds.config);
    let binding = grounds.store.check_binding(&held.name, &claims.issuer, &claims.subject);
    let person = match binding {
        Ok(person) => person,
        Err(error) => {
            verdicts.push(Verdict { rule: BINDING, outcome: Err(error.into()) });
            return verdicts;
        }
    };
    verdicts.push(Verdict { rule: BINDING, outcome: Ok(()) });
    let case = Case { person: person.as_ref(), held, grounds };
    verdicts.extend(RULES.iter().map(|(rule, check)| Verdict { rule, outcome: check(&case) }));
    verdicts
}

/// Of the rules of [`verdicts`], those that need no account.
#[must_use]
pub fn policy_verdicts(claims: &Claims, requested: &LoginName, config: &Config) -> Vec<Verdict> {
    let verdict = |rule: &policy::Rule| Verdict {
        rule: rule.name,
        outcome: rule.check(claims, requested, config).map_err(LoginError::from),
    };
    policy::RULES.iter().map(verdict).collect()
}

/// What an explanation calls [`Store::check_binding`].
const BINDING: &str = "subject_binding";

/// Who is to be admitted, as far as the store knows them.
struct Case<'a> {
    person: Option<&'a Person>,
    held: &'a Account,
    grounds: &'a Grounds<'a>,
}

impl Case<'_> {
    /// Nobody has the name yet, and the account will be ours.
    fn is_new(&self) -> bool {
        self.person.is_none() && self.grounds.origin == Origin::Ours
    }
}

type Check = fn(&Case<'_>) -> Result<(), LoginError>;

/// The rules after the binding, in order.
const RULES: [(&str, Check); 4] = [
    ("account_unchanged", account_is_unchanged),
    ("name_admissible", name_is_admissible),
    ("uid_free", uid_is_free),
    ("home_free", home_is_their_own),
];

/// The recorded account must be the held one.
fn account_is_unchanged(case: &Case<'_>) -> Result<(), LoginError> {
    let is_same = case.person.is_none_or(|person| match person.existing {
        true => person.account.uid == case.held.uid,
        false => same(&person.account, case.held),
    });
    if is_same { Ok(()) } else { Err(LoginError::IdentityChanged) }
}

fn name_is_admissible(case: &Case<'_>) -> Result<(), LoginError> {
    let Grounds { config, local, .. } = case.grounds;
    if !case.is_new() {
        return Ok(());
    }
    Ok(admissible::check(case.held.name.as_str(), local, config.group_names()).map_err(Absent::from)?)
}

fn uid_is_free(case: &Case<'_>) -> Result<(), LoginError> {
    let uid = case.held.uid.get();
    if case.is_new() && (case.grounds.id_is_taken)(uid)? {
        return Err(Absent::UidCollision { uid }.into());
    }
    Ok(())
}

/// Somebody whom nobody has confirmed gets no home that is there already.
fn home_is_their_own(case: &Case<'_>) -> Result<(), LoginError> {
    let unconfirmed = case.person.is_none_or(|person| person.state != RowState::Confirmed);
    let adopted = case.person.is_some_and(is_adopted);
    if case.grounds.origin == Origin::Ours && unconfirmed && !adopted {
        return no_home(case.held, case.grounds.config);
    }
    Ok(())
}

/// The policy said no. To whom? Only a person's own sign-in says anything about the person.
fn refusal(claims: VerifiedClaims, held: &Account, grounds: &Grounds<'_>, why: Denied) -> Refusal {
    if !takes_keys_away(&why, held, grounds) {
        return why.into();
    }
    let revoked = Revoked { claims, account: held.clone(), why };
    match grounds.store.is_bound(revoked.whom()) {
        Ok(true) => Refusal::Revoked(Box::new(revoked)),
        Ok(false) => revoked.why.into(),
        Err(error) => error.into(),
    }
}

/// Is it for want of a group? A provider that says nothing about groups at all may be one whose registration was changed:
/// that must not shut the accounts of the machine's own people, its administrators among them.
fn takes_keys_away(why: &Denied, held: &Account, grounds: &Grounds<'_>) -> bool {
    let is_of_others =
        grounds.origin == Origin::Existing && !grounds.config.accounts.uid_range.contains(held.uid.get());
    why.lacks_groups() && !(is_of_others && matches!(why, Denied::NoGroups { .. }))
}

/// A mapped group with its gid; `Err` if the gid is somebody else's. A group on record has its own.
fn group(
    provider_id: String,
    name: GroupName,
    grounds: &Grounds<'_>,
) -> Result<Result<GroupClaim, GroupName>, LoginError> {
    // A group of /etc/group is never redefined.
    if grounds.local.group(name.as_str()).is_some() {
        return Ok(Err(name));
    }
    if let Some(gid) = grounds.store.group_gid(&provider_id)? {
        return Ok(Ok(GroupClaim { provider_id, name, gid }));
    }
    let accounts = &grounds.config.accounts;
    match ids::derive_gid(&provider_id, &accounts.gid_range, &accounts.id_key) {
        Some(gid) if !(grounds.id_is_taken)(gid.get())? => Ok(Ok(GroupClaim { provider_id, name, gid })),
        _ => Ok(Err(name)),
    }
}

/// An administrator has said that the home directory which is there is this person's, and nothing speaks against it.
pub(crate) fn is_adopted(person: &Person) -> bool {
    let account = &person.account;
    person.adopt_home && home::is_adoptable(&account.home, account.uid.get())
}

fn no_home(held: &Account, config: &Config) -> Result<(), LoginError> {
    if home_is_free(held, config) {
        Ok(())
    } else {
        Err(Absent::HomeExists { home: held.home.clone() }.into())
    }
}

/// An old home may hold keys of somebody else. `adopt_homes` takes one for the person's own that belongs to exactly the uid
/// they derive, in a place where only root makes directories.
pub(crate) fn home_is_free(account: &Account, config: &Config) -> bool {
    let uid = account.uid.get();
    !exists(&account.home, None) || config.accounts.adopt_homes && home::is_adoptable(&account.home, uid)
}

fn same(a: &Account, b: &Account) -> bool {
    (a.uid, a.gid, &a.home, &a.shell) == (b.uid, b.gid, &b.home, &b.shell)
}
