//! O: the provider, one step at a time. Each step needs the one before it, so that the first that fails is the fault.

use super::facts::{Facts, runs};
use super::report::{Finding, Verdict, quoted};
use pam_oauth2::login;
use pam_oauth2::name_service::limit_lookups;
use pam_oauth2::oauth::{Connect, HttpError, Provider, ProviderError, Settings};
use shared::clock::Clock;
use shared::config::Config;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Longest wait for one connection; a login waits as long.
const CONNECT: Duration = Duration::from_secs(5);

/// How far this clock may be from the provider's: the leeway of id_tokens.
const SKEW: u64 = 60;

const NOBODY: &str = "Nobody can sign in at the provider; keys of people who are known still work.";

/// What the first answer told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Greeting {
    /// Seconds that this clock is ahead, or behind; `None` where the answer had no date.
    skew: Option<u64>,
}

/// Everything that a question needs.
struct Way<'a> {
    config: &'a Config,
    settings: Settings,
    connect: Box<dyn Connect>,
    clock: &'a dyn Clock,
}

impl<'a> Way<'a> {
    fn of(facts: &'a Facts<'_>) -> Result<Self, Finding> {
        let config = facts.config()?;
        runs()?;
        let connect = login::https(&config.provider, limit_lookups);
        Ok(Self { config, settings: login::settings(config), connect, clock: &facts.clock })
    }

    fn provider(&self) -> Provider<'_> {
        Provider::new(&self.settings, self.connect.as_ref(), self.clock)
    }

    /// `host:port` of whom a login connects to first: the provider, or the proxy before it.
    fn peer(&self) -> Result<(String, String), Finding> {
        let url =
            self.provider().first_address().map_err(|error| fault(&error, "oauth2ctl config validate"))?;
        let direct = url.origin();
        let proxied = self.config.provider.proxy.as_ref().filter(|_| direct.starts_with("https"));
        let origin = proxied.unwrap_or(&direct);
        let (scheme, rest) = origin.split_once("://").unwrap_or(("https", origin));
        let host = rest.split('/').next().unwrap_or_default();
        let has_port = host.rsplit(']').next().is_some_and(|end| end.contains(':'));
        let port = if scheme == "https" { 443 } else { 80 };
        let peer = if has_port { host.to_owned() } else { format!("{host}:{port}") };
        Ok((peer, url.as_str().to_owned()))
    }
}

fn fault(error: &ProviderError, remedy: &str) -> Finding {
    Finding::fault(error.to_string(), NOBODY, remedy)
}

/// O1: its name resolves, and it takes connections.
pub(super) fn network(facts: &Facts<'_>) -> Verdict {
    let way = Way::of(facts)?;
    let (peer, url) = way.peer()?;
    let host = peer.rsplit_once(':').map_or(peer.as_str(), |(host, _)| host);
    limit_lookups(way.config.provider.http_timeout);
    let addresses: Vec<SocketAddr> = match peer.to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            let saw = format!("DNS: {host} does not resolve ({error})");
            return Ok(Finding::fault(saw, NOBODY, format!("getent ahosts {}", quoted(host))));
        }
    };
    let mut last = String::from("no address");
    for address in addresses.iter().take(3) {
        match TcpStream::connect_timeout(address, CONNECT.min(way.config.provider.http_timeout)) {
            Ok(_) => return Ok(Finding::ok(format!("{peer} takes connections at {}", address.ip()))),
            Err(error) => last = format!("{address}: {error}"),
        }
    }
    Ok(Finding::fault(
        format!("TCP: no connection to {peer} ({last})"),
        NOBODY,
        format!("curl -v {}", quoted(&url)),
    ))
}

/// O2: it shows a certificate that this machine trusts.
pub(super) fn tls(facts: &Facts<'_>) -> Verdict {
    facts.needs("O1")?;
    let way = Way::of(facts)?;
    let (peer, url) = way.peer()?;
    match greet(facts, &way) {
        Ok(_) if url.starts_with("http://") => Err(Finding::not_applicable("plain HTTP to this machine")),
        Ok(_) => Ok(Finding::ok(format!("the certificate of {peer} is trusted"))),
        Err(finding) => Ok(finding),
    }
}

/// Asks once for all checks.
fn greet(facts: &Facts<'_>, way: &Way<'_>) -> Result<Greeting, Finding> {
    let ask = || {
        crate::output::progress("asking the provider …");
        let before = way.clock.unix_seconds();
        let date = way.provider().greet().map_err(|error| no_answer(&error, way))?;
        let after = way.clock.unix_seconds();
        // The answer was made somewhere between the two.
        let skew = date.map(|date| if date < before { before - date } else { date.saturating_sub(after) });
        Ok(Greeting { skew })
    };
    facts.greeting.get_or_init(ask).clone()
}

fn no_answer(error: &ProviderError, way: &Way<'_>) -> Finding {
    let (peer, url) = way.peer().unwrap_or_default();
    let source = match error {
        ProviderError::Http { source, .. } | ProviderError::Connect(source) => source,
        other => return fault(other, "oauth2ctl config validate"),
    };
    let roots = match &way.config.provider.ca_file {
        Some(file) => format!(
            "openssl s_client -showcerts -connect {} </dev/null  # put its authority into {}",
            quoted(&peer),
            file.display()
        ),
        None => "update-ca-certificates  # and \"ca_file\" for an authority of your own".to_owned(),
    };
    match source {
        HttpError::Certificate { reason, .. }
            if reason.contains("Expired") || reason.contains("NotValidYet") =>
        {
            fault(error, "timedatectl  # if the time is right, the provider must renew its certificate")
        }
        HttpError::Certificate { .. } | HttpError::Roots { .. } | HttpError::NoRoots => {
            Finding::fault(format!("TLS: {source}"), NOBODY, roots)
        }
        source => Finding::fault(format!("TLS: {source}"), NOBODY, format!("curl -v {}", quoted(&url))),
    }
}

