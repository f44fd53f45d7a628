//! Where the provider's endpoints are: configured, or discovered (OpenID Connect Discovery §4, RFC 8414).

use super::client_auth::ClientAuth;
use super::entra::{self, Trust};
use super::error::ProviderError;
use super::exchange::{Exchange, fetch_document};
use super::http::Endpoint;
use super::{Settings, Validation};
use serde::Deserialize;
use shared::text::printable;
use shared::types::Issuer;

/// Everything a login asks, known before it starts: a login that could not be verified must not bother the person.
#[derive(Clone, Debug)]
pub(super) struct Endpoints {
    pub(super) device: Endpoint,
    pub(super) token: Endpoint,
    pub(super) proof: Proof,
    pub(super) auth: ClientAuth,
}

/// Where the proof of who signed in comes from.
#[derive(Clone, Debug)]
pub(super) enum Proof {
    /// The id_token of this issuer, under the keys at this address; a username it leaves out may be told elsewhere.
    IdToken { issuer: Issuer, keys: Endpoint, userinfo: Option<Endpoint> },
    /// The id_token of one of the tenants trusted, under the keys at this address.
    Entra { trust: Trust, keys: Endpoint },
    /// The provider's answer at this address.
    Introspection(Endpoint),
}

/// The members of the discovery document that matter here.
#[derive(Default, Deserialize)]
struct Document {
    issuer: String,
    device_authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    introspection_endpoint: Option<String>,
    jwks_uri: Option<String>,
    userinfo_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// The endpoints of `settings`; the discovery document, where there is an issuer, fills those not given.
///
/// # Errors
/// The document cannot be had or is another issuer's, or an endpoint is missing or may not be asked.
pub(super) fn find(exchange: &Exchange<'_>, settings: &Settings) -> Result<Endpoints, ProviderError> {
    if let Some(entra) = &settings.entra {
        return entra::endpoints(exchange, settings, entra);
    }
    let document = match &settings.issuer {
        Some(issuer) => fetch(exchange, issuer)?,
        None => Document::default(),
    };
    resolve(settings, &document)
}

fn fetch(exchange: &Exchange<'_>, issuer: &Issuer) -> Result<Document, ProviderError> {
    // §4.1: a final slash goes before the well-known path is appended.
    let base = issuer.as_str().trim_end_matches('/');
    let url = Endpoint::parse(&format!("{base}/.well-known/openid-configuration"))
        .map_err(|fault| ProviderError::Url { key: "issuer", fault })?;
    let document: Document = fetch_document(exchange, url)?;
    // §4.3: "MUST exactly match". Otherwise one provider could speak for another.
    if document.issuer != issuer.as_str() {
        return Err(ProviderError::Issuer {
            configured: issuer.as_str().to_owned(),
            found: printable(&document.issuer, 255),
        });
    }
    Ok(document)
}

fn resolve(settings: &Settings, document: &Document) -> Result<Endpoints, ProviderError> {
    Ok(Endpoints {
        device: pick(
            ("oauth_device_url", settings.device_url.as_deref()),
            ("device_authorization_endpoint", document.device_authorization_endpoint.as_deref()),
            "no oauth_device_url is configured, and discovery knows no device_authorization_endpoint: \
             the provider offers no device authorization, or not under this issuer",
        )?,
        token: pick(
            ("oauth_token_url", settings.token_url.as_deref()),
            ("token_endpoint", document.token_endpoint.as_deref()),
            "no oauth_token_url is configured, and discovery knows no token_endpoint",
        )?,
        proof: resolve_proof(settings, document)?,
        auth: ClientAuth::choose(settings, document.token_endpoint_auth_methods_supported.as_deref()),
    })
}

fn resolve_proof(settings: &Settings, document: &Document) -> Result<Proof, ProviderError> {
    match settings.validation {
        Validation::Introspection => Ok(Proof::Introspection(pick(
            ("oauth_token_introspect_url", settings.introspection_url.as_deref()),
            ("introspection_endpoint", document.introspection_endpoint.as_deref()),
            "no oauth_token_introspect_url is configured, and discovery knows no introspection_endpoint",
        )?)),
        Validation::IdToken => {
            let no_issuer = "id_token validation needs an issuer, and none is configured";
            let jwks_uri = ("jwks_uri", document.jwks_uri.as_deref());
            let userinfo = document.userinfo_endpoint.as_deref();
            Ok(Proof::IdToken {
                issuer: settings.issuer.clone().ok_or(ProviderError::Missing(no_issuer))?,
                keys: pick(("", None), jwks_uri, "discovery knows no jwks_uri")?,
                userinfo: userinfo.and_then(|url| Endpoint::parse(url).ok()),
            })
        }
    }
}

/// The configured address, else the discovered one; each is named in its error by the key it stands under.
fn pick(
    (key, url): (&'static str, Option<&str>),
    discovered: (&'static str, Option<&str>),
    missing: &'static str,
) -> Result<Endpoint, ProviderError> {
    given(key, url)
        .or_else(|| given(discovered.0, discovered.1))
        .unwrap_or(Err(ProviderError::Missing(missing)))
}

/// The address under `key`, where there is one.
pub(super) fn given(key: &'static str, url: Option<&str>) -> Option<Result<Endpoint, ProviderError>> {
    url.map(|url| Endpoint::parse(url).map_err(|fault| ProviderError::Url { key, fault }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::test_support::*;
    use serde_json::{Value, json};

    fn discover(settings: &Settings, reply: Reply) -> Result<Endpoints, ProviderError> {
        let script = Script::new(vec![(DISCOVERY, reply)]);
        let exchange = Exchange::open(&script, script.clock(), None)?;
        let endpoints = find(&exchange, settings);
        script.played();
        endpoints
    }

    fn with(key: &str, value: Value) -> Reply {
        let mut document = discovery_document();
        document[key] = value;
        Reply::Json(200, document)
    }

    #[test]
    fn discovery_fills_every_endpoint_that_is_not_configured() {
        let found = discover(&openid_settings(), Reply::Json(200, discovery_document())).unwrap();
        assert_eq!((found.device.as_str(), found.token.as_str()), (DEVICE, TOKEN));
        assert!(matches!(found.proof, Proof::IdToken { keys, .. } if keys.as_str() == KEYS));

        let mine = Some("https://proxy.example.com/token".to_owned());
        let settings =
            Settings { token_url: mine, validation: Validation::Introspection, ..openid_settings() };
        let found = discover(&settings, Reply::Json(200, discovery_document())).unwrap();
        assert_eq!(found.token.as_str(), "https://proxy.example.com/token");
        assert!(matches!(found.proof, Proof::Introspection(url) if url.as_str() == INTROSPECT));
    }

    #[test]
    fn a_document_of_another_issuer_is_never_used() {
        for issuer in
            ["https://id.example.com/", "https://ID.example.com", "https://evil.example.com", "\u{1b}[2J"]
        {
            let error = discover(&openid_settings(), with("issuer", json!(issuer))).unwrap_err();
            assert!(matches!(error, ProviderError::Issuer { .. }), "{issuer}: {error}");
            assert!(!error.to_string().contains('\u{1b}'));
        }
    }

    #[test]
    fn the_final_slash_of_an_issuer_is_not_doubled_and_not_forgotten() {
        let issuer = Some(Issuer::parse("https://id.example.com/").unwrap());
        let settings = Settings { issuer, ..openid_settings() };
        assert!(discover(&settings, with("issuer", json!("https://id.example.com/"))).is_ok());
        assert!(discover(&settings, Reply::Json(200, discovery_document())).is_err());
    }

    #[test]
    fn a_missing_endpoint_is_named() {
        for (key, named) in [
            ("device_authorization_endpoint", "oauth_device_url"),
            ("token_endpoint", "oauth_token_url"),
            ("jwks_uri", "jwks_uri"),
        ] {
            let error = discover(&openid_settings(), with(key, Value::Null)).unwrap_err().to_string();
            assert!(error.contains(key) && error.contains(named), "{error}");
        }
    }

    #[test]
    fn an_insecure_endpoint_is_never_asked() {
        for key in ["device_authorization_endpoint", "token_endpoint", "jwks_uri"] {
            let error =
                discover(&openid_settings(), with(key, json!("http://id.example.com/x"))).unwrap_err();
            assert!(error.to_string().starts_with(&format!("{key} must begin with https://")), "{error}");
        }
    }

    #[test]
    fn an_answer_that_is_no_document_is_refused() {
        for reply in [
            Reply::Text(200, "<html>"),
            Reply::Text(200, "[]"),
            Reply::Text(200, "{}"),
            Reply::Text(404, "{}"),
            Reply::Text(302, ""),
            with("token_endpoint", json!(5)),
        ] {
            assert!(discover(&openid_settings(), reply).is_err());
        }
    }

    #[test]
    fn without_an_issuer_nothing_is_discovered_and_no_id_token_is_verified() {
        let script = Script::new(vec![]);
        let exchange = Exchange::open(&script, script.clock(), None).unwrap();
        assert!(find(&exchange, &settings()).is_ok());
        let settings = Settings { validation: Validation::IdToken, ..settings() };
        assert!(find(&exchange, &settings).unwrap_err().to_string().contains("issuer"));
    }

    #[test]
    fn the_method_of_client_authentication_is_discovered() {
        let secret = settings().client_secret;
        let settings = Settings { client_secret: secret, ..openid_settings() };
        let methods = json!(["client_secret_post"]);
        let found = discover(&settings, with("token_endpoint_auth_methods_supported", methods)).unwrap();
        assert_eq!(found.auth, ClientAuth::Post);
    }
}
