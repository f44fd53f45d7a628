//! Requests of one step of a login: one client, one deadline, faults sorted.

use super::entra;
use super::error::{EndpointName, ProviderError};
use super::http::{BODY_LIMIT, Connect, Endpoint, Http, HttpError, Outage, Request, Response};
use super::verified::ClaimMap;
use oauth2::{DeviceCodeErrorResponse, DeviceCodeErrorResponseType};
use serde::de::DeserializeOwned;
use serde_json::Value;
use shared::clock::Clock;
use shared::text::printable;
use std::time::Duration;

/// First wait before a fetch is tried again; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// As much of a secret is a quotation of it, in bytes.
const QUOTE: usize = 12;

/// How long before the end the last try is made.
pub(super) const LAST_TRY: Duration = Duration::from_secs(2);

/// One client and the time it has.
pub(super) struct Exchange<'a> {
    http: Box<dyn Http + 'a>,
    clock: &'a dyn Clock,
    deadline: Option<Duration>,
}

impl<'a> Exchange<'a> {
    /// Makes the client. It is dropped with the exchange, at the end of the step.
    pub(super) fn open(
        connect: &'a dyn Connect,
        clock: &'a dyn Clock,
        deadline: Option<Duration>,
    ) -> Result<Self, ProviderError> {
        Ok(Self { http: connect.connect().map_err(ProviderError::Connect)?, clock, deadline })
    }

    pub(super) fn clock(&self) -> &'a dyn Clock {
        self.clock
    }

    /// Sends once, and takes an answer of any status.
    pub(super) fn send_anyway(&self, request: &Request) -> Result<Response, HttpError> {
        self.http.send(request)
    }

    /// Sends once. Busy and broken servers, and redirects, are errors.
    pub(super) fn send(&self, endpoint: EndpointName, request: &Request) -> Result<Response, ProviderError> {
        let host = request.url().host();
        self.time_left(host)
            .and_then(|timeout| self.http.send(&request.within(timeout)))
            .and_then(|response| settle(response, host))
            .map_err(|source| ProviderError::Http { endpoint, source })
    }

    /// Sends until there is an answer, nothing but an outage being worth another try, or the time is over: the person has
    /// approved by now and should not have to do it again because of one 503.
    pub(super) fn send_persistently(
        &self,
        endpoint: EndpointName,
        request: &Request,
    ) -> Result<Response, ProviderError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.send(endpoint, request) {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let Some(asked) = error.retry() else { return Err(error) };
            let Some(wait) = self.pause(pause.max(asked), FIRST_PAUSE.max(asked)) else { return Err(error) };
            log::debug!("{error}; next try in {} s", wait.as_secs());
            self.clock.sleep(wait);
            pause = pause.saturating_mul(2);
        }
    }

    /// How long to wait before the next try: what is `wanted`, or less where the time is over before, for a last try. `None`
    /// if there is not even time for the `least`.
    fn pause(&self, wanted: Duration, least: Duration) -> Option<Duration> {
        let left = self.deadline?.saturating_sub(self.clock.monotonic());
        let wait = wanted.min(left.saturating_sub(LAST_TRY));
        (wait >= least).then_some(wait)
    }

    fn time_left(&self, host: &str) -> Result<Option<Duration>, HttpError> {
        let Some(deadline) = self.deadline else { return Ok(None) };
        match deadline.saturating_sub(self.clock.monotonic()) {
            Duration::ZERO => Err(HttpError::unreachable(host, Outage::Time)),
            left => Ok(Some(left)),
        }
    }
}

/// A discovery document. Asked for once: the person is waiting for a code.
///
/// # Errors
/// It cannot be had, or is no `T`.
pub(super) fn fetch_document<T: DeserializeOwned>(
    exchange: &Exchange<'_>,
    url: Endpoint,
) -> Result<T, ProviderError> {
    let endpoint = EndpointName::Discovery;
    let response = exchange.send(endpoint, &Request::get(url, BODY_LIMIT))?;
    let document = if response.is_success() { response.json() } else { None };
    document.ok_or_else(|| match response.json().and_then(|body| entra::aadsts(&body, one_line)) {
        Some(error) => ProviderError::Aadsts { endpoint, error },
        None => {
            ProviderError::Answer { endpoint, status: response.status(), missing: "no discovery document" }
        }
    })
}

/// The OAuth error in an answer (RFC 6749 §5.2). A description that is no string is no reason to miss the code.
pub(super) fn oauth_error(response: &Response) -> Option<DeviceCodeErrorResponse> {
    let mut answer: ClaimMap = response.json()?;
    answer.retain(|key, value| key == "error" || (key == "error_description" && value.is_string()));
    serde_json::from_value(Value::Object(answer)).ok()
}

/// The failure in an answer that is none of the expected ones.
pub(super) fn refusal(endpoint: EndpointName, request: &Request, response: &Response) -> ProviderError {
    let Some(error) = oauth_error(response) else {
        return ProviderError::Answer { endpoint, status: response.status(), missing: "no OAuth error code" };
    };
    let words = |text: &str| own_words(request, text);
    if let Some(error) = response.json().and_then(|body| entra::aadsts(&body, words)) {
        return ProviderError::Aadsts { endpoint, error };
    }
    ProviderError::Refused {
        endpoint,
        code: own_words(request, error.error().as_ref()),
        description: error.error_description().map_or_else(String::new, |text| describe(request, text)),
    }
}

