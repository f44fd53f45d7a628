//! Requests of one step of a login: one client, one deadline, faults sorted.

use super::error::{EndpointName, ProviderError};
use super::http::{Connect, Http, HttpError, Outage, Request, Response};
use super::verified::ClaimMap;
use oauth2::DeviceCodeErrorResponse;
use shared::clock::Clock;
use shared::text::printable;
use std::time::Duration;

/// First wait before a fetch is tried again; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// One client and the time it has.
pub(super) struct Exchange<'a> {
    http: Box<dyn Http>,
    clock: &'a dyn Clock,
    deadline: Option<Duration>,
}

impl<'a> Exchange<'a> {
    /// Makes the client. It is dropped with the exchange, at the end of the step.
    pub(super) fn open(
        connect: &dyn Connect,
        clock: &'a dyn Clock,
        deadline: Option<Duration>,
    ) -> Result<Self, ProviderError> {
        Ok(Self { http: connect.connect().map_err(ProviderError::Connect)?, clock, deadline })
    }

    pub(super) fn clock(&self) -> &'a dyn Clock {
        self.clock
    }

    /// Sends once. Busy and broken servers, and redirects, are errors.
    pub(super) fn send(&self, endpoint: EndpointName, request: &Request) -> Result<Response, ProviderError> {
        let host = request.url().host();
        self.time_left(host)
            .and_then(|timeout| self.http.send(&request.within(timeout)))
            .and_then(|response| response.settle(host))
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
            let wait = pause.max(asked);
            if self.deadline.is_none_or(|deadline| self.clock.monotonic().saturating_add(wait) >= deadline) {
                return Err(error);
            }
            log::debug!("{error}; next try in {} s", wait.as_secs());
            self.clock.sleep(wait);
            pause = pause.saturating_mul(2);
        }
    }

    fn time_left(&self, host: &str) -> Result<Option<Duration>, HttpError> {
        let Some(deadline) = self.deadline else { return Ok(None) };
        match deadline.saturating_sub(self.clock.monotonic()) {
            Duration::ZERO => Err(HttpError::unreachable(host, Outage::Time)),
            left => Ok(Some(left)),
        }
    }
}

/// The error in an answer that is none of the expected ones.
pub(super) fn refusal(endpoint: EndpointName, request: &Request, response: &Response) -> ProviderError {
    let Some(error) = response.json::<DeviceCodeErrorResponse>() else {
        return ProviderError::Answer { endpoint, status: response.status(), missing: "no OAuth error code" };
    };
    ProviderError::Refused {
        endpoint,
        code: printable(error.error().as_ref(), 64),
        description: error.error_description().map_or_else(String::new, |text| describe(request, text)),
    }
}

/// The provider's own words, unless they repeat what was sent: a code or a token must not reach a log (rule 8).
fn describe(request: &Request, text: &str) -> String {
    let echoes = request.form().unwrap_or_default().iter().any(|(_, value)| text.contains(value.expose()));
    let text = printable(text, 200);
    if echoes || text.is_empty() { String::new() } else { format!(" ({text})") }
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
