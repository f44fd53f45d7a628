//! The auth phase: steps 0 to 10.

use super::grounds::{Prepared, with_grounds};
use super::known::{self, Row, Standing};
use super::resident::{self, Residence, residence};
use super::{Exit, Machine};
use crate::admission::{self, Origin, Refusal, Revoked};
use crate::host::{Answer, Host, HostError, Resolved};
use crate::limits::{Counted, Counters};
use crate::oauth::{
    Connect, ExpiredBy, HttpsConnector, Provider, ProviderError, Roots, Settings, VerifiedClaims,
};
use crate::outcome::{Barred, LoginError, NotOurs};
use crate::prompt::{self, Occasion};
use crate::provision::useradd::NAME_LIMIT;
use crate::provision::{Provisioned, Provisioner};
use shared::clock::Clock;
use shared::config::{self, Config, Provisioning};
use shared::etc::LocalNames;
use shared::identity::account::Account;
use shared::prospective::Absent;
use shared::snapshot::State;
use shared::store::RowState;
use shared::types::LoginName;
use std::time::Duration;

/// How much earlier than the host's own deadline this module gives up, so that its sentence is read.
const MARGIN: Duration = Duration::from_secs(10);

/// The PAM profile without pam_localuser (debian/pam-configs/oauth2-local).
pub const LOCAL_PROFILE: &str = "oauth2-local";

/// Somebody is in.
#[derive(Debug)]
pub struct Admission {
    /// Their account.
    pub account: Account,
    /// What was made of it.
    pub provisioned: Provisioned,
}

/// What the auth phase runs on.
pub struct Login<'a> {
    /// The files of the machine.
    pub machine: &'a Machine,
    /// Who asks.
    pub host: &'a mut dyn Host,
    /// The way to the provider, made from the configuration.
    pub connect: &'a dyn Fn(&config::Provider) -> Box<dyn Connect>,
    /// Time.
    pub clock: &'a dyn Clock,
    /// What makes an account of an admission.
    pub provisioner: &'a mut dyn Provisioner,
    /// What counts starts and requests; an administrator's own trial is not counted.
    pub counters: Option<Counters<'a>>,
}

/// The account that the host holds, and whether it is anybody's yet.
pub(super) struct Held {
    pub(super) account: Account,
    pub(super) confirmed: bool,
    pub(super) origin: Origin,
}

/// Signs somebody in. `privileged`: the caller has effective uid 0.
///
/// # Errors
/// Not our business, or why they are not in.
pub fn authenticate(login: &mut Login<'_>, privileged: bool) -> Result<Admission, Exit> {
    let started = login.clock.monotonic();
    let name = login.host.user()?;
    let prepared = prepare(login, &name, privileged)?;
    let Prepared { config, held, .. } = &prepared;
    let claims = match sign_in(login, config, held, started) {
        // A user of the machine has a password: whoever types it is asked for it by the next module.
        Err(LoginError::TypedText) if held.is_existing() => {
            return Err(Exit::NotOurs(NotOurs::LocalUser));
        }
        claims => claims?,
    };
    let admitted = with_grounds(login, &prepared, |grounds| admission::admit(claims, &held.account, grounds));
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(Refusal::Refused(error)) => return Err(error.into()),
        Err(Refusal::Revoked(revoked)) => return Err(revoke(login, &revoked).into()),
    };
    let provisioned = login.provisioner.provision(&admitted, config, deadline(started, config))?;
    unchanged(login.host.resolve(&name)?.as_ref(), admitted.account())?;
    Ok(Admission { account: admitted.account().clone(), provisioned })
}

