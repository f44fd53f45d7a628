//! The Device Authorization Grant (RFC 8628): ask for a code, then poll until the person has approved.

use super::Settings;
use super::client_auth::ClientAuth;
use super::discovery::Endpoints;
use super::error::{EndpointName, ExpiredBy, ProviderError};
use super::exchange::{Exchange, LAST_TRY, oauth_error, object, refusal};
use super::http::{HttpError, Outage, Request, Response, web_address};
use super::verified::{ClaimMap, whole_number};
use oauth2::basic::{BasicErrorResponseType, BasicTokenResponse};
use oauth2::{DeviceCodeErrorResponseType, StandardDeviceAuthorizationResponse, TokenResponse};
use serde_json::Value;
use shared::clock::Clock;
use shared::text::printable;
use shared::types::Secret;
use std::fmt;
use std::time::Duration;

/// Bounds for the provider's `interval`.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
const INTERVAL_MAX: Duration = Duration::from_secs(60);

/// What is not told, in seconds.
const INTERVAL_DEFAULT: u64 = 5;
const LIFETIME_DEFAULT: u64 = 600;

/// What `slow_down` adds to the interval (RFC 8628 §3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// Longest wait after an outage, unless the interval itself or `Retry-After` is longer.
const BACK_OFF_MAX: Duration = Duration::from_secs(30);

/// What the person needs to approve, and what the machine needs to find out that they did.
pub struct DeviceGrant {
    /// Where the person goes; `https`, in ASCII.
    pub verification_uri: String,
    /// The same with the code in it.
    pub verification_uri_complete: Option<String>,
    /// What the person types there; printable.
    pub user_code: String,
    /// How long the codes live.
    pub expires_in: Duration,
    /// Shortest time between two polls.
    pub interval: Duration,
    pub(super) device_code: Secret,
    pub(super) endpoints: Endpoints,
    /// When the answer came, on the monotonic clock.
    pub(super) received: Duration,
    /// When this login began, in seconds since 1970.
    pub(super) started: u64,
}

impl fmt::Debug for DeviceGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceGrant")
            .field("verification_uri", &self.verification_uri)
            .field("expires_in", &self.expires_in)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

/// What the token endpoint gave.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) access_token: Secret,
    pub(super) id_token: Option<Secret>,
}

/// Asks for a device code (RFC 8628 §3.1).
///
/// # Errors
/// No answer, a refusal, or an answer that cannot be shown to a person.
pub(super) fn authorize(
    exchange: &Exchange<'_>,
    settings: &Settings,
    endpoints: Endpoints,
    started: u64,
) -> Result<DeviceGrant, ProviderError> {
    let endpoint = EndpointName::DeviceAuthorization;
    let request = authorization_request(settings, &endpoints);
    let response = exchange.send(endpoint, &request)?;
    let answer = object(endpoint, &request, &response)?;
    let missing = |missing| ProviderError::Answer { endpoint, status: response.status(), missing };
    let answer =
        read_authorization(answer).ok_or_else(|| missing("no device_code, user_code or verification_uri"))?;
    let user_code = printable(answer.user_code().secret(), 64);
    if user_code.is_empty() || answer.device_code().secret().is_empty() {
        return Err(missing("an empty code"));
    }
    Ok(DeviceGrant {
        verification_uri: web_address(answer.verification_uri().as_str())
            .map_err(|fault| ProviderError::Url { key: "verification_uri", fault })?,
        verification_uri_complete: answer
            .verification_uri_complete()
            .and_then(|address| web_address(address.secret()).ok()),
        user_code,
        expires_in: answer.expires_in(),
        interval: answer.interval().clamp(INTERVAL_MIN, INTERVAL_MAX),
        device_code: Secret::new(answer.device_code().secret().clone()),
        endpoints,
        received: exchange.clock().monotonic(),
        started,
    })
}

fn authorization_request(settings: &Settings, endpoints: &Endpoints) -> Request {
    let mut fields = Vec::new();
    if !settings.scopes.is_empty() {
        fields.push(("scope", Secret::new(settings.scopes.join(" "))));
    }
    if endpoints.auth == ClientAuth::Basic {
        // RFC 8628 §3.1 lists it for this request, and MITREid Connect and oauthlib want it here even of a client that
        // authenticates. Here only: at its token endpoint Okta refuses it beside the header.
        fields.push(("client_id", Secret::new(settings.client_id.clone())));
    }
    // Entra documents no secret here.
    let auth = if settings.entra.is_some() { ClientAuth::Public } else { endpoints.auth };
    auth.post(settings, &endpoints.device, fields)
}

/// Numbers may come as strings and `verification_uri` under its name before the RFC. Without an `interval` that is a
/// number it is the 5 seconds of RFC 8628 §3.2; `expires_in` is required, yet MITREid Connect leaves it out where codes
/// do not expire.
fn read_authorization(mut answer: ClaimMap) -> Option<StandardDeviceAuthorizationResponse> {
    for (key, default) in [("expires_in", LIFETIME_DEFAULT), ("interval", INTERVAL_DEFAULT)] {
        let number = answer.remove(key).and_then(|value| match value {
            Value::String(text) => text.trim().parse().ok(),
            value => whole_number(&value),
        });
        answer.insert(key.to_owned(), number.unwrap_or(default).into());
    }
    if answer.contains_key("verification_uri") {
        answer.remove("verification_url");
    }
    serde_json::from_value(Value::Object(answer)).ok()
}

