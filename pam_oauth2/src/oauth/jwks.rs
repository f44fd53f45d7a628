//! The provider's public keys (RFC 7517), and which of them may verify a token.

use super::error::{EndpointName, ProviderError};
use super::exchange::Exchange;
use super::http::{Endpoint, KEY_SET_LIMIT, Request};
use super::id_token::TokenFault;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use serde::Deserialize;
use serde_json::Value;

/// Smallest RSA modulus that counts, in bits (RFC 7518 §3.3).
const RSA_BITS_MIN: usize = 2048;

/// A key set. Keys of unknown shape are left out: RFC 7517 §5 says to ignore them.
#[derive(Debug)]
pub(super) struct KeySet(Vec<Key>);

/// A key, and what the crate's type of one has no place for.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) jwk: Jwk,
    /// `alg`, as written.
    pub(super) algorithm: Option<String>,
    /// `issuer`: whose tokens it may sign (Microsoft Entra ID).
    pub(super) issuer: Option<String>,
}

impl KeySet {
    /// Fetches the set.
    ///
    /// # Errors
    /// The set cannot be had, or the answer is none.
    pub(super) fn fetch(exchange: &Exchange<'_>, url: &Endpoint) -> Result<Self, ProviderError> {
        let endpoint = EndpointName::KeySet;
        let response = exchange.send_persistently(endpoint, &Request::get(url.clone(), KEY_SET_LIMIT))?;
        let keys: Option<RawKeySet> = if response.is_success() { response.json() } else { None };
        keys.map(Self::from).ok_or(ProviderError::Answer {
            endpoint,
            status: response.status(),
            missing: "no key set",
        })
    }

    /// The key named `kid` that may verify a signature made with `algorithm`.
    ///
    /// # Errors
    /// [`TokenFault::UnknownKey`], [`TokenFault::UnfitKey`] or [`TokenFault::SmallKey`].
    pub(super) fn find(&self, kid: &str, algorithm: Algorithm) -> Result<(&Key, DecodingKey), TokenFault> {
        let found = self.named(kid, |key| {
            let named = key.jwk.common.key_algorithm;
            named.is_none_or(|named| named == KeyAlgorithm::from(algorithm))
                && is_of_family(&key.jwk.algorithm, algorithm)
        })?;
        let key = DecodingKey::from_jwk(&found.jwk).map_err(|_| TokenFault::UnfitKey)?;
        match key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, .. } if bits(n) < RSA_BITS_MIN => {
                Err(TokenFault::SmallKey)
            }
            _ => Ok((found, key)),
        }
    }

    /// How many keys could verify a signature at all.
    pub(super) fn usable(&self) -> usize {
        let is_usable = |key: &&Key| {
            let algorithm = &key.jwk.algorithm;
            key.jwk.common.key_id.is_some()
                && is_for_signatures(&key.jwk)
                && !matches!(algorithm, AlgorithmParameters::OctetKey(_))
        };
        self.0.iter().filter(is_usable).count()
    }

    /// The first key named `kid` that is for signatures and `is_fit`.
    ///
    /// # Errors
    /// [`TokenFault::UnknownKey`] or [`TokenFault::UnfitKey`].
    pub(super) fn named(&self, kid: &str, is_fit: impl Fn(&Key) -> bool) -> Result<&Key, TokenFault> {
        let mut named = self.0.iter().filter(|key| key.jwk.common.key_id.as_deref() == Some(kid)).peekable();
        if named.peek().is_none() {
            return Err(TokenFault::UnknownKey);
        }
        named.find(|key| is_for_signatures(&key.jwk) && is_fit(key)).ok_or(TokenFault::UnfitKey)
    }
}

/// The JSON of a set, its keys not looked at yet.
#[derive(Deserialize)]
pub(super) struct RawKeySet {
    keys: Vec<Value>,
}

impl From<RawKeySet> for KeySet {
    fn from(raw: RawKeySet) -> Self {
        Self(raw.keys.into_iter().filter_map(Key::parse).collect())
    }
}

impl Key {
    /// `None` for a key of unknown shape: one that says something, only not how it should, must not count as silent.
    fn parse(key: Value) -> Option<Self> {
        let text = |name: &str| match key.get(name) {
            None => Some(None),
            Some(value) => value.as_str().map(|text| Some(text.to_owned())),
        };
        let (algorithm, issuer) = (text("alg")?, text("issuer")?);
        Some(Self { algorithm, issuer, jwk: serde_json::from_value(key).ok()? })
    }
}

fn is_for_signatures(jwk: &Jwk) -> bool {
    let common = &jwk.common;
    common.public_key_use.as_ref().is_none_or(|used| *used == PublicKeyUse::Signature)
        && common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify))
}

/// The crate's own check stops at "RSA", "EC" or "Ed"; the curve is part of the algorithm (RFC 7518 §3.4, RFC 8037). A
/// symmetric key (`oct`) is of no family of ours.
fn is_of_family(key: &AlgorithmParameters, algorithm: Algorithm) -> bool {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    match (key, algorithm) {
        (AlgorithmParameters::RSA(_), RS256 | RS384 | RS512 | PS256 | PS384 | PS512) => true,
        (AlgorithmParameters::EllipticCurve(key), ES256) => key.curve == EllipticCurve::P256,
        (AlgorithmParameters::EllipticCurve(key), ES384) => key.curve == EllipticCurve::P384,
        (AlgorithmParameters::OctetKeyPair(key), EdDSA) => key.curve == EllipticCurve::Ed25519,
        _ => false,
    }
}

/// Bits of a big-endian number, leading zeros not counted.
fn bits(number: &[u8]) -> usize {
    let significant = number.iter().skip_while(|byte| **byte == 0);
    let top = significant.clone().next().map_or(0, |byte| byte.leading_zeros() as usize);
    (significant.count() * 8).saturating_sub(top)
}
