//! How this client says who it is (RFC 6749 §2.3).

use super::Settings;
use super::http::{Basic, Endpoint, Request};
use oauth2::url::form_urlencoded::byte_serialize;
use shared::types::Secret;

/// A method of client authentication, by its registered name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientAuth {
    /// `none`: the client id alone, in the form.
    Public,
    /// `client_secret_basic`: id and secret in the Authorization header.
    Basic,
    /// `client_secret_post`: id and secret in the form.
    Post,
}

impl ClientAuth {
    /// The method for these settings at a provider that names the `supported` ones. Basic is what a provider supports
    /// that says nothing (RFC 8414 §2), and what RFC 6749 §2.3.1 makes every provider support.
    pub(super) fn choose(settings: &Settings, supported: Option<&[String]>) -> Self {
        let supports = |name: &str| supported.is_some_and(|names| names.iter().any(|n| n == name));
        if settings.client_secret.is_none() {
            Self::Public
        } else if supports("client_secret_post") && !supports("client_secret_basic") {
            Self::Post
        } else {
            Self::Basic
        }
    }

    /// A POST of `fields` that carries the client's identity in exactly one place, as RFC 6749 §2.3 demands.
    pub(super) fn post(
        self,
        settings: &Settings,
        url: &Endpoint,
        fields: Vec<(&'static str, Secret)>,
    ) -> Request {
        let mut fields = fields;
        let secret = settings.client_secret.as_ref();
        match (self, secret) {
            (Self::Basic, Some(secret)) => {
                return Request::post(url.clone(), fields, Some(basic(settings, secret)));
            }
            (Self::Post, Some(secret)) => fields.push(("client_secret", secret.clone())),
            _ => {}
        }
        fields.push(("client_id", Secret::new(settings.client_id.clone())));
        Request::post(url.clone(), fields, None)
    }
}

/// RFC 6749 §2.3.1 form-encodes both halves before they are joined.
fn basic(settings: &Settings, secret: &Secret) -> Basic {
    Basic {
        user: byte_serialize(settings.client_id.as_bytes()).collect(),
        password: Secret::new(byte_serialize(secret.expose().as_bytes()).collect()),
    }
}
