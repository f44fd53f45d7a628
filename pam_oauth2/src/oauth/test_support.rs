//! A provider that follows a script: a queue of expected requests and their answers, empty at the end.

use super::http::{Connect, Http, HttpError, Request, Response};
use super::{Settings, Validation};
use serde_json::{Value, json};
use shared::clock::{Clock, TestClock};
use shared::types::{Issuer, Secret};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

/// 2026-01-01T00:00:00Z.
pub(crate) const NOW: u64 = 1_767_225_600;

pub(super) const ISSUER: &str = "https://id.example.com";
pub(super) const DISCOVERY: &str = "https://id.example.com/.well-known/openid-configuration";
pub(crate) const DEVICE: &str = "https://id.example.com/device";
pub(crate) const TOKEN: &str = "https://id.example.com/token";
pub(crate) const INTROSPECT: &str = "https://id.example.com/introspect";
pub(super) const KEYS: &str = "https://id.example.com/keys";
pub(super) const USERINFO: &str = "https://id.example.com/userinfo";

/// What the scripted provider does with one request.
pub(crate) enum Reply {
    Json(u16, Value),
    Text(u16, &'static str),
    RetryAfter(u16, u64),
    Fault(HttpError),
    /// The same after this long.
    After(u64, Box<Reply>),
}

/// A request as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sent {
    /// Seconds after the script began.
    pub(crate) at: u64,
    pub(crate) url: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) basic: Option<(String, String)>,
    pub(crate) bearer: Option<String>,
    pub(crate) timeout: Option<Duration>,
}

struct Stage {
    clock: TestClock,
    script: RefCell<VecDeque<(&'static str, Reply)>>,
    sent: RefCell<Vec<Sent>>,
    connections: Cell<u32>,
    open: Cell<u32>,
}

#[derive(Clone)]
pub(crate) struct Script(Rc<Stage>);

struct Connection(Rc<Stage>);

impl Script {
    pub(crate) fn new(script: Vec<(&'static str, Reply)>) -> Self {
        Self(Rc::new(Stage {
            clock: TestClock::at(NOW),
            script: RefCell::new(script.into()),
            sent: RefCell::default(),
            connections: Cell::new(0),
            open: Cell::new(0),
        }))
    }

    pub(crate) fn clock(&self) -> &TestClock {
        &self.0.clock
    }

    pub(crate) fn expect(&self, url: &'static str, reply: Reply) {
        self.0.script.borrow_mut().push_back((url, reply));
    }

    pub(crate) fn connections(&self) -> u32 {
        self.0.connections.get()
    }

    /// Connections that have not been dropped.
    pub(crate) fn open(&self) -> u32 {
        self.0.open.get()
    }

    /// Everything that was sent; the script must have been played to its end.
    pub(crate) fn played(&self) -> Vec<Sent> {
        assert_eq!(self.0.script.borrow().len(), 0, "requests that were expected and never came");
        self.0.sent.borrow().clone()
    }

    /// The seconds at which `url` was asked.
    pub(super) fn times(&self, url: &str) -> Vec<u64> {
        self.played().iter().filter(|sent| sent.url == url).map(|sent| sent.at).collect()
    }
}

impl Connect for Script {
    fn connect(&self) -> Result<Box<dyn Http>, HttpError> {
        self.0.connections.set(self.0.connections.get() + 1);
        self.0.open.set(self.0.open.get() + 1);
        Ok(Box::new(Connection(Rc::clone(&self.0))))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

impl Http for Connection {
    fn send(&self, request: &Request) -> Result<Response, HttpError> {
        let stage = &self.0;
        stage.sent.borrow_mut().push(Sent {
            at: stage.clock.monotonic().as_secs(),
            url: request.url().as_str().to_owned(),
            fields: request
                .form()
                .unwrap_or_default()
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.expose().to_owned()))
                .collect(),
            basic: request.basic().map(|basic| (basic.client_id.clone(), basic.secret.expose().to_owned())),
            bearer: request.bearer().map(|token| token.expose().to_owned()),
            timeout: request.timeout(),
        });
        let (url, reply) = stage.script.borrow_mut().pop_front().expect("a request after the script's end");
        assert_eq!(request.url().as_str(), url);
        play(&stage.clock, reply)
    }
}

fn play(clock: &TestClock, reply: Reply) -> Result<Response, HttpError> {
    match reply {
        Reply::Json(status, body) => Ok(Response::new(status, body.to_string().into_bytes())),
        Reply::Text(status, body) => Ok(Response::new(status, body.as_bytes().to_vec())),
        Reply::RetryAfter(status, seconds) => Ok(Response::new(status, Vec::new()).with_retry_after(seconds)),
        Reply::Fault(error) => Err(error),
        Reply::After(seconds, reply) => {
            clock.sleep(Duration::from_secs(seconds));
            play(clock, *reply)
        }
    }
}

/// A confidential client with every endpoint configured and introspection.
pub(super) fn settings() -> Settings {
    Settings {
        client_id: "client".to_owned(),
        client_secret: Some(Secret::new("s3cret".to_owned())),
        issuer: None,
        entra: None,
        device_url: Some(DEVICE.to_owned()),
        token_url: Some(TOKEN.to_owned()),
        introspection_url: Some(INTROSPECT.to_owned()),
        scopes: vec!["openid".to_owned(), "profile".to_owned()],
        validation: Validation::Introspection,
        username_claims: vec!["preferred_username".to_owned()],
        groups_claim: "groups".to_owned(),
        needs_groups: true,
        subject_from_username: false,
    }
}

/// A public client with discovery and id_token.
pub(super) fn openid_settings() -> Settings {
    Settings {
        client_secret: None,
        issuer: Some(Issuer::parse(ISSUER).unwrap()),
        device_url: None,
        token_url: None,
        introspection_url: None,
        validation: Validation::IdToken,
        ..settings()
    }
}

pub(super) fn discovery_document() -> Value {
    json!({
        "issuer": ISSUER,
        "device_authorization_endpoint": DEVICE,
        "token_endpoint": TOKEN,
        "introspection_endpoint": INTROSPECT,
        "jwks_uri": KEYS,
        "userinfo_endpoint": USERINFO,
    })
}

pub(super) fn device_answer() -> Value {
    json!({
        "device_code": "DEVICE-CODE",
        "user_code": "WDJB-MJHT",
        "verification_uri": "https://id.example.com/activate",
        "verification_uri_complete": "https://id.example.com/activate?user_code=WDJB-MJHT",
        "expires_in": 600,
        "interval": 5,
    })
}

/// An OAuth error as the token endpoint sends it.
pub(super) fn oauth_error(code: &str) -> Reply {
    Reply::Json(400, json!({ "error": code }))
}
