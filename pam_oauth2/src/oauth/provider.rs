//! The two steps of a sign-in.

use super::Settings;
use super::device_flow::{self, DeviceGrant, Tokens};
use super::discovery::{self, Proof};
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
use shared::types::{Issuer, Secret};
use std::time::Duration;

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
        match &grant.endpoints.proof {
            Proof::IdToken { issuer, keys, userinfo } => {
                let rule = |token: &Verified| id_token::is_from(token, issuer.as_str());
                let signer = Signer { keys, issuer: &rule, backdating: 0 };
                let token = self.by_id_token(&exchange, grant, &tokens, signer)?;
                self.identify(&exchange, issuer, &token.claims, &tokens.access_token, userinfo.as_ref())
            }
            Proof::Entra { trust, keys } => {
                let rule = |token: &Verified| trust.tenant(token).map(drop);
                let signer = Signer { keys, issuer: &rule, backdating: entra::BACKDATING };
                let token = self.by_id_token(&exchange, grant, &tokens, signer)?;
                self.identify_at_entra(&exchange, trust, &token, &tokens.access_token)
            }
            Proof::Introspection(url) => self.by_introspection(&exchange, grant, &tokens.access_token, url),
        }
    }

    fn by_id_token(
        &self,
        exchange: &Exchange<'_>,
        grant: &DeviceGrant,
        tokens: &Tokens,
        signer: Signer<'_>,
    ) -> Result<Verified, ProviderError> {
        let token = tokens.id_token.as_ref().ok_or(TokenFault::Absent)?;
        let verify = || -> Result<Result<Verified, TokenFault>, ProviderError> {
            let keys = KeySet::fetch(exchange, signer.keys)?;
            let now = self.clock.unix_seconds();
            let client_id = &self.settings.client_id;
            let Signer { issuer, backdating, .. } = signer;
            let expected = Expected { issuer, client_id, started: grant.started, backdating, now };
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
        access_token: &Secret,
    ) -> Result<VerifiedClaims, ProviderError> {
        let Settings { username_claims, groups_claim, entra, needs_groups, .. } = self.settings;
        let claims = &token.claims;
        let tenant = trust.tenant(token)?;
        let subject = claims.get("oid").and_then(Value::as_str).ok_or(TokenFault::Claim("oid"))?;
        let username = verified::username(claims, username_claims)
            .ok_or_else(|| ClaimFault::Username(username_claims.join(", ")))?;
        trust.admits(&tenant, claims, username)?;
        let groups = match entra {
            Some(entra) if *needs_groups && entra::overage(claims, groups_claim) => {
                entra::groups(exchange, entra, access_token)?
            }
            _ => self.groups(claims),
        };
        let issuer = Issuer::parse(&trust.issuer_of(&tenant)).map_err(ClaimFault::from)?;
        Ok(verified::assemble(issuer, subject, username, groups)?)
    }

    /// Who the id_token is about. Where it does not hold a username, userinfo may; the two are never mixed in one claim,
    /// or the `email_verified` of one could vouch for the `email` of the other.
    fn identify(
        &self,
        exchange: &Exchange<'_>,
        issuer: &Issuer,
        claims: &ClaimMap,
        access_token: &Secret,
        userinfo: Option<&Endpoint>,
    ) -> Result<VerifiedClaims, ProviderError> {
        let Settings { username_claims, groups_claim, .. } = self.settings;
        let subject = claims.get("sub").and_then(Value::as_str).ok_or(TokenFault::Claim("sub"))?;
        let more = match (verified::username(claims, username_claims), userinfo) {
            (None, Some(url)) => userinfo::fetch(exchange, url, access_token, subject)?,
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
        grant: &DeviceGrant,
        access_token: &Secret,
        url: &Endpoint,
    ) -> Result<VerifiedClaims, ProviderError> {
        let endpoint = EndpointName::Introspection;
        let fields = vec![
            ("token", access_token.clone()),
            ("token_type_hint", Secret::new("access_token".to_owned())),
        ];
        let request = grant.endpoints.auth.post(self.settings, url, fields);
        let response = exchange.send_persistently(endpoint, &request)?;
        let answer = object(endpoint, &request, &response)?;
        introspection::verify(&answer, self.settings, &grant.endpoints.token, self.clock.unix_seconds())
    }
}

#[cfg(test)]
mod tests;
