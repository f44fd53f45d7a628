//! One request, one answer: what the rest of this module needs of HTTP, and how it fails.
//!
//! The transport itself is behind two traits, so that everything else is tested without a network. A [`Connect`]
//! makes a client, a client lives for one step of a login and is dropped at its end: sshd forks around PAM, and neither a
//! thread nor a descriptor may outlive a call (rule 10).

mod date;

use oauth2::url::form_urlencoded::byte_serialize;
use oauth2::url::{Host, Url};
use serde::de::DeserializeOwned;
use shared::text::printable;
use shared::types::Secret;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// Largest answer that is read, in bytes (rule 6).
pub const BODY_LIMIT: usize = 256 * 1024;

/// Largest key set that is read, in bytes (rule 6).
pub const KEY_SET_LIMIT: usize = 1024 * 1024;

/// Longest address that is shown to a person, in bytes.
const ADDRESS_MAX: usize = 1024;

/// Longest wait a provider can ask for with `Retry-After`.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Makes the client for one step.
pub trait Connect {
    /// # Errors
    /// The trust roots cannot be read, or the client cannot be made.
    fn connect(&self) -> Result<Box<dyn Http + '_>, HttpError>;
}

/// Sends requests, over one connection where the provider keeps it open.
pub trait Http {
    /// # Errors
    /// [`HttpError`]. An answer of any status is `Ok` here.
    fn send(&self, request: &Request) -> Result<Response, HttpError>;
}

/// An address that may be asked: `https`, or `http` to this very machine (rule 6); no user, password or fragment in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Url);

/// Why an address may not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlFault {
    /// No absolute URL.
    #[error("is no absolute URL")]
    Syntax,
    /// Anything but `https`, or `http` to a loopback address.
    #[error("must begin with https:// (http:// is for loopback addresses only)")]
    Scheme,
    /// `https://user:password@host`.
    #[error("must not hold a user or a password")]
    Userinfo,
    /// `https://host/path#fragment`.
    #[error("must not hold a fragment")]
    Fragment,
    /// Too long to be shown to a person.
    #[error("is longer than 1024 bytes")]
    TooLong,
}

impl Endpoint {
    /// # Errors
    /// The text is no URL that may be asked; [`UrlFault`] says why.
    pub fn parse(text: &str) -> Result<Self, UrlFault> {
        let url = parse_url(text)?;
        if url.fragment().is_some() {
            return Err(UrlFault::Fragment);
        }
        Ok(Self(url))
    }

    /// The URL, in ASCII.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The host's name or address, for messages.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Scheme and host, and the port where it is not the scheme's own: `https://login.example.com`.
    #[must_use]
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }
}

/// An address to show to a person, in ASCII; as secure as an [`Endpoint`], but a fragment may lead to a page.
pub(super) fn web_address(text: &str) -> Result<String, UrlFault> {
    let address = parse_url(text)?.to_string();
    if address.len() > ADDRESS_MAX { Err(UrlFault::TooLong) } else { Ok(printable(&address, ADDRESS_MAX)) }
}

fn parse_url(text: &str) -> Result<Url, UrlFault> {
    let url = Url::parse(text).map_err(|_| UrlFault::Syntax)?;
    let allowed = match url.scheme() {
        "https" => url.host().is_some(),
        "http" => url.host().is_some_and(|host| is_loopback(&host)),
        _ => false,
    };
    if !allowed {
        return Err(UrlFault::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlFault::Userinfo);
    }
    Ok(url)
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(name) => *name == "localhost",
    }
}

/// The credentials of a client for HTTP Basic authentication.
#[derive(Clone, Debug)]
pub struct Basic {
    /// The client id.
    pub client_id: String,
    /// The client secret.
    pub secret: Secret,
}

impl Basic {
    /// User and password: RFC 6749 §2.3.1 form-encodes both before HTTP joins them.
    #[must_use]
    pub fn encoded(&self) -> (String, Secret) {
        let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        (encode(&self.client_id), Secret::new(encode(self.secret.expose())))
    }
}

/// A GET, or a POST of a form. Its `Debug` shows names of fields only: the values are codes, tokens and secrets.
#[derive(Clone)]
pub struct Request {
    url: Endpoint,
    form: Option<Vec<(&'static str, Secret)>>,
    basic: Option<Basic>,
    bearer: Option<Secret>,
    limit: usize,
    timeout: Option<Duration>,
}

impl Request {
    /// A GET, for an answer of at most `limit` bytes.
    #[must_use]
    pub fn get(url: Endpoint, limit: usize) -> Self {
        Self { url, form: None, basic: None, bearer: None, limit, timeout: None }
    }

    /// A GET with a Bearer token (RFC 6750 §2.1).
    #[must_use]
    pub fn get_as(url: Endpoint, token: Secret) -> Self {
        Self { bearer: Some(token), ..Self::get(url, BODY_LIMIT) }
    }