/// Steps 0 to 2: everything that is decided without the provider.
pub(super) fn prepare(login: &Login<'_>, name: &str, privileged: bool) -> Result<Prepared, Exit> {
    let residence = residence(login.machine, name)?;
    let is_shut = residence == Residence::Stranger && !resident::are_allowed(login.machine);
    if residence == Residence::NotOurs || is_shut {
        return Err(Exit::NotOurs(NotOurs::LocalUser));
    }
    if !privileged {
        return Err(Exit::NotOurs(NotOurs::Unprivileged));
    }
    let config = configuration(login.machine)?;
    if !config.services.contains(&login.host.service()) {
        return Err(Exit::NotOurs(NotOurs::Service));
    }
    let mut local = login.machine.local()?;
    if residence == Residence::Unfinished {
        // As it would have been, had the sign-in that made the account not begun.
        local = resident::others(&local, name).unwrap_or(local);
    }
    let held = hold(login, name, &local, &config, residence)?;
    if config.provisioning == Provisioning::Useradd {
        useradd_can_make(login.machine, &held)?;
    }
    if config.require_publickey && login.host.lacks_publickey() {
        // A user of the machine keeps the password that the next module asks for.
        let stranger = held.is_existing();
        let refused = LoginError::PublickeyRequired.into();
        return Err(if stranger { Exit::NotOurs(NotOurs::LocalUser) } else { refused });
    }
    Ok(Prepared { config, local, held, residence })
}

/// Until when a login may take, on the clock of the login.
fn deadline(started: Duration, config: &Config) -> Duration {
    started.saturating_add(config.login_grace.saturating_sub(MARGIN))
}

/// Step 1.
fn configuration(machine: &Machine) -> Result<Config, Exit> {
    match machine.load_config() {
        Ok(loaded) => {
            loaded.warnings.iter().for_each(|warning| log::warn!("config: {warning}"));
            Ok(loaded.config)
        }
        Err(config::ConfigError::NotConfigured(_)) => Err(Exit::NotOurs(NotOurs::NotConfigured)),
        Err(error) => Err(error.into()),
    }
}

/// Step 2: which account the host holds for the name, or why it holds none.
fn hold(
    login: &Login<'_>,
    typed: &str,
    local: &LocalNames,
    config: &Config,
    residence: Residence,
) -> Result<Held, Exit> {
    let parse = if config.mapping.preserve_case { LoginName::parse } else { LoginName::parse_lower };
    let name = match parse(typed) {
        Ok(name) => name,
        // CORP\john and the like: another source may know them.
        Err(_) if login.host.resolve(typed)?.is_some() => return Err(Exit::NotOurs(NotOurs::Name)),
        Err(error) => return Err(Absent::from(error).into()),
    };
    if known::is_probe(name.as_str()) {
        return Err(LoginError::Barred(Barred::Probe).into());
    }
    let resolved = login.host.resolve(name.as_str())?;
    let standing = known::standing(login.machine, name.as_str())?;
    match (standing, resolved) {
        // Their name only: the row, or the tombstone, is somebody else's.
        (Some(Standing::Row(_) | Standing::Removed), _) if residence == Residence::Stranger => {
            Err(Exit::NotOurs(NotOurs::LocalUser))
        }
        (Some(Standing::Row(row)), resolved) => Ok(hold_row(login, config, &row, resolved.as_ref())?),
        (Some(Standing::Removed), _) => Err(Absent::Tombstoned(name).into()),
        (_, Some(resolved)) if exists_elsewhere(login.machine, config, local, name.as_str())? => {
            let account =
                resident::existing(login.host, config, local, name, &resolved).map_err(Exit::NotOurs)?;
            Ok(Held { account, confirmed: false, origin: Origin::Existing })
        }
        (None, None) => Err(LoginError::NotEnabled.into()),
        (Some(Standing::Nobody), None) => {
            Err(known::why_absent(login.machine, name.as_str(), local, config)?.into())
        }
        (None, Some(_)) => Err(Exit::NotOurs(NotOurs::Name)),
        (Some(Standing::Nobody), Some(resolved)) => {
            hold_prospective(login, name.as_str(), local, config, &resolved)
        }
    }
}

/// Is the account of a name that is not published somebody else's making, and may its owner sign in all the same? Whether a
/// user of /etc/passwd may has been asked before. Parameters of first logins are left from another mode: what sshd holds may
/// then be an entry of ours.
fn exists_elsewhere(
    machine: &Machine,
    config: &Config,
    local: &LocalNames,
    name: &str,
) -> Result<bool, LoginError> {
    let others = config.provisioning == Provisioning::None && known::parameters(machine)?.is_none();
    Ok(others || local.user(name).is_some())
}

