//! The real transport: reqwest over rustls, with every default that depends on the host process replaced.
//!
//! A PAM module runs inside su and sudo, whose environment belongs to the person in front of them. Trust roots, proxy and
//! resolver settings therefore come from the arguments given here and never from `SSL_CERT_FILE`, `HTTPS_PROXY` or the
//! like (rule 7).

use super::http::{Connect, Http, HttpError, Outage, ProtocolFault, Request, Response};
use reqwest::blocking::{Client, RequestBuilder};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, CONTENT_TYPE, DATE, RETRY_AFTER};
use reqwest::redirect::Policy;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use shared::text::printable;
use std::error::Error;
use std::fs::File;
use std::future::ready;
use std::io::{self, Read};
use std::net::{Ipv4Addr, Ipv6Addr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Where distributions keep their trusted certificate authorities: Debian and Ubuntu, Fedora and Enterprise Linux, SUSE.
const SYSTEM_ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// Largest file of certificates that is read. Debian's has 220 KiB.
const ROOTS_LIMIT: u64 = 4 * 1024 * 1024;

/// How long an idle connection is used again: less than servers keep one (Node.js: five seconds), so that a poll does
/// not meet one that is being closed.
const IDLE: Duration = Duration::from_secs(3);

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What this package calls itself to providers.
const USER_AGENT: &str = concat!("pam_oauth2_device/", env!("CARGO_PKG_VERSION"));

/// Which certificate authorities are trusted.
#[derive(Clone, Debug)]
pub enum Roots {
    /// The distribution's.
    System,
    /// Those of this PEM file, instead of the distribution's (`ca_file`).
    File(PathBuf),
    /// Those of this PEM text.
    Pem(Vec<u8>),
}

/// Makes HTTPS clients. Reads the trust roots each time, so that they take no memory while the person is reading.
pub struct HttpsConnector {
    /// Which certificate authorities are trusted.
    pub roots: Roots,
    /// Longest time for one request, from its start to the last byte of the answer (`http_timeout`).
    pub timeout: Duration,
    /// `http://host:port` of a proxy for HTTPS, from the configuration.
    pub proxy: Option<String>,
    /// Makes name resolution in the thread that calls it give up after a time: nothing can interrupt it, and the client's
    /// thread is waited for.
    pub limit_lookups: fn(Duration),
}

impl Connect for HttpsConnector {
    fn connect(&self) -> Result<Box<dyn Http>, HttpError> {
        let lookups = Arc::new(Lookups { limit: self.limit_lookups, seconds: AtomicU64::new(0) });
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls(self.roots.read()?)?)
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .http1_only()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(self.timeout)
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(IDLE)
            .dns_resolver(Arc::clone(&lookups))
            // Endpoint lets plain HTTP pass for this name: make sure that it is this machine, whatever a resolver says.
            .resolve_to_addrs(
                "localhost",
                &[(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()],
            )
            .user_agent(USER_AGENT);
        if let Some(proxy) = &self.proxy {
            let proxy = reqwest::Proxy::https(proxy).map_err(|_| HttpError::Client("proxy is no URL"))?;
            builder = builder.proxy(proxy);
        }
        let client = builder.build().map_err(|_| HttpError::Client("no thread, or no TLS"))?;
        Ok(Box::new(HttpsClient { client, timeout: self.timeout, lookups }))
    }
}

impl Roots {
    fn read(&self) -> Result<RootCertStore, HttpError> {
        let pem = match self {
            Self::Pem(pem) => return store(pem),
            Self::File(path) => read_roots(path),
            Self::System => {
                let found = SYSTEM_ROOTS.iter().map(Path::new).find(|path| path.exists());
                read_roots(found.unwrap_or(Path::new(SYSTEM_ROOTS[0])))
            }
        }?;
        store(&pem)
    }
}

fn read_roots(path: &Path) -> Result<Vec<u8>, HttpError> {
    let read = || -> io::Result<Vec<u8>> {
        let mut pem = Vec::new();
        File::open(path)?.take(ROOTS_LIMIT).read_to_end(&mut pem)?;
        Ok(pem)
    };
    read().map_err(|source| HttpError::Roots { path: path.to_owned(), source })
}

/// A certificate that cannot be parsed is left out: one odd authority in a bundle must not end every login.
fn store(pem: &[u8]) -> Result<RootCertStore, HttpError> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).filter_map(Result::ok));
    if store.is_empty() { Err(HttpError::NoRoots) } else { Ok(store) }
}