    /// A POST of `fields`, with HTTP Basic authentication when `basic` is given.
    #[must_use]
    pub fn post(url: Endpoint, fields: Vec<(&'static str, Secret)>, basic: Option<Basic>) -> Self {
        Self { url, form: Some(fields), basic, bearer: None, limit: BODY_LIMIT, timeout: None }
    }

    /// The same request, to be given up after `timeout` where that is shorter than the client's own.
    #[must_use]
    pub fn within(&self, timeout: Option<Duration>) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// The address.
    #[must_use]
    pub fn url(&self) -> &Endpoint {
        &self.url
    }

    /// The fields of the form; `None` for a GET.
    #[must_use]
    pub fn form(&self) -> Option<&[(&'static str, Secret)]> {
        self.form.as_deref()
    }

    /// One field of the form.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.form()?.iter().find(|(field, _)| *field == name).map(|(_, value)| value.expose())
    }

    /// The credentials for HTTP Basic authentication.
    #[must_use]
    pub fn basic(&self) -> Option<&Basic> {
        self.basic.as_ref()
    }

    /// The Bearer token.
    #[must_use]
    pub fn bearer(&self) -> Option<&Secret> {
        self.bearer.as_ref()
    }

    /// Bytes of an answer that are read before it counts as too large.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// When to give up, where that is sooner than the client's own total time.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Option<Vec<_>> = self.form().map(|form| form.iter().map(|(name, _)| *name).collect());
        f.debug_struct("Request")
            .field("url", &self.url.as_str())
            .field("form", &fields)
            .finish_non_exhaustive()
    }
}

/// An answer of any status. Its `Debug` never shows the body, which may hold tokens; the body is wiped when dropped.
pub struct Response {
    status: u16,
    retry_after: Option<Duration>,
    date: Option<u64>,
    body: Zeroizing<Vec<u8>>,
}

impl Response {
    /// An answer with this status and body.
    #[must_use]
    pub fn new(status: u16, body: Vec<u8>) -> Self {
        Self { status, retry_after: None, date: None, body: Zeroizing::new(body) }
    }

    /// The same answer with the seconds of its `Retry-After` header (RFC 9110 §10.2.3), cut to a minute.
    #[must_use]
    pub fn with_retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX)), ..self }
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON; `None` where it is not what `T` asks for. The reason is left out: serde quotes the input, and does
    /// not look whether members that nobody asks for are UTF-8 (RFC 8259 §8.1).
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(std::str::from_utf8(&self.body).ok()?).ok()
    }

    /// Sorts out what no endpoint of ours answers with: a busy or broken server, and redirects, which are never followed
    /// (a form with a secret in it would go wherever the answer points).
    pub(super) fn settle(self, host: &str) -> Result<Self, HttpError> {
        let host = host.to_owned();
        match self.status {
            408 | 429 | 500..=599 => Err(HttpError::Unreachable {
                host,
                fault: Outage::Status(self.status),
                retry_after: self.retry_after,
            }),
            300..=399 => Err(HttpError::Protocol { host, fault: ProtocolFault::Redirect(self.status) }),
            _ => Ok(self),
        }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The file of trusted certificate authorities cannot be read.
    #[error("trusted certificate authorities: {path}: {source}")]
    Roots {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file of trusted certificate authorities has no usable certificate.
    #[error("trusted certificate authorities: no usable certificate")]
    NoRoots,
    /// The client cannot be made with these settings.
    #[error("the HTTP client cannot be made: {0}")]
    Client(&'static str),
    /// The provider's certificate is not accepted: not worth a second try, and never to be passed over.
    #[error("the certificate of {host} is not accepted: {reason}")]
    Certificate {
        /// Who showed it.
        host: String,
        /// Printable, at most 200 bytes.
        reason: String,
    },
    /// No answer at all, or one that says "later": worth a second try.
    #[error("{host} cannot be reached: {fault}")]
    Unreachable {
        /// Who was asked.
        host: String,
        /// How it failed.
        fault: Outage,
        /// What the provider asks to wait, at most a minute.
        retry_after: Option<Duration>,
    },
    /// An answer that cannot be taken: not worth a second try.
    #[error("{host} {fault}")]
    Protocol {
        /// Who was asked.
        host: String,
        /// What was wrong.
        fault: ProtocolFault,
    },
}

impl HttpError {
    pub(super) fn certificate(host: &str, reason: &str) -> Self {
        Self::Certificate { host: host.to_owned(), reason: printable(reason, 200) }
    }

    pub(super) fn unreachable(host: &str, fault: Outage) -> Self {
        Self::Unreachable { host: host.to_owned(), fault, retry_after: None }
    }
}

/// A fault that may be gone a moment later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Outage {
    /// The name does not resolve.
    #[error("its name does not resolve")]
    Name,
    /// No connection: refused, no route, reset in the handshake.
    #[error("no connection")]
    Connection,
    /// The connection broke before the answer was complete.
    #[error("the connection broke")]
    Broken,
    /// No answer in time.
    #[error("no answer in time")]
    Time,
    /// 408, 429 or 5xx.
    #[error("status {0}")]
    Status(u16),
}

/// A fault that stays until somebody changes something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolFault {
    /// 3xx.
    #[error("redirects (status {0}), which is not followed; configure the final address")]
    Redirect(u16),
    /// More bytes than allowed.
    #[error("sends more than {0} bytes")]
    TooLarge(usize),
    /// Speaks no TLS, or none that is still secure. Printable, at most 200 bytes.
    #[error("and this machine agree on no TLS: {0}")]
    Tls(String),
}

#[cfg(test)]
mod tests;
