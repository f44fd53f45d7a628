//! Every way in which a sign-in at the provider fails.

use super::entra::{Aadsts, About, EntraFault, GraphFault};
use super::http::{HttpError, UrlFault};
use super::id_token::TokenFault;
use super::introspection::IntrospectionFault;
use super::verified::ClaimFault;
use std::fmt;
use std::time::Duration;

/// Which of the provider's addresses an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointName {
    /// `/.well-known/openid-configuration`.
    Discovery,
    /// RFC 8628 §3.1.
    DeviceAuthorization,
    /// RFC 6749 §3.2.
    Token,
    /// `jwks_uri`.
    KeySet,
    /// RFC 7662 §2.
    Introspection,
    /// OpenID Connect Core §5.3.
    UserInfo,
    /// Microsoft Graph.
    Graph,
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discovery => "discovery",
            Self::DeviceAuthorization => "device authorization endpoint",
            Self::Token => "token endpoint",
            Self::KeySet => "key set",
            Self::Introspection => "introspection endpoint",
            Self::UserInfo => "userinfo endpoint",
            Self::Graph => "Microsoft Graph",
        })
    }
}

/// Who ended the wait for the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiredBy {
    /// The provider: `expired_token`.
    Provider,
    /// `expires_in` of the device authorization answer.
    Lifetime,
    /// The time this login was given.
    Deadline,
}

impl fmt::Display for ExpiredBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Provider => "the provider says that the code has expired",
            Self::Lifetime => "the code's lifetime is over",
            Self::Deadline => "the time for this login is over",
        })
    }
}

/// Why nobody is signed in. `Display` is the line for the log: no token, no code, no secret; what the provider wrote is
/// printable and cut.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// No answer from an endpoint.
    #[error("{endpoint}: {source}")]
    Http {
        /// Which.
        endpoint: EndpointName,
        /// Why.
        source: HttpError,
    },
    /// No client could be made.
    #[error(transparent)]
    Connect(HttpError),
    /// An endpoint answered with an OAuth error code that no waiting mends (RFC 6749 §5.2).
    #[error("{endpoint}: the provider refuses the request: {code}{description}")]
    Refused {
        /// Which endpoint.
        endpoint: EndpointName,
        /// The code, such as `invalid_client`.
        code: String,
        /// Empty, or what the provider says about it, in brackets.
        description: String,
    },
    /// Microsoft Entra ID answered with an error of its own whose cause and remedy are known.
    #[error("{endpoint}: {error}")]
    Aadsts {
        /// Which endpoint.
        endpoint: EndpointName,
        /// Which error.
        error: Aadsts,
    },
    /// An endpoint answered with something else than its standard says.
    #[error("{endpoint}: status {status}, and {missing} in the answer")]
    Answer {
        /// Which endpoint.
        endpoint: EndpointName,
        /// Its status code.
        status: u16,
        /// What was looked for in vain.
        missing: &'static str,
    },
    /// An address, configured or discovered, that may not be asked.
    #[error("{key} {fault}")]
    Url {
        /// The key of the configuration or of the discovery document.
        key: &'static str,
        /// Why.
        fault: UrlFault,
    },
    /// An address that is neither configured nor discovered.
    #[error("{0}")]
    Missing(&'static str),
    /// The discovery document speaks for another issuer (OpenID Connect Discovery §4.3).
    #[error("discovery: the document is of issuer \"{found}\", and \"{configured}\" is configured")]
    Issuer {
        /// The configured issuer.
        configured: String,
        /// The document's own, printable and cut.
        found: String,
    },
    /// The person said no: `access_denied`.
    #[error("the person declined")]
    Denied,
    /// The person did not answer in time.
    #[error("nobody approved: {0}")]
    Expired(ExpiredBy),
    /// The id_token breaks a rule.
    #[error("id_token: {0}")]
    IdToken(#[from] TokenFault),
    /// The id_token is good, but Entra's tenant may not speak for this person here.
    #[error("id_token: {0}")]
    Entra(#[from] EntraFault),
    /// Microsoft Graph does not tell the groups.
    #[error("Microsoft Graph: {0}")]
    Graph(#[from] GraphFault),
    /// The introspection answer breaks a rule.
    #[error("introspection: {0}")]
    Introspection(#[from] IntrospectionFault),
    /// The verified answer does not say who the person is.
    #[error("claims: {0}")]
    Claims(#[from] ClaimFault),
}

/// What an error means for the login; the rows of the one outcome table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderErrorKind {
    /// The provider, or its keys, cannot be reached.
    Unreachable,
    /// The provider's certificate is not accepted.
    Certificate,
    /// The person declined.
    Denied,
    /// Nobody approved in time.
    Expired,
    /// The provider, or this machine's rules about the provider, do not let this person in.
    NotPermitted,
    /// A token or an answer that must not be believed.
    BadToken,
    /// An answer that is none, or too large, or leads elsewhere: is this address the provider's?
    BadAnswer,
    /// Something an administrator has to mend, here or at the provider.
    Misconfigured,
}

impl ProviderError {
    /// What it means for the login.
    #[must_use]
    pub fn kind(&self) -> ProviderErrorKind {
        use ProviderErrorKind as Kind;
        match self {
            Self::Http { source, .. } | Self::Connect(source) => match source {
                HttpError::Certificate { .. } => Kind::Certificate,
                HttpError::Unreachable { .. } => Kind::Unreachable,
                HttpError::Protocol { .. } => Kind::BadAnswer,
                HttpError::Roots { .. } | HttpError::NoRoots | HttpError::Client(_) => Kind::Misconfigured,
            },
            // RFC 6749 §5.2: the grant, here the device code, is "invalid, expired, revoked".
            Self::Refused { endpoint: EndpointName::Token, code, .. } if code == "invalid_grant" => {
                Kind::Expired
            }
            Self::Answer { status, .. } if !matches!(status, 401 | 403) => Kind::BadAnswer,
            Self::Answer { .. }
            | Self::Refused { .. }
            | Self::Url { .. }
            | Self::Missing(_)
            | Self::Graph(_)
            | Self::Issuer { .. } => Kind::Misconfigured,
            Self::Aadsts { error, .. } => match error.about() {
                About::Application => Kind::Misconfigured,
                About::Person => Kind::NotPermitted,
                About::Code => Kind::Expired,
            },
            Self::Entra(_) => Kind::NotPermitted,
            Self::Denied => Kind::Denied,
            Self::Expired(_) => Kind::Expired,
            Self::IdToken(_) | Self::Introspection(_) | Self::Claims(_) => Kind::BadToken,
        }
    }

    /// Is it worth a second try, and how long does the provider ask to wait before?
    pub(super) fn retry(&self) -> Option<Duration> {
        match self {
            Self::Http { source: HttpError::Unreachable { retry_after, .. }, .. } => {
                Some(retry_after.unwrap_or_default())
            }
            _ => None,
        }
    }
}