fn tls(roots: RootCertStore) -> Result<ClientConfig, HttpError> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|_| HttpError::Client("no TLS 1.2"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Asks the machine's name service, in the client's own thread: it has nothing else to do meanwhile.
struct Lookups {
    limit: fn(Duration),
    /// What the request of now has.
    seconds: AtomicU64,
}

impl Resolve for Lookups {
    fn resolve(&self, name: Name) -> Resolving {
        (self.limit)(Duration::from_secs(self.seconds.load(Ordering::Relaxed)));
        let found = (name.as_str(), 0).to_socket_addrs();
        Box::pin(ready(found.map(|found| Box::new(found) as Addrs).map_err(Into::into)))
    }
}

struct HttpsClient {
    client: Client,
    timeout: Duration,
    lookups: Arc<Lookups>,
}

impl Http for HttpsClient {
    fn send(&self, request: &Request) -> Result<Response, HttpError> {
        let host = request.url().host();
        self.lookups.seconds.store(self.time_for(request).as_secs(), Ordering::Relaxed);
        let answer = self.build(request).send().map_err(|error| classify(host, &error))?;
        let status = answer.status().as_u16();
        let retry_after =
            answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let date = answer.headers().get(DATE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        let limit = u64::try_from(request.limit()).unwrap_or(u64::MAX);
        answer
            .take(limit.saturating_add(1))
            .read_to_end(&mut body)
            .map_err(|error| HttpError::unreachable(host, broken(&error)))?;
        if body.len() > request.limit() {
            let fault = ProtocolFault::TooLarge(request.limit());
            return Err(HttpError::Protocol { host: host.to_owned(), fault });
        }
        let response = Response::new(status, body).with_date(date.as_deref().unwrap_or_default());
        Ok(match retry_after {
            Some(seconds) => response.with_retry_after(seconds),
            None => response,
        })
    }
}

impl HttpsClient {
    fn build(&self, request: &Request) -> RequestBuilder {
        let url = request.url().as_str();
        let mut builder = match request.form() {
            None => self.client.get(url),
            Some(fields) => {
                let mut form = oauth2::url::form_urlencoded::Serializer::new(String::new());
                form.extend_pairs(fields.iter().map(|(name, value)| (*name, value.expose())));
                self.client
                    .post(url)
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(form.finish())
            }
        };
        if let Some(basic) = request.basic() {
            let (user, password) = basic.encoded();
            builder = builder.basic_auth(user, Some(password.expose()));
        }
        if let Some(token) = request.bearer() {
            builder = builder.bearer_auth(token.expose());
        }
        // Set on each request: the client's own is counted anew for each read of the body, this one is not.
        builder.header(ACCEPT, "application/json").timeout(self.time_for(request))
    }

    fn time_for(&self, request: &Request) -> Duration {
        request.timeout().map_or(self.timeout, |timeout| timeout.min(self.timeout))
    }
}

/// Sorts the transport's errors. Its own text may hold the URL and is not used.
fn classify(host: &str, error: &reqwest::Error) -> HttpError {
    match tls_fault(error) {
        Some(fault @ (rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)) => {
            HttpError::certificate(host, &fault.to_string())
        }
        Some(fault) => {
            let fault = ProtocolFault::Tls(printable(&fault.to_string(), 200));
            HttpError::Protocol { host: host.to_owned(), fault }
        }
        None if error.is_timeout() => HttpError::unreachable(host, Outage::Time),
        None if error.is_dns() => HttpError::unreachable(host, Outage::Name),
        None if error.is_connect() => HttpError::unreachable(host, Outage::Connection),
        None => HttpError::unreachable(host, Outage::Broken),
    }
}

/// The TLS error at the root of an error. `io::Error` hides what it wraps from `source`.
fn tls_fault<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(fault) = error.downcast_ref::<rustls::Error>() {
        return Some(fault);
    }
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match wrapped {
        Some(inner) => tls_fault(inner),
        None => tls_fault(error.source()?),
    }
}

fn broken(error: &io::Error) -> Outage {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<reqwest::Error>());
    if error.kind() == io::ErrorKind::TimedOut || inner.is_some_and(reqwest::Error::is_timeout) {
        Outage::Time
    } else {
        Outage::Broken
    }
}

#[cfg(test)]
mod test_server;

#[cfg(test)]
mod tests;
