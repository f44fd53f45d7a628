//! Where the provider's endpoints are: configured, or discovered (OpenID Connect Discovery §4, RFC 8414).

use super::client_auth::ClientAuth;
use super::error::{EndpointName, ProviderError};
use super::exchange::Exchange;
use super::http::{BODY_LIMIT, Endpoint, Request};
use super::{Settings, Validation};
use serde::Deserialize;
use shared::text::printable;
use shared::types::Issuer;

/// Everything a login asks, known before it starts: a login that could not be verified must not bother the person.
#[derive(Clone, Debug)]
pub(super) struct Endpoints {
    pub(super) device: Endpoint,
    pub(super) token: Endpoint,
    pub(super) proof: Proof,
    pub(super) auth: ClientAuth,
}

/// Where the proof of who signed in comes from.
#[derive(Clone, Debug)]
pub(super) enum Proof {
    /// The id_token of this issuer, under the keys at this address.
    IdToken { issuer: Issuer, keys: Endpoint },
    /// The provider's answer at this address.
    Introspection(Endpoint),
}

/// The members of the discovery document that matter here.
#[derive(Default, Deserialize)]
struct Document {
    issuer: String,
    device_authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    introspection_endpoint: Option<String>,
    jwks_uri: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// The endpoints of `settings`; the discovery document, where there is an issuer, fills those not given.
///
/// # Errors
/// The document cannot be had or is another issuer's, or an endpoint is missing or may not be asked.
pub(super) fn find(exchange: &Exchange<'_>, settings: &Settings) -> Result<Endpoints, ProviderError> {
    let document = match &settings.issuer {
        Some(issuer) => fetch(exchange, issuer)?,
        None => Document::default(),
    };
    resolve(settings, document)
}

fn fetch(exchange: &Exchange<'_>, issuer: &Issuer) -> Result<Document, ProviderError> {
    // §4.1: a final slash goes before the well-known path is appended.
    let base = issuer.as_str().trim_end_matches('/');
    let url = Endpoint::parse(&format!("{base}/.well-known/openid-configuration"))
        .map_err(|fault| ProviderError::Url { key: "issuer", fault })?;
    let endpoint = EndpointName::Discovery;
    let response = exchange.send(endpoint, &Request::get(url, BODY_LIMIT))?;
    let answer = |missing| ProviderError::Answer { endpoint, status: response.status(), missing };
    if !response.is_success() {
        return Err(answer("no discovery document"));
    }
    let document: Document = response.json().ok_or_else(|| answer("no discovery document"))?;
    // §4.3: "MUST exactly match". Otherwise one provider could speak for another.
    if document.issuer != issuer.as_str() {
        return Err(ProviderError::Issuer {
            configured: issuer.as_str().to_owned(),
            found: printable(&document.issuer, 255),
        });
    }
    Ok(document)
}

fn resolve(settings: &Settings, document: Document) -> Result<Endpoints, ProviderError> {
    let auth = ClientAuth::choose(settings, document.token_endpoint_auth_methods_supported.as_deref());
    Ok(Endpoints {
        device: pick(
            ("oauth_device_url", settings.device_url.as_deref()),
            ("device_authorization_endpoint", document.device_authorization_endpoint.as_deref()),
            "no oauth_device_url is configured, and discovery knows no device_authorization_endpoint: \
             the provider offers no device authorization, or not under this issuer",
        )?,
        token: pick(
            ("oauth_token_url", settings.token_url.as_deref()),
            ("token_endpoint", document.token_endpoint.as_deref()),
            "no oauth_token_url is configured, and discovery knows no token_endpoint",
        )?,
        proof: match settings.validation {
            Validation::Introspection => Proof::Introspection(pick(
                ("oauth_token_introspect_url", settings.introspection_url.as_deref()),
                ("introspection_endpoint", document.introspection_endpoint.as_deref()),
                "no oauth_token_introspect_url is configured, and discovery knows no introspection_endpoint",
            )?),
            Validation::IdToken => Proof::IdToken {
                issuer: settings.issuer.clone().ok_or(ProviderError::Missing(
                    "id_token validation needs an issuer, and none is configured",
                ))?,
                keys: pick(
                    ("", None),
                    ("jwks_uri", document.jwks_uri.as_deref()),
                    "discovery knows no jwks_uri",
                )?,
            },
        },
        auth,
    })
}

/// The configured address, else the discovered one; each is named in its error by the key it stands under.
fn pick(
    configured: (&'static str, Option<&str>),
    discovered: (&'static str, Option<&str>),
    missing: &'static str,
) -> Result<Endpoint, ProviderError> {
    let (key, url) = match (configured, discovered) {
        ((key, Some(url)), _) | (_, (key, Some(url))) => (key, url),
        _ => return Err(ProviderError::Missing(missing)),
    };
    Endpoint::parse(url).map_err(|fault| ProviderError::Url { key, fault })
}