/// O3: discovery, where there is an issuer, and every endpoint that a login needs.
pub(super) fn discovery(facts: &Facts<'_>) -> Verdict {
    facts.needs_answer()?;
    let way = Way::of(facts)?;
    let url = way.peer()?.1;
    match way.provider().find() {
        Ok(found) => Ok(Finding::ok(format!("device authorization at {}", found.device.as_str()))),
        Err(error @ ProviderError::Issuer { .. }) => {
            let file = facts.machine.config.display();
            let remedy = match &error {
                // The document's word, in a script of sed's: only where it can be nothing but an address.
                ProviderError::Issuer { configured, found } if quoted(found) == *found => {
                    format!("sed -i 's|\"{configured}\"|\"{found}\"|' {file} && oauth2ctl publish")
                }
                _ => format!("editor {file} && oauth2ctl publish"),
            };
            Ok(fault(&error, &remedy))
        }
        Err(error) => Ok(fault(&error, &format!("curl -i {}", quoted(&url)))),
    }
}

/// O4: it gives this client a code. Nobody is asked to approve it, and it expires.
pub(super) fn device(facts: &Facts<'_>) -> Verdict {
    facts.needs("O3")?;
    let way = Way::of(facts)?;
    match way.provider().start() {
        Ok(grant) => Ok(Finding::ok(format!(
            "a code for {}, good for {} s",
            grant.verification_uri,
            grant.expires_in.as_secs()
        ))),
        Err(error @ (ProviderError::Refused { .. } | ProviderError::Aadsts { .. })) => {
            let remedy = "oauth2ctl setup  # client id, client secret and scopes as the provider has them";
            Ok(fault(&error, remedy))
        }
        Err(error) => {
            let device =
                way.provider().find().map_or_else(|_| String::new(), |found| found.device.as_str().into());
            Ok(fault(
                &error,
                &format!("curl -i -d client_id={} {}", quoted(&way.settings.client_id), quoted(&device)),
            ))
        }
    }
}

/// O5: there are keys to verify an id_token by; and groups can be asked for.
pub(super) fn keys(facts: &Facts<'_>) -> Verdict {
    facts.needs("O3")?;
    let way = Way::of(facts)?;
    let provider = way.provider();
    let found = provider.find().map_err(|error| fault(&error, "oauth2ctl doctor --check O3"))?;
    let Some(keys) = found.keys else {
        return Err(Finding::not_applicable("introspection proves who signed in"));
    };
    let remedy = format!("curl -i {}", quoted(keys.as_str()));
    let saw = match provider.count_keys(&keys) {
        Ok(0) => {
            let saw = format!("no key at {} can verify an id_token", keys.as_str());
            return Ok(Finding::fault(saw, NOBODY, remedy));
        }
        Ok(number) => format!("{number} key(s) verify id_tokens"),
        Err(error) => return Ok(fault(&error, &remedy)),
    };
    if way.settings.entra.is_none() || !way.settings.needs_groups {
        return Ok(Finding::ok(saw));
    }
    // Only a token of a person can ask Graph: what a login does with too many groups is told, not tried.
    Ok(Finding::ok(format!(
        "{saw}; not asked: whether Microsoft Graph tells the groups of people who are in more than fit into a token. That takes \
         a token of theirs, with the delegated permission User.Read: oauth2ctl login NAME tries it"
    )))
}

/// O6: tokens carry times.
pub(super) fn clock(facts: &Facts<'_>) -> Verdict {
    facts.needs_answer()?;
    let way = Way::of(facts)?;
    let Some(skew) = greet(facts, &way)?.skew else {
        return Err(Finding::not_applicable("the provider's answers have no date"));
    };
    if skew >= SKEW {
        let saw = format!("this clock and the provider's are {skew} s apart");
        let consequence = "Tokens look expired, or made in the future, and everybody is refused.";
        return Ok(Finding::fault(saw, consequence, "timedatectl set-ntp true"));
    }
    Ok(Finding::ok(format!("{skew} s from the provider's")))
}

impl Facts<'_> {
    /// Goes on where the provider answered, with or without TLS.
    fn needs_answer(&self) -> Result<(), Finding> {
        self.needs("O1")?;
        match self.of("O2").state {
            super::report::State::NotApplicable => Ok(()),
            _ => self.needs("O2"),
        }
    }
}

/// Is the provider up? `None`: nobody asked.
pub(super) fn is_up(lines: &[super::report::Line]) -> Option<bool> {
    use super::report::State;
    let states: Vec<State> = lines
        .iter()
        .filter(|line| matches!(line.id, "O1" | "O2" | "O3" | "O4"))
        .map(|line| line.finding.state)
        .collect();
    match states.iter().max()? {
        State::Fault => Some(false),
        State::NotAsked => None,
        _ if states.iter().all(|state| *state == State::NotApplicable) => None,
        _ => Some(true),
    }
}
