//! Sign-in at the provider: OAuth 2.0 Device Authorization Grant (RFC 8628), then proof of who signed in, by the
//! id_token (OpenID Connect Core §3.1.3.7) or by token introspection (RFC 7662).
//!
//! [`Provider::start`] asks for a code, the caller shows it to the person, [`Provider::poll`] waits for the approval and
//! returns [`VerifiedClaims`], which nothing outside this module can make. The requests and the poll loop are our own and
//! the crate `oauth2` reads the answers: its own loop takes a bad certificate for an outage, ends on one 503, and
//! overflows on a large interval.

mod client_auth;
mod device_flow;
mod discovery;
mod entra;
mod error;
mod exchange;
mod http;
mod https;
mod id_token;
mod introspection;
mod jwks;
mod presumed;
mod provider;
mod userinfo;
mod verified;

#[cfg(test)]
mod test_keys;
#[cfg(test)]
pub(crate) mod test_support;

pub use device_flow::DeviceGrant;
pub use entra::{Aadsts, About, EntraFault, GraphFault};
pub use error::{EndpointName, ExpiredBy, ProviderError, ProviderErrorKind};
pub use http::{
    BODY_LIMIT, Basic, Connect, Endpoint, Http, HttpError, KEY_SET_LIMIT, Outage, ProtocolFault, Request,
    Response, UrlFault,
};
pub use https::{HttpsConnector, Roots};
pub use id_token::TokenFault;
pub use introspection::IntrospectionFault;
pub use presumed::{Presumed, groups_are_elsewhere, payload, presume};
pub use provider::{Addresses, Provider};
pub use verified::{ClaimFault, VerifiedClaims};

use shared::config::Entra;
pub use shared::config::Validation;
use shared::types::{Issuer, Secret};

/// What the configuration says about the provider.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This machine's client id at the provider.
    pub client_id: String,
    /// Its secret; a public client has none.
    pub client_secret: Option<Secret>,
    /// The issuer, byte by byte as the provider writes it. Where there is one, discovery fills the endpoints not given.
    pub issuer: Option<Issuer>,
    /// Microsoft Entra ID instead of an issuer.
    pub entra: Option<Entra>,
    /// Device authorization endpoint (`oauth_device_url`).
    pub device_url: Option<String>,
    /// Token endpoint (`oauth_token_url`).
    pub token_url: Option<String>,
    /// Introspection endpoint (`oauth_token_introspect_url`).
    pub introspection_url: Option<String>,
    /// Scopes to ask for.
    pub scopes: Vec<String>,
    /// What proves who signed in.
    pub validation: Validation,
    /// Claims that may hold the username, best first; dots lead into objects.
    pub username_claims: Vec<String>,
    /// The claim with the groups: an array of strings or one string; dots lead into objects.
    pub groups_claim: String,
    /// Groups decide something here (`allowed_groups`, `group_map`): they are worth a request of their own.
    pub needs_groups: bool,
    /// Introspection only: an answer without `sub` is about the person its username names.
    pub subject_from_username: bool,
}
