//! A provider that answers what the fuzzer says, and a login at it through the public interface of the PAM module.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pam_oauth2::oauth::{
    Connect, DeviceGrant, Http, HttpError, Provider, ProviderError, Request, Response, Settings, Validation,
    VerifiedClaims,
};
use serde_json::{Value, json};
use shared::clock::TestClock;
use shared::config::{Entra, Tenant, TenantId};
use shared::types::Issuer;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

/// 2026-01-01T00:00:00Z, at which every login begins.
pub const NOW: u64 = 1_767_225_600;
pub const ISSUER: &str = "https://id.example.com";
pub const CLIENT: &str = "client";
pub const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
pub const ENTRA_ISSUER: &str = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0";
pub const ENTRA_ISSUER_V1: &str = "https://sts.windows.net/72f988bf-86f1-41af-91ab-2d7cd011db47/";

/// Statuses that a fuzzer chooses from.
const STATUSES: [u16; 8] = [200, 200, 400, 401, 403, 429, 500, 302];

/// Answers in the order of the requests; after the last one the network is gone.
#[derive(Clone, Default)]
pub struct Play {
    answers: Rc<RefCell<VecDeque<(u16, Vec<u8>)>>>,
}

impl Play {
    pub fn answer(self, body: impl Into<Vec<u8>>) -> Self {
        self.answers.borrow_mut().push_back((200, body.into()));
        self
    }

    /// One answer for each part of `bytes` that ends in a zero byte; its first byte chooses the status.
    pub fn answers(self, bytes: &[u8]) -> Self {
        for part in bytes.split(|byte| *byte == 0) {
            let (first, body) = part.split_first().unwrap_or((&0, &[]));
            let status = STATUSES[usize::from(*first) % STATUSES.len()];
            self.answers.borrow_mut().push_back((status, body.to_vec()));
        }
        self
    }
}

impl Connect for Play {
    fn connect(&self) -> Result<Box<dyn Http>, HttpError> {
        Ok(Box::new(self.clone()))
    }
}

impl Http for Play {
    fn send(&self, request: &Request) -> Result<Response, HttpError> {
        let url = request.url().as_str();
        let local = ["http://127.", "http://localhost", "http://[::1]"];
        assert!(url.starts_with("https://") || local.iter().any(|prefix| url.starts_with(prefix)), "{url}");
        let (status, body) = self.answers.borrow_mut().pop_front().ok_or(HttpError::Client("the end"))?;
        Ok(Response::new(status, body))
    }
}

pub fn settings() -> Settings {
    Settings {
        client_id: CLIENT.into(),
        client_secret: None,
        issuer: Issuer::parse(ISSUER).ok(),
        entra: None,
        device_url: None,
        token_url: None,
        introspection_url: None,
        scopes: vec!["openid".into()],
        validation: Validation::IdToken,
        username_claims: vec!["preferred_username".into()],
        groups_claim: "groups".into(),
        needs_groups: true,
        subject_from_username: false,
    }
}

pub fn entra_settings() -> Settings {
    let tenant = TenantId::parse(TENANT).expect("a GUID");
    let entra = Entra {
        tenant: Tenant::Id(tenant.clone()),
        allowed_tenants: [(tenant, Vec::new())].into(),
        allow_guests: false,
        authority: "https://login.microsoftonline.com".into(),
        graph: "https://graph.microsoft.com".into(),
        issuer: "https://login.microsoftonline.com".into(),
        issuer_v1: "https://sts.windows.net".into(),
    };
    Settings { entra: Some(entra), issuer: None, ..settings() }
}

pub fn start(settings: &Settings, play: &Play) -> Result<DeviceGrant, ProviderError> {
    Provider::new(settings, play, &TestClock::at(NOW)).start()
}

/// A whole login of at most a quarter of an hour.
pub fn log_in(settings: &Settings, play: &Play) -> Result<VerifiedClaims, ProviderError> {
    let clock = TestClock::at(NOW);
    let provider = Provider::new(settings, play, &clock);
    let grant = provider.start()?;
    provider.poll(&grant, Duration::from_secs(900))
}

pub fn discovery_document() -> Value {
    json!({
        "issuer": ISSUER,
        "device_authorization_endpoint": "https://id.example.com/device",
        "token_endpoint": "https://id.example.com/token",
        "introspection_endpoint": "https://id.example.com/introspect",
        "jwks_uri": "https://id.example.com/keys",
    })
}

pub fn device_answer() -> Value {
    json!({
        "device_code": "D", "user_code": "WDJB-MJHT", "verification_uri": "https://id.example.com/activate",
        "expires_in": 600, "interval": 5,
    })
}

pub fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "s", "aud": CLIENT, "exp": NOW + 300, "iat": NOW, "preferred_username": "ann",
        "groups": ["staff"],
    })
}

pub fn tokens(id_token: &str) -> Value {
    json!({"access_token": "AT", "token_type": "Bearer", "id_token": id_token})
}

fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("32 bytes")
}

/// `x` of the one key that signs here; the same in every run, so that it can stand in a corpus.
pub fn public_key() -> String {
    URL_SAFE_NO_PAD.encode(key().public_key())
}

pub fn key_set() -> Value {
    json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "use": "sig", "alg": "EdDSA", "x": public_key()}]})
}

/// A token with a good signature over any header and payload.
pub fn signed(header: &[u8], payload: &[u8]) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = key().sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}
