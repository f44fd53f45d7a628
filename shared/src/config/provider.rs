//! The provider's part of the configuration.

use super::entra::{entra, selects_entra};
use super::raw::{Fault, Fields};
use super::resolve::{absolute, fault};
use super::{Provider, Validation};
use crate::secure_file::SecureFileError;
use crate::types::{Issuer, Secret};
use std::net::Ipv6Addr;
use std::path::Path;
use std::time::Duration;

/// Endpoints, credentials and how a token is validated.
pub(super) fn provider(
    fields: &mut Fields,
    read_secret: &mut impl FnMut(&Path) -> Result<Vec<u8>, SecureFileError>,
    warnings: &mut Vec<String>,
) -> Option<Provider> {
    let client_id = required(fields, "client_id");
    let client_secret = client_secret(fields, read_secret);
    let issuer = fields.text("issuer").and_then(|text| {
        let issuer = Issuer::parse(&text).ok().filter(|_| is_https(&text));
        if issuer.is_none() {
            fields.fault("issuer", "an https URL of at most 255 characters");
        }
        issuer
    });
    let device_url = url(fields, "oauth_device_url");
    let token_url = url(fields, "oauth_token_url");
    let introspection_url = url(fields, "oauth_token_introspect_url");
    if url(fields, "oauth_auth_url").is_some() {
        warnings.push("oauth_auth_url is not used by the device flow: remove it".into());
    }
    let is_entra = selects_entra(fields, token_url.as_deref());
    let (entra, validation) = if is_entra {
        (Some(entra(fields, token_url.as_deref())?), Some(Validation::IdToken))
    } else {
        needed(fields, &[("oauth_device_url", &device_url), ("oauth_token_url", &token_url)]);
        (None, validation(fields, issuer.is_some(), introspection_url.is_some()))
    };
    Some(Provider {
        client_id: client_id?,
        client_secret,
        issuer,
        entra,
        device_url,
        token_url,
        introspection_url,
        validation: validation?,
        scopes: scopes(fields),
        ca_file: absolute(fields, "ca_file"),
        http_timeout: Duration::from_secs(fields.number("http_timeout", 1..=60).unwrap_or(10)),
        proxy: proxy(fields),
    })
}

/// Without an issuer to discover them from, these endpoints must be written down.
fn needed(fields: &mut Fields, endpoints: &[(&str, &Option<String>)]) {
    if fields.has("issuer") {
        return;
    }
    for (key, value) in endpoints {
        if value.is_none() && !fields.has(key) {
            let text = format!("without \"issuer\" or \"tenant_id\", \"{key}\" must be given");
            fields.faults.push(Fault::Conflict(text));
        }
    }
}

fn validation(fields: &mut Fields, has_issuer: bool, has_introspection: bool) -> Option<Validation> {
    let words = [("introspection", Validation::Introspection), ("id_token", Validation::IdToken)];
    let written = fields.word("validation", &words);
    match written {
        None if fields.has("validation") => None,
        Some(Validation::IdToken) if !has_issuer => {
            fields.faults.push(Fault::Conflict("\"validation\": \"id_token\" needs \"issuer\"".into()));
            None
        }
        Some(Validation::Introspection) if !has_issuer && !has_introspection => {
            fields.faults.push(Fault::Conflict(
                "\"validation\": \"introspection\" needs \"oauth_token_introspect_url\" or \"issuer\"".into(),
            ));
            None
        }
        Some(validation) => Some(validation),
        // By what is given: an introspection endpoint that somebody wrote down is meant to be asked.
        None if has_introspection => Some(Validation::Introspection),
        None if has_issuer => Some(Validation::IdToken),
        None => {
            fields.faults.push(Fault::Conflict(
                "\"issuer\", \"tenant_id\" or \"oauth_token_introspect_url\" must be given: nothing could validate a token"
                    .into(),
            ));
            None
        }
    }
}

fn client_secret(
    fields: &mut Fields,
    read_secret: &mut impl FnMut(&Path) -> Result<Vec<u8>, SecureFileError>,
) -> Option<Secret> {
    let written = fields.text("client_secret").map(Secret::new);
    let Some(file) = absolute(fields, "client_secret_file") else { return written };
    if written.is_some() {
        fields
            .faults
            .push(Fault::Conflict("\"client_secret\" and \"client_secret_file\" exclude each other".into()));
    }
    let secret = read_secret(&file).map_err(|error| error.to_string());
    let text = secret.and_then(|bytes| String::from_utf8(bytes).map_err(|_| "not UTF-8".into()));
    match text {
        Ok(text) if !text.is_empty() => Some(Secret::new(text)),
        Ok(_) => fault(fields, "client_secret_file", "a file that is not empty"),
        Err(error) => fault(fields, "client_secret_file", format!("a readable file ({error})")),
    }
}

fn required(fields: &mut Fields, key: &'static str) -> Option<String> {
    if !fields.has(key) {
        fields.faults.push(Fault::Missing(key));
    }
    fields.text(key)
}

/// RFC 6749 §3.3; both spellings of the earlier modules.
fn scopes(fields: &mut Fields) -> Vec<String> {
    let (scope, scopes) = (fields.text("scope"), fields.text("scopes"));
    if scope.is_some() && scopes.is_some() && scope != scopes {
        fields.faults.push(Fault::Conflict("\"scope\" and \"scopes\" contradict each other".into()));
    }
    let text = scope.or(scopes).unwrap_or_else(|| "openid profile".into());
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

fn url(fields: &mut Fields, key: &str) -> Option<String> {
    let text = fields.text(key)?;
    if is_https(&text) { Some(text) } else { fault(fields, key, "an https URL") }
}

fn proxy(fields: &mut Fields) -> Option<String> {
    let text = fields.text("proxy")?;
    let expected = "http://HOST:PORT or https://HOST:PORT, without a user, a password or a path";
    if is_proxy(&text) { Some(text) } else { fault(fields, "proxy", expected) }
}

/// Scheme, host and port, nothing else: a password would need a file of its own, and programs do not agree on a proxy's
/// default port.
fn is_proxy(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let Some((host, port)) =
        rest.map(|rest| rest.strip_suffix('/').unwrap_or(rest)).and_then(|at| at.rsplit_once(':'))
    else {
        return false;
    };
    let of_a_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let has_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.starts_with(|c: char| c.is_ascii_alphanumeric()) && host.chars().all(of_a_name),
    };
    has_host && port.bytes().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// https, or http to a loopback address (rule 6). The HTTP client parses the URL and holds it to the same rule.
pub(super) fn is_https(text: &str) -> bool {
    let loopback = ["http://127.0.0.1", "http://[::1]", "http://localhost"];
    let local = |prefix: &&str| {
        text.strip_prefix(*prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    };
    text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        || loopback.iter().any(local)
}
