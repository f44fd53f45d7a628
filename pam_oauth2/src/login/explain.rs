//! What a login would come to, rule by rule, by the functions that the login itself uses. Nothing is asked of anybody,
//! written or made.

use super::auth::{self, Held, Login};
use super::grounds::{Prepared, with_grounds};
use super::known::{self, Row, Standing};
use super::{Exit, account, session};
use crate::admission::{self, Decision, Origin, Verdict};
use crate::host::Resolved;
use crate::outcome::{LoginError, Reply};
use shared::config::{Config, Provisioning};
use shared::identity::account::Account;
use shared::identity::claims::Claims;
use shared::snapshot::State;
use shared::types::LoginName;

/// A login, explained.
#[derive(Debug)]
pub struct Explanation {
    /// The account that the host holds. `None`: the provider would not even be asked, and `decision` says why.
    pub account: Option<Account>,
    /// Each rule about the person.
    pub rules: Vec<Verdict>,
    /// What the login comes to.
    pub decision: Result<Decision, Exit>,
    /// The refusal would shut the person's keys, cron jobs and su too.
    pub revokes: bool,
    /// What would be published afterwards.
    pub signed_in: Option<SignedIn>,
}

/// Somebody who has just signed in, as the phases after that see them.
#[derive(Debug)]
pub struct SignedIn(Row);

/// What PAM is answered in each phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phases {
    /// pam_acct_mgmt.
    pub account: Reply,
    /// pam_setcred.
    pub setcred: Reply,
    /// pam_open_session.
    pub session: Reply,
}

/// Explains a login with these claims in the service that the host names.
///
/// # Errors
/// The host has no name.
pub fn explain(login: &mut Login<'_>, claims: &Claims) -> Result<Explanation, Exit> {
    let name = login.host.user()?;
    let prepared = match auth::prepare(login, &name, true) {
        Ok(prepared) => prepared,
        Err(exit) => {
            let rules = without_account(login, &name, claims);
            let decision = Err(exit);
            return Ok(Explanation { account: None, rules, decision, revokes: false, signed_in: None });
        }
    };
    let Prepared { config, held, .. } = &prepared;
    let judged = with_grounds(login, &prepared, |grounds| {
        let verdicts = admission::verdicts(claims, &held.account, grounds);
        let decision = admission::decide(claims, &held.account, grounds);
        let why = decision.as_ref().err();
        let revokes = why.is_some_and(|why| admission::revokes(why, claims, &held.account, grounds));
        Ok::<_, LoginError>((verdicts, decision, revokes))
    });
    let (rules, decision, revokes) = match judged {
        Ok(judged) => judged,
        Err(error) => (Vec::new(), Err(error), false),
    };
    let signed_in = match decision {
        Ok(_) => Some(SignedIn(row_after(login, config, held)?)),
        Err(_) => None,
    };
    let decision = decision.map_err(Exit::Failed);
    Ok(Explanation { account: Some(held.account.clone()), rules, decision, revokes, signed_in })
}

/// What can be said all the same.
fn without_account(login: &Login<'_>, name: &str, claims: &Claims) -> Vec<Verdict> {
    let Ok(config) = login.machine.load_config().map(|loaded| loaded.config) else { return Vec::new() };
    let parse = if config.mapping.preserve_case { LoginName::parse } else { LoginName::parse_lower };
    parse(name).map(|name| admission::policy_verdicts(claims, &name, &config)).unwrap_or_default()
}

/// The phases after the auth phase, in the service that the host names: of somebody who has just signed in, or, without one,
/// as things are (a key, cron, su).
///
/// # Errors
/// The host has no name, or the configuration cannot be read.
pub fn phases(login: &mut Login<'_>, signed_in: Option<&SignedIn>) -> Result<Phases, Exit> {
    let (machine, clock) = (login.machine, login.clock);
    let provisioning = machine.load_config()?.config.provisioning;
    let opens = |row: &Row| session::is_home_ours(row, provisioning);
    Ok(match signed_in {
        Some(SignedIn(row)) => Phases {
            account: reply(account::judge(row, login.host, clock, true)),
            setcred: Reply::Success,
            session: reply(opens(row)),
        },
        None => {
            let account = reply(account::account(machine, login.host, clock, false));
            let row = session::confirmed(machine, login.host);
            // setcred refuses nobody.
            let setcred = if row.is_ok() { Reply::Success } else { Reply::NotOurs };
            Phases { account, setcred, session: reply(row.and_then(|row| opens(&row))) }
        }
    })
}

fn reply(outcome: Result<(), Exit>) -> Reply {
    outcome.map_or_else(|exit| exit.reply(), |()| Reply::Success)
}

/// What a publication would hold of them after the sign-in.
fn row_after(login: &Login<'_>, config: &Config, held: &Held) -> Result<Row, LoginError> {
    let is_served = match known::standing(login.machine, held.account.name.as_str())? {
        Some(Standing::Row(row)) => row.is_served,
        _ => held.origin == Origin::Ours && config.provisioning != Provisioning::Useradd,
    };
    Ok(Row {
        entry: Resolved::from(&held.account),
        state: State::Confirmed,
        confirmed_day: Some(login.clock.today().0),
        expires_day: None,
        max_confirmation_age: config.policy.max_confirmation_age,
        services: config.services.join(" "),
        is_served,
    })
}
