//! The two steps of a sign-in.

mod survey;

pub use survey::Addresses;

use super::Settings;
use super::device_flow::{self, DeviceGrant};
use super::discovery::{self, Endpoints, Proof};
use super::entra::{self, Trust};
use super::error::{EndpointName, ProviderError};
use super::exchange::{Exchange, object};
use super::http::{Connect, Endpoint};
use super::id_token::{self, Expected, IssuerRule, TokenFault, Verified};
use super::introspection;
use super::jwks::KeySet;
use super::userinfo;
use super::verified::{self, ClaimFault, ClaimMap, VerifiedClaims};
use serde_json::Value;
use shared::clock::Clock;
use shared::identity::claims::Claims;
use shared::types::{Issuer, Secret};
use std::time::Duration;

/// How long the verification of a token may take that nobody waits to sign in with.
const PATIENCE: Duration = Duration::from_secs(30);

/// The provider, as one login sees it. Holds no connection: each step makes its own and closes it.
#[derive(Clone, Copy)]
pub struct Provider<'a> {
    settings: &'a Settings,
    connect: &'a dyn Connect,
    clock: &'a dyn Clock,
}

/// Who signs id_tokens.
#[derive(Clone, Copy)]
struct Signer<'a> {
    keys: &'a Endpoint,
    issuer: IssuerRule<'a>,
    /// See [`Expected`].
    backdating: u64,
}

/// The tokens that there are to prove somebody by. A login always has an access token.
#[derive(Clone, Copy)]
struct Given<'a> {
    id_token: Option<&'a Secret>,
    access_token: Option<&'a Secret>,
}

impl<'a> Provider<'a> {
    /// The provider of `settings`. Nothing is sent yet.
    #[must_use]
    pub fn new(settings: &'a Settings, connect: &'a dyn Connect, clock: &'a dyn Clock) -> Self {
        Self { settings, connect, clock }
    }

    /// Finds the endpoints and asks for a code (RFC 8628 §3.1).
    ///
    /// # Errors
    /// The provider cannot be reached, refuses this client, or answers what cannot be used. Nothing is tried twice.
    pub fn start(&self) -> Result<DeviceGrant, ProviderError> {
        let started = self.clock.unix_seconds();
        let exchange = Exchange::open(self.connect, self.clock, None)?;
        let endpoints = discovery::find(&exchange, self.settings)?;
        device_flow::authorize(&exchange, self.settings, endpoints, started)
    }

    /// Waits until the person has approved (RFC 8628 §3.5) and verifies who it is, at most until `deadline` on the
    /// monotonic clock. The first poll is sent at once if `interval` has passed since [`Self::start`].
    ///
    /// # Errors
    /// The person declined, nobody approved in time, the provider cannot be reached until then, its certificate is not
    /// accepted (ends at once), it refuses the request, or what it says must not be believed.
    pub fn poll(&self, grant: &DeviceGrant, deadline: Duration) -> Result<VerifiedClaims, ProviderError> {
        let exchange = Exchange::open(self.connect, self.clock, Some(deadline))?;
        let tokens = device_flow::poll(&exchange, self.settings, grant, deadline)?;
        let given = Given { id_token: tokens.id_token.as_ref(), access_token: Some(&tokens.access_token) };
        self.prove(&exchange, &grant.endpoints, grant.started, given)
    }

    /// Verifies a token that an administrator has got hold of: an id_token, or, where introspection validates, an access
    /// token. The rules are those of a login but for its age, since no login began. What a login would ask for with an
    /// access token (userinfo, groups that did not fit) is not asked for here. Nobody can be admitted with the result.
    ///
    /// # Errors
    /// As [`Self::poll`].
    pub fn verify(&self, token: &Secret) -> Result<Claims, ProviderError> {
        let deadline = self.clock.monotonic().saturating_add(PATIENCE);
        let exchange = Exchange::open(self.connect, self.clock, Some(deadline))?;
        let endpoints = discovery::find(&exchange, self.settings)?;
        let given = match &endpoints.proof {
            Proof::Introspection(_) => Given { id_token: None, access_token: Some(token) },
            Proof::IdToken { .. } | Proof::Entra { .. } => {
                Given { id_token: Some(token), access_token: None }
            }
        };
        Ok(self.prove(&exchange, &endpoints, 0, given)?.claims().clone())
    }

    /// `started`: when the login began, in seconds since 1970.
    fn prove(
        &self,
        exchange: &Exchange<'_>,
        endpoints: &Endpoints,
        started: u64,
        given: Given<'_>,
    ) -> Result<VerifiedClaims, ProviderError> {
        match &endpoints.proof {
            Proof::IdToken { issuer, keys, userinfo } => {
                let rule = |token: &Verified| id_token::is_from(token, issuer.as_str());
                let signer = Signer { keys, issuer: &rule, backdating: 0 };
                let token = self.by_id_token(exchange, started, given.id_token, signer)?;
                let more = userinfo.as_ref().zip(given.access_token);
                self.identify(exchange, issuer, &token.claims, more)
            }
            Proof::Entra { trust, keys } => {
                let rule = |token: &Verified| trust.tenant(token).map(drop);
                let signer = Signer { keys, issuer: &rule, backdating: entra::BACKDATING };
                let token = self.by_id_token(exchange, started, given.id_token, signer)?;
                self.identify_at_entra(exchange, trust, &token, given.access_token)
            }
            Proof::Introspection(url) => {
                let token = given.access_token.ok_or(TokenFault::Absent)?;
                self.by_introspection(exchange, endpoints, token, url)
            }
        }
    }

