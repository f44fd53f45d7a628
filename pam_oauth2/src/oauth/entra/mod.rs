//! Microsoft Entra ID: the v2.0 endpoints of a tenant, whom its tokens may speak for, and groups that did not fit into a
//! token. Rule 2 of the design.

mod aadsts;
mod graph;
mod rules;

pub use aadsts::{Aadsts, About};
pub use graph::GraphFault;
pub use rules::EntraFault;

pub(super) use aadsts::of as aadsts;
pub(super) use rules::{Trust, overage};

use super::Settings;
use super::client_auth::ClientAuth;
use super::discovery::{Endpoints, Proof, given};
use super::error::{EndpointName, ProviderError};
use super::exchange::{Exchange, fetch_document};
use super::http::{Endpoint, UrlFault};
use super::verified::ClaimMap;
use serde::Deserialize;
use shared::config::{Entra, Tenant, TenantId};
use shared::types::Secret;

/// Entra dates `iat` and `nbf` five minutes back, in seconds. (Seen on every token and in Microsoft's samples, whose `exp`
/// is 3900 s after `iat` where `expires_in` says 3599; documented nowhere.)
pub(super) const BACKDATING: u64 = 300;

/// The endpoints of the tenant. The ones written down come first: an earlier module's configuration has them.
///
/// # Errors
/// An address may not be asked, or the tenant's domain leads to no tenant.
pub(super) fn endpoints(
    exchange: &Exchange<'_>,
    settings: &Settings,
    entra: &Entra,
) -> Result<Endpoints, ProviderError> {
    let at = |path: &str| address(entra, path);
    let trust = match &entra.tenant {
        Tenant::Domain(_) if entra.allowed_tenants.is_empty() => {
            Trust::in_one(entra, discover(exchange, entra)?)
        }
        _ => Trust::of(entra),
    };
    Ok(Endpoints {
        device: given("oauth_device_url", settings.device_url.as_deref())
            .unwrap_or_else(|| at("oauth2/v2.0/devicecode"))?,
        token: given("oauth_token_url", settings.token_url.as_deref())
            .unwrap_or_else(|| at("oauth2/v2.0/token"))?,
        proof: Proof::Entra { trust, keys: at("discovery/v2.0/keys")? },
        // Microsoft documents both methods; this is the one its own libraries use.
        auth: if settings.client_secret.is_some() { ClientAuth::Post } else { ClientAuth::Public },
    })
}

/// The ids of the groups that the person is in, directly or through other groups.
///
/// # Errors
/// Graph cannot be reached, or refuses; a list that is not complete is never returned.
pub(super) fn groups(
    exchange: &Exchange<'_>,
    entra: &Entra,
    access_token: &Secret,
) -> Result<Vec<String>, ProviderError> {
    graph::groups(exchange, &entra.graph, access_token)
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
}

/// The id of the tenant that `tenant_id` names by a domain. It is Entra's own word, from the address that the keys come
/// from too.
fn discover(exchange: &Exchange<'_>, entra: &Entra) -> Result<TenantId, ProviderError> {
    let url = address(entra, "v2.0/.well-known/openid-configuration")?;
    let document: Document = fetch_document(exchange, url)?;
    let tenant = document
        .issuer
        .strip_prefix(&entra.issuer)
        .and_then(|rest| TenantId::parse(rest.strip_prefix('/')?.strip_suffix("/v2.0")?))
        .filter(|tenant| !tenant.is_personal());
    tenant.ok_or(ProviderError::Answer {
        endpoint: EndpointName::Discovery,
        status: 200,
        missing: "no issuer of one tenant of this azure_authority",
    })
}

fn address(entra: &Entra, path: &str) -> Result<Endpoint, ProviderError> {
    let text = format!("{}/{}/{path}", entra.authority, entra.tenant.as_str());
    Endpoint::parse(&text).map_err(|fault: UrlFault| ProviderError::Url { key: "azure_authority", fault })
}

/// A claim that is true, as JSON or as the text that v1.0 tokens hold.
fn is_true(claims: &ClaimMap, name: &str) -> bool {
    claims.get(name).is_some_and(|value| *value == true || value == "true")
}

#[cfg(test)]
mod graph_tests;
#[cfg(test)]
mod tests;
