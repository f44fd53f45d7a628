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
pub(super) struct KeySet(Vec<Jwk>);

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

    /// The key named `kid`, if it may verify a signature made with `algorithm`.
    ///
    /// # Errors
    /// [`TokenFault::UnknownKey`], [`TokenFault::UnfitKey`] or [`TokenFault::SmallKey`].
    pub(super) fn find(&self, kid: &str, algorithm: Algorithm) -> Result<DecodingKey, TokenFault> {
        let mut named = self.0.iter().filter(|key| key.common.key_id.as_deref() == Some(kid)).peekable();
        if named.peek().is_none() {
            return Err(TokenFault::UnknownKey);
        }
        let jwk = named.find(|key| is_fit(key, algorithm)).ok_or(TokenFault::UnfitKey)?;
        let key = DecodingKey::from_jwk(jwk).map_err(|_| TokenFault::UnfitKey)?;
        match key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, .. } if bits(n) < RSA_BITS_MIN => {
                Err(TokenFault::SmallKey)
            }
            _ => Ok(key),
        }
    }
}

/// The JSON of a set, its keys not looked at yet.
#[derive(Deserialize)]
pub(super) struct RawKeySet {
    keys: Vec<Value>,
}

impl From<RawKeySet> for KeySet {
    fn from(raw: RawKeySet) -> Self {
        Self(raw.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect())
    }
}

/// For signatures, for this algorithm, and of its family. A symmetric key (`oct`) is of no family of ours.
fn is_fit(jwk: &Jwk, algorithm: Algorithm) -> bool {
    let common = &jwk.common;
    let for_signatures = common.public_key_use.as_ref().is_none_or(|used| *used == PublicKeyUse::Signature)
        && common
            .key_operations
            .as_ref()
            .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    let for_algorithm = common.key_algorithm.is_none_or(|named| named == KeyAlgorithm::from(algorithm));
    for_signatures && for_algorithm && is_of_family(&jwk.algorithm, algorithm)
}

/// The crate's own check stops at "RSA", "EC" or "Ed"; the curve is part of the algorithm (RFC 7518 §3.4, RFC 8037).
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
