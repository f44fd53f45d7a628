//! What an administrator asks where a login fails as a whole: which step on the way to the provider does not work. Nobody
//! signs in here, and nothing that is learned admits anybody.

use super::super::discovery::{self, Proof};
use super::super::error::{EndpointName, ProviderError};
use super::super::exchange::Exchange;
use super::super::http::{BODY_LIMIT, Endpoint, Request};
use super::super::jwks::KeySet;
use super::Provider;

/// Where a login sends its requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Device authorization endpoint.
    pub device: Endpoint,
    /// Token endpoint.
    pub token: Endpoint,
    /// Keys of id_tokens; `None` where introspection proves who signed in.
    pub keys: Option<Endpoint>,
}

impl Provider<'_> {
    /// The address that a login asks first.
    ///
    /// # Errors
    /// None is configured, or it may not be asked.
    pub fn first_address(&self) -> Result<Endpoint, ProviderError> {
        let settings = self.settings;
        let well_known = |base: &str| format!("{base}/.well-known/openid-configuration");
        let (key, url) = match (&settings.entra, &settings.issuer, &settings.device_url) {
            (Some(entra), _, _) => {
                let base = format!("{}/{}/v2.0", entra.authority, entra.tenant.as_str());
                ("azure_authority", well_known(&base))
            }
            (_, Some(issuer), _) => ("issuer", well_known(issuer.as_str().trim_end_matches('/'))),
            (_, _, Some(url)) => ("oauth_device_url", url.clone()),
            _ => return Err(ProviderError::Missing("neither an issuer nor oauth_device_url is configured")),
        };
        Endpoint::parse(&url).map_err(|fault| ProviderError::Url { key, fault })
    }

    /// Asks that address; an answer of any status shows that the way is open. Returns its `Date` in seconds since 1970.
    ///
    /// # Errors
    /// There is no answer.
    pub fn greet(&self) -> Result<Option<u64>, ProviderError> {
        let exchange = Exchange::open(self.connect, self.clock, None)?;
        let request = Request::get(self.first_address()?, BODY_LIMIT);
        let response = exchange
            .send_anyway(&request)
            .map_err(|source| ProviderError::Http { endpoint: EndpointName::Discovery, source })?;
        Ok(response.date())
    }

    /// Finds the endpoints.
    ///
    /// # Errors
    /// The discovery document cannot be had or is another issuer's, or an endpoint is missing.
    pub fn find(&self) -> Result<Addresses, ProviderError> {
        let exchange = Exchange::open(self.connect, self.clock, None)?;
        let found = discovery::find(&exchange, self.settings)?;
        let keys = match found.proof {
            Proof::IdToken { keys, .. } | Proof::Entra { keys, .. } => Some(keys),
            Proof::Introspection(_) => None,
        };
        Ok(Addresses { device: found.device, token: found.token, keys })
    }

    /// How many keys at this address could verify an id_token.
    ///
    /// # Errors
    /// The key set cannot be had.
    pub fn count_keys(&self, keys: &Endpoint) -> Result<usize, ProviderError> {
        let exchange = Exchange::open(self.connect, self.clock, None)?;
        Ok(KeySet::fetch(&exchange, keys)?.usable())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::test_support::*;
    use super::*;
    use serde_json::json;

    #[test]
    fn each_step_is_asked_alone() {
        let settings = openid_settings();
        let keys = json!({"keys": [{"kty": "RSA", "kid": "1", "n": "AQAB", "e": "AQAB"},
                                   {"kty": "oct", "kid": "2", "k": "AQAB"},
                                   {"kty": "RSA", "kid": "3", "n": "AQAB", "e": "AQAB", "use": "enc"}]});
        let script = Script::new(vec![
            (DISCOVERY, Reply::Text(404, "")),
            (DISCOVERY, Reply::Json(200, discovery_document())),
            (KEYS, Reply::Json(200, keys)),
        ]);
        let provider = Provider::new(&settings, &script, script.clock());
        assert_eq!(provider.first_address().unwrap().as_str(), DISCOVERY);
        assert_eq!(provider.greet().unwrap(), None, "any status shows that the way is open");
        let found = provider.find().unwrap();
        assert_eq!((found.device.as_str(), found.token.as_str()), (DEVICE, TOKEN));
        assert_eq!(provider.count_keys(&found.keys.unwrap()).unwrap(), 1, "neither oct nor for encryption");
        script.played();
    }
}