/// What useradd(8) will need, before anybody is bothered.
fn useradd_can_make(machine: &Machine, held: &Held) -> Result<(), LoginError> {
    if held.origin == Origin::Existing {
        return Ok(());
    }
    // A stack with pam_localuser would jump over us in the very connection that made the account.
    if known::parameters(machine)?.is_none_or(|parameters| parameters.profile != LOCAL_PROFILE) {
        return Err(LoginError::WrongProfile);
    }
    if held.account.name.as_str().len() > NAME_LIMIT {
        return Err(LoginError::TooLongForUseradd);
    }
    Ok(())
}

impl Held {
    /// The machine's own, who had a way in before us and keeps it.
    fn is_existing(&self) -> bool {
        self.origin == Origin::Existing
    }
}

fn hold_row(
    login: &Login<'_>,
    config: &Config,
    row: &Row,
    resolved: Option<&Resolved>,
) -> Result<Held, LoginError> {
    let revoked = known::revoked(login.machine, row, config);
    match row.barred(login.clock.today()) {
        // A sign-in is what takes it back.
        Some(Barred::Denied) if revoked.is_some() => {}
        Some(barred) => return Err(LoginError::Barred(barred)),
        None => {}
    }
    let resolved = match resolved {
        None => return Err(LoginError::NotResolved),
        Some(resolved) if !row.is_of(resolved) => return Err(LoginError::IdentityChanged),
        Some(resolved) => resolved,
    };
    let account = known::account_of(resolved)?;
    let confirmed = row.state == State::Confirmed || revoked == Some(RowState::Confirmed);
    let origin = if row.is_served { Origin::Ours } else { Origin::Existing };
    let needs_no_home = !confirmed && origin == Origin::Ours;
    if needs_no_home
        && !admission::home_is_free(&account, config)
        && !known::home_is_adopted(login.machine, &account)?
    {
        return Err(Absent::HomeExists { home: account.home }.into());
    }
    Ok(Held { account, confirmed, origin })
}

/// The host resolved a name that is not published: ours only if it is the prospective entry, field by field.
fn hold_prospective(
    login: &Login<'_>,
    name: &str,
    local: &LocalNames,
    config: &Config,
    resolved: &Resolved,
) -> Result<Held, Exit> {
    let Some(parameters) = known::parameters(login.machine)? else {
        return Err(Exit::NotOurs(NotOurs::Name));
    };
    match known::prospective_account(login.machine, name, local, &parameters) {
        Ok(account) if !resolved.is(&account) => Err(Exit::NotOurs(NotOurs::Name)),
        Ok(_) if parameters.config_digest != config.digest => Err(LoginError::ConfigChanged.into()),
        // The name service looks at the owner of a home that is to be adopted; here the way to it counts too.
        Ok(account) if !admission::home_is_free(&account, config) => {
            Err(Absent::HomeExists { home: account.home }.into())
        }
        Ok(account) => Ok(Held { account, confirmed: false, origin: Origin::Ours }),
        Err(Absent::Unreadable) => Err(Absent::Unreadable.into()),
        // Somebody else's name service knows a name that could not be ours.
        Err(_) => Err(Exit::NotOurs(NotOurs::Name)),
    }
}

/// Steps 3 to 7. Nothing is written, created or executed here but the counters of step 4.
fn sign_in(
    login: &mut Login<'_>,
    config: &Config,
    held: &Held,
    started: Duration,
) -> Result<VerifiedClaims, LoginError> {
    let occasion = Occasion {
        machine: login.machine.name.clone(),
        user: held.account.name.to_string(),
        rhost: login.host.rhost(),
    };
    if !login.host.can_prompt() {
        return Err(HostError::NoPrompt.into());
    }
    let grace = deadline(started, config);
    if !held.confirmed {
        enter(login.host, &prompt::gate(&occasion))?;
        // Somebody who comes back after the coffee would get a code that sshd cannot wait for.
        if login.clock.monotonic() >= grace {
            return Err(ProviderError::Expired(ExpiredBy::Deadline).into());
        }
    }
    let settings = settings(config);
    hold_back(login, config, held, grace)?;
    let connect = (login.connect)(&config.provider);
    let for_confirmed = held.confirmed;
    let connect = Counted { connect: connect.as_ref(), counters: login.counters, for_confirmed };
    let provider = Provider::new(&settings, &connect, login.clock);
    let asked = login.clock.monotonic();
    let grant = provider.start()?;
    enter(login.host, &prompt::device(&occasion, &grant, &config.prompt))?;
    let lifetime =
        asked.saturating_add(config.polling_timeout.unwrap_or(grant.expires_in).min(grant.expires_in));
    Ok(provider.poll(&grant, grace.min(lifetime))?)
}