    fn by_id_token(
        &self,
        exchange: &Exchange<'_>,
        started: u64,
        token: Option<&Secret>,
        signer: Signer<'_>,
    ) -> Result<Verified, ProviderError> {
        let token = token.ok_or(TokenFault::Absent)?;
        let verify = || -> Result<Result<Verified, TokenFault>, ProviderError> {
            let keys = KeySet::fetch(exchange, signer.keys)?;
            let now = self.clock.unix_seconds();
            let client_id = &self.settings.client_id;
            let Signer { issuer, backdating, .. } = signer;
            let expected = Expected { issuer, client_id, started, backdating, now };
            Ok(id_token::verify(token.expose(), &keys, &expected))
        };
        match verify()? {
            // The provider may be changing its keys at this moment. Once, or a made-up kid would cost it a request each.
            Err(TokenFault::UnknownKey) => Ok(verify()??),
            verdict => Ok(verdict?),
        }
    }

    /// Who Entra's id_token is about: (`tid`, `oid`), for `sub` differs from application to application.
    fn identify_at_entra(
        &self,
        exchange: &Exchange<'_>,
        trust: &Trust,
        token: &Verified,
        access_token: Option<&Secret>,
    ) -> Result<VerifiedClaims, ProviderError> {
        let Settings { username_claims, groups_claim, entra, needs_groups, .. } = self.settings;
        let claims = &token.claims;
        let (issuer, subject, username) = person_of_entra(trust, token, username_claims)?;
        let groups = match (entra, access_token) {
            (Some(entra), Some(access_token)) if *needs_groups && entra::overage(claims, groups_claim) => {
                entra::groups(exchange, entra, access_token)?
            }
            _ => self.groups(claims),
        };
        Ok(verified::assemble(issuer, subject, username, groups)?)
    }

    /// Who the id_token is about. Where it does not hold a username, userinfo may; the two are never mixed in one claim,
    /// or the `email_verified` of one could vouch for the `email` of the other.
    fn identify(
        &self,
        exchange: &Exchange<'_>,
        issuer: &Issuer,
        claims: &ClaimMap,
        userinfo: Option<(&Endpoint, &Secret)>,
    ) -> Result<VerifiedClaims, ProviderError> {
        let Settings { username_claims, groups_claim, .. } = self.settings;
        let subject = claims.get("sub").and_then(Value::as_str).ok_or(TokenFault::Claim("sub"))?;
        let more = match (verified::username(claims, username_claims), userinfo) {
            (None, Some((url, access_token))) => userinfo::fetch(exchange, url, access_token, subject)?,
            _ => ClaimMap::new(),
        };
        let username = verified::username(claims, username_claims)
            .or_else(|| verified::username(&more, username_claims))
            .ok_or_else(|| ClaimFault::Username(username_claims.join(", ")))?;
        let source = if verified::claim_at(claims, groups_claim).is_some() { claims } else { &more };
        let groups = self.groups(source);
        Ok(verified::assemble(issuer.clone(), subject, username, groups)?)
    }

    /// The groups in the claims. Their absence takes groups away that somebody had, which may be meant, or a change at the
    /// provider that nobody thought of.
    fn groups(&self, claims: &ClaimMap) -> Vec<String> {
        let Settings { groups_claim, needs_groups, .. } = self.settings;
        if *needs_groups && verified::claim_at(claims, groups_claim).is_none() {
            log::warn!(
                "the provider sends no claim {groups_claim:?}: the person counts as being in no group"
            );
        }
        verified::groups(claims, groups_claim)
    }

    fn by_introspection(
        &self,
        exchange: &Exchange<'_>,
        endpoints: &Endpoints,
        access_token: &Secret,
        url: &Endpoint,
    ) -> Result<VerifiedClaims, ProviderError> {
        let endpoint = EndpointName::Introspection;
        let fields = vec![
            ("token", access_token.clone()),
            ("token_type_hint", Secret::new("access_token".to_owned())),
        ];
        let request = endpoints.auth.post(self.settings, url, fields);
        let response = exchange.send_persistently(endpoint, &request)?;
        let answer = object(endpoint, &request, &response)?;
        introspection::verify(&answer, self.settings, &endpoints.token, self.clock.unix_seconds())
    }
}

/// Issuer, subject and name of whom Entra's token is about.
pub(super) fn person_of_entra<'a>(
    trust: &Trust,
    token: &'a Verified,
    username_claims: &[String],
) -> Result<(Issuer, &'a str, &'a str), ProviderError> {
    let claims = &token.claims;
    let tenant = trust.tenant(token)?;
    let subject = claims.get("oid").and_then(Value::as_str).ok_or(TokenFault::Claim("oid"))?;
    let username = verified::username(claims, username_claims)
        .ok_or_else(|| ClaimFault::Username(username_claims.join(", ")))?;
    trust.admits(&tenant, claims, username)?;
    let issuer = Issuer::parse(&trust.issuer_of(&tenant)).map_err(ClaimFault::from)?;
    Ok((issuer, subject, username))
}

#[cfg(test)]
mod tests;
