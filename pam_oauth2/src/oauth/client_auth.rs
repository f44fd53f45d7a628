//! How this client says who it is (RFC 6749 §2.3).

use super::Settings;
use super::http::{Basic, Endpoint, Request};
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
                let basic = Basic { client_id: settings.client_id.clone(), secret: secret.clone() };
                return Request::post(url.clone(), fields, Some(basic));
            }
            (Self::Post, Some(secret)) => fields.push(("client_secret", secret.clone())),
            _ => {}
        }
        fields.push(("client_id", Secret::new(settings.client_id.clone())));
        Request::post(url.clone(), fields, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::test_support::settings;

    fn choose(secret: bool, supported: Option<&[&str]>) -> ClientAuth {
        let secret = secret.then(|| Secret::new("s".to_owned()));
        let supported = supported.map(|names| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        ClientAuth::choose(&Settings { client_secret: secret, ..settings() }, supported.as_deref())
    }

    #[test]
    fn basic_is_the_default_and_post_only_where_basic_is_not_supported() {
        assert_eq!(choose(true, None), ClientAuth::Basic);
        assert_eq!(choose(true, Some(&["client_secret_post", "client_secret_basic"])), ClientAuth::Basic);
        assert_eq!(choose(true, Some(&["client_secret_post"])), ClientAuth::Post);
        assert_eq!(choose(true, Some(&["private_key_jwt"])), ClientAuth::Basic);
        assert_eq!(choose(false, Some(&["client_secret_post"])), ClientAuth::Public);
    }

    #[test]
    fn the_client_is_named_in_exactly_one_place() {
        let secret = Some(Secret::new("p%s s:/".to_owned()));
        let settings = Settings { client_id: "a b:c".to_owned(), client_secret: secret, ..settings() };
        let url = Endpoint::parse("https://id.example.com/token").unwrap();
        let post =
            |auth: ClientAuth| auth.post(&settings, &url, vec![("token", Secret::new("t".to_owned()))]);

        let basic = post(ClientAuth::Basic);
        let (user, password) = basic.basic().unwrap().encoded();
        assert_eq!((user.as_str(), password.expose()), ("a+b%3Ac", "p%25s+s%3A%2F"));
        assert_eq!((basic.field("client_id"), basic.field("client_secret")), (None, None));

        let form = post(ClientAuth::Post);
        assert_eq!((form.field("client_id"), form.field("client_secret")), (Some("a b:c"), Some("p%s s:/")));
        assert!(form.basic().is_none());

        let public = post(ClientAuth::Public);
        assert_eq!((public.field("client_id"), public.field("client_secret")), (Some("a b:c"), None));
        assert_eq!(public.field("token"), Some("t"));
    }
}