/// Step 4: a stranger over a limit is refused; somebody whom the machine knows waits, and never so long that the
/// deadline is near. Without an address (su, sudo, a console) there is nobody to count.
fn hold_back(login: &Login<'_>, config: &Config, held: &Held, grace: Duration) -> Result<(), LoginError> {
    let (Some(counters), Some(address)) = (&login.counters, login.host.rhost()) else { return Ok(()) };
    if !held.confirmed {
        return Ok(counters.stranger_starts(&address, &config.limits)?);
    }
    let left = grace.saturating_sub(login.clock.monotonic());
    let delay = counters.confirmed_starts(&address, &held.account.name, &config.limits).min(left / 2);
    if !delay.is_zero() {
        log::info!("the sign-in of {} waits for {} s (limits)", held.account.name, delay.as_secs());
        login.clock.sleep(delay);
    }
    Ok(())
}

fn enter(host: &mut dyn Host, text: &str) -> Result<(), LoginError> {
    match host.ask(text)? {
        Answer::Enter => Ok(()),
        Answer::Text => Err(LoginError::TypedText),
    }
}

/// Step 9 of somebody whom the provider's groups let in no longer. They are refused whether that can be recorded or not.
fn revoke(login: &mut Login<'_>, revoked: &Revoked) -> LoginError {
    let name = revoked.whom().name;
    match login.provisioner.revoke(revoked) {
        Ok(false) => {}
        Ok(true) => log::info!("{name}: keys, cron and su are refused too, until a sign-in is admitted"),
        Err(error) => log::error!("{name} is in no allowed group any more, but keys go on working: {error}"),
    }
    revoked.why().clone().into()
}

/// Step 10: what the host resolves now must be what it resolved then and what was recorded.
fn unchanged(now: Option<&Resolved>, account: &Account) -> Result<(), LoginError> {
    if now.is_some_and(|now| now.is(account)) { Ok(()) } else { Err(LoginError::IdentityChanged) }
}

/// What the configuration says about the provider, as a login asks for it.
#[must_use]
pub fn settings(config: &Config) -> Settings {
    let provider = &config.provider;
    Settings {
        client_id: provider.client_id.clone(),
        client_secret: provider.client_secret.clone(),
        issuer: provider.issuer.clone(),
        entra: provider.entra.clone(),
        device_url: provider.device_url.clone(),
        token_url: provider.token_url.clone(),
        introspection_url: provider.introspection_url.clone(),
        scopes: provider.scopes.clone(),
        validation: provider.validation,
        username_claims: config.mapping.username_claims.clone(),
        groups_claim: config.mapping.groups_claim.clone(),
        needs_groups: config.policy.allowed_groups.is_some() || !config.mapping.group_map.is_empty(),
        subject_from_username: config.mapping.subject_from_username,
    }
}

/// The way to a provider over https, with trust roots from fixed places or `ca_file` only (rule 7). `limit_lookups`: see
/// [`HttpsConnector`].
#[must_use]
pub fn https(provider: &config::Provider, limit_lookups: fn(Duration)) -> Box<dyn Connect> {
    let roots = provider.ca_file.clone().map_or(Roots::System, Roots::File);
    let (timeout, proxy) = (provider.http_timeout, provider.proxy.clone());
    Box::new(HttpsConnector { roots, timeout, proxy, limit_lookups })
}