/// Polls until there is a token (RFC 8628 §3.4, §3.5), at most until `deadline` on the monotonic clock.
///
/// # Errors
/// The person declined, nobody approved in time, the provider could never be reached, or a fault that waiting does not
/// mend.
pub(super) fn poll(
    exchange: &Exchange<'_>,
    settings: &Settings,
    grant: &DeviceGrant,
    deadline: Duration,
) -> Result<Tokens, ProviderError> {
    let fields = vec![
        ("grant_type", Secret::new("urn:ietf:params:oauth:grant-type:device_code".to_owned())),
        ("device_code", grant.device_code.clone()),
    ];
    let request = grant.endpoints.auth.post(settings, &grant.endpoints.token, fields);
    let mut pace = Pace::new(grant, deadline);
    loop {
        pace.wait(exchange.clock())?;
        let answer =
            exchange.send(EndpointName::Token, &request).and_then(|response| read(&request, &response));
        let now = exchange.clock().monotonic();
        match answer {
            Ok(Answer::Tokens(tokens)) => return Ok(tokens),
            Ok(Answer::Pending) => pace.keep(now),
            Ok(Answer::SlowDown) => pace.slow_down(now),
            Err(error) => match error.retry() {
                Some(asked) => pace.back_off(now, asked, error),
                None => return Err(error),
            },
        }
    }
}

/// One answer of the token endpoint that is no error.
enum Answer {
    Tokens(Tokens),
    Pending,
    SlowDown,
}

fn read(request: &Request, response: &Response) -> Result<Answer, ProviderError> {
    use DeviceCodeErrorResponseType as Code;
    let endpoint = EndpointName::Token;
    // GitHub answers 200 with an error in it: the body decides, not the status.
    let Some(error) = oauth_error(response) else {
        return read_tokens(object(endpoint, request, response)?)
            .ok_or(ProviderError::Answer {
                endpoint,
                status: response.status(),
                missing: "no access_token or token_type",
            })
            .map(Answer::Tokens);
    };
    match error.error() {
        Code::AuthorizationPending => Ok(Answer::Pending),
        Code::SlowDown => Ok(Answer::SlowDown),
        Code::AccessDenied => Err(ProviderError::Denied),
        Code::ExpiredToken => Err(ProviderError::Expired(ExpiredBy::Provider)),
        Code::Basic(BasicErrorResponseType::Extension(code)) => match code.as_str() {
            // Microsoft's word for it.
            "authorization_declined" => Err(ProviderError::Denied),
            "temporarily_unavailable" | "server_error" => {
                let fault = Outage::Status(response.status());
                Err(ProviderError::Http {
                    endpoint,
                    source: HttpError::unreachable(request.url().host(), fault),
                })
            }
            _ => Err(refusal(endpoint, request, response)),
        },
        Code::Basic(_) => Err(refusal(endpoint, request, response)),
    }
}

/// Only the members that matter are parsed: a provider that writes `expires_in` as a string still logs people in.
fn read_tokens(mut answer: ClaimMap) -> Option<Tokens> {
    let id_token = match answer.remove("id_token") {
        Some(Value::String(token)) => Some(Secret::new(token)),
        _ => None,
    };
    answer.retain(|key, _| key == "access_token" || key == "token_type");
    let standard: BasicTokenResponse = serde_json::from_value(Value::Object(answer)).ok()?;
    Some(Tokens { access_token: Secret::new(standard.access_token().secret().clone()), id_token })
}

/// When the next poll is due, and when there is none any more.
struct Pace {
    interval: Duration,
    next: Duration,
    end: Duration,
    ended_by: ExpiredBy,
    /// Outages since the last answer.
    outages: u32,
    /// The last outage, as long as there has never been an answer.
    silence: Option<ProviderError>,
    answered: bool,
}

impl Pace {
    fn new(grant: &DeviceGrant, deadline: Duration) -> Self {
        let lifetime = grant.received.saturating_add(grant.expires_in);
        Self {
            interval: grant.interval,
            next: grant.received.saturating_add(grant.interval),
            end: lifetime.min(deadline),
            ended_by: if lifetime <= deadline { ExpiredBy::Lifetime } else { ExpiredBy::Deadline },
            outages: 0,
            silence: None,
            answered: false,
        }
    }

    /// Waits for the next poll. Where that would be after the end there is nothing left to wait for.
    fn wait(&mut self, clock: &dyn Clock) -> Result<(), ProviderError> {
        let now = clock.monotonic();
        if self.next.max(now) >= self.end {
            return Err(self.silence.take().unwrap_or(ProviderError::Expired(self.ended_by)));
        }
        if let Some(wait) = self.next.checked_sub(now) {
            clock.sleep(wait);
        }
        Ok(())
    }

    fn keep(&mut self, now: Duration) {
        self.answered = true;
        self.silence = None;
        self.outages = 0;
        self.next = now.saturating_add(self.interval);
    }

    fn slow_down(&mut self, now: Duration) {
        log::debug!("token endpoint: slow_down");
        self.interval = self.interval.saturating_add(SLOW_DOWN);
        self.keep(now);
    }

    /// RFC 8628 §3.5: after a timeout the client must poll less often, doubling the interval each time for example.
    fn back_off(&mut self, now: Duration, asked: Duration, outage: ProviderError) {
        log::debug!("{outage}");
        self.outages = self.outages.saturating_add(1);
        let doubled = self.interval.saturating_mul(2_u32.saturating_pow(self.outages));
        let pause = doubled.min(BACK_OFF_MAX.max(self.interval)).max(asked);
        let soonest = now.saturating_add(self.interval.max(asked));
        let last = self.end.saturating_sub(LAST_TRY).max(soonest);
        self.next = now.saturating_add(pause).min(last);
        if !self.answered {
            self.silence = Some(outage);
        }
    }
}

#[cfg(test)]
mod poll_tests;

#[cfg(test)]
mod tests;