/// The provider's own words, in brackets.
fn describe(request: &Request, text: &str) -> String {
    let words = own_words(request, text);
    if words.is_empty() { words } else { format!(" ({words})") }
}

/// The provider's own words, unless they repeat a code, a token or a secret that was sent (rule 8).
pub(super) fn own_words(request: &Request, text: &str) -> String {
    let sent = request.form().unwrap_or_default().iter();
    let secrets = sent.filter(|(name, _)| matches!(*name, "device_code" | "token" | "client_secret"));
    let mut secrets = secrets
        .map(|(_, value)| value)
        .chain(request.basic().map(|basic| &basic.secret))
        .chain(request.bearer());
    if secrets.any(|secret| quotes(text, secret.expose())) { String::new() } else { one_line(text) }
}

/// Is the secret, or a good part of it, in the text?
fn quotes(text: &str, secret: &str) -> bool {
    let text = text.as_bytes();
    let holds = |part: &[u8]| text.windows(part.len().max(1)).any(|window| window == part);
    secret.as_bytes().windows(QUOTE.min(secret.len()).max(1)).any(holds)
}

/// Line breaks as spaces, nothing else that a terminal or a log would obey, and not too much of it.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    printable(&words.join(" "), 200)
}

/// As [`Response::settle`], but Auth0 says `slow_down` with status 429: the code says more than the status.
fn settle(response: Response, host: &str) -> Result<Response, HttpError> {
    use DeviceCodeErrorResponseType::{AuthorizationPending, SlowDown};
    let is_waiting =
        |error: &DeviceCodeErrorResponse| matches!(error.error(), AuthorizationPending | SlowDown);
    if response.is_success() || oauth_error(&response).as_ref().is_some_and(is_waiting) {
        Ok(response)
    } else {
        response.settle(host)
    }
}

/// The JSON object of a successful answer; an answer with an error in it is none, whatever its status.
pub(super) fn object(
    endpoint: EndpointName,
    request: &Request,
    response: &Response,
) -> Result<ClaimMap, ProviderError> {
    match response.json::<ClaimMap>() {
        Some(object) if response.is_success() && !object.contains_key("error") => Ok(object),
        None if response.is_success() => {
            Err(ProviderError::Answer { endpoint, status: response.status(), missing: "no JSON object" })
        }
        _ => Err(refusal(endpoint, request, response)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::*;
    use super::*;

    const KEY_SET: EndpointName = EndpointName::KeySet;

    fn fetch(script: &Script, deadline: u64) -> Result<Response, ProviderError> {
        let deadline = Some(Duration::from_secs(deadline));
        let exchange = Exchange::open(script, script.clock(), deadline).unwrap();
        exchange.send_persistently(KEY_SET, &Request::get(Endpoint::parse(KEYS).unwrap(), BODY_LIMIT))
    }

    #[test]
    fn an_outage_after_the_approval_is_waited_out() {
        let script = Script::new(vec![
            (KEYS, Reply::Text(503, "")),
            (KEYS, Reply::RetryAfter(429, 7)),
            (KEYS, Reply::Text(502, "")),
            (KEYS, Reply::Text(200, "{}")),
        ]);
        assert!(fetch(&script, 60).is_ok());
        assert_eq!(script.times(KEYS), [0, 1, 8, 12]);
    }

    #[test]
    fn an_outage_is_waited_out_no_longer_than_the_deadline() {
        let script = Script::new(vec![(KEYS, Reply::Text(503, "")), (KEYS, Reply::Text(503, ""))]);
        let error = fetch(&script, 3).unwrap_err();
        assert_eq!(error.to_string(), "key set: id.example.com cannot be reached: status 503");
        assert_eq!(script.times(KEYS), [0, 1]);
        let script = Script::new((0..5).map(|_| (KEYS, Reply::Text(503, ""))).collect());
        assert!(fetch(&script, 12).is_err());
        assert_eq!(script.times(KEYS), [0, 1, 3, 7, 10], "the last try is made while there is time for it");
        let script = Script::new(vec![(KEYS, Reply::RetryAfter(503, 9))]);
        assert!(fetch(&script, 10).is_err());
        assert_eq!(script.times(KEYS), [0], "a provider that asks for patience is not asked earlier");
    }

    #[test]
    fn nothing_but_an_outage_is_tried_again() {
        let certificate = Reply::Fault(HttpError::certificate("id.example.com", "Expired"));
        for reply in [certificate, Reply::Text(301, "")] {
            let script = Script::new(vec![(KEYS, reply)]);
            assert!(fetch(&script, 60).is_err());
            assert_eq!(script.times(KEYS), [0]);
        }
    }

    #[test]
    fn nothing_is_sent_after_the_deadline() {
        let script = Script::new(vec![]);
        assert!(fetch(&script, 0).is_err());
        assert!(script.played().is_empty());
    }
}
