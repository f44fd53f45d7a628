//! ES512, ECDSA over P-521 with SHA-512 (RFC 7518 §3.4), which the crate jsonwebtoken does not know.

use super::{TokenFault, Verified};
use crate::oauth::jwks::{Key, KeySet};
use aws_lc_rs::signature::{ECDSA_P521_SHA512_FIXED, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve};
use shared::unique_keys::UniqueKeys;

/// Bytes of a coordinate (RFC 7518 §6.2.1.2).
const COORDINATE: usize = 66;

/// The claims, if the signature is that of the key named by `kid`.
pub(super) fn verify(token: &str, kid: &str, keys: &KeySet) -> Result<Verified, TokenFault> {
    let key = keys.named(kid, |key| {
        key.algorithm.as_deref().is_none_or(|algorithm| algorithm == "ES512") && point(key).is_some()
    })?;
    let point = point(key).ok_or(TokenFault::UnfitKey)?;
    let (message, signature) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
    let (_, payload) = message.split_once('.').ok_or(TokenFault::Malformed)?;
    let signature = decode(signature).ok_or(TokenFault::Malformed)?;
    UnparsedPublicKey::new(&ECDSA_P521_SHA512_FIXED, point)
        .verify(message.as_bytes(), &signature)
        .map_err(|_| TokenFault::Signature)?;
    let payload = decode(payload).ok_or(TokenFault::Malformed)?;
    let UniqueKeys(claims) = serde_json::from_slice(&payload).map_err(|_| TokenFault::Malformed)?;
    Ok(Verified { claims, key_issuer: key.issuer.clone() })
}

/// The public key as an uncompressed point (SEC 1 §2.3.3).
fn point(key: &Key) -> Option<Vec<u8>> {
    let AlgorithmParameters::EllipticCurve(key) = &key.jwk.algorithm else { return None };
    let (x, y) = (decode(&key.x)?, decode(&key.y)?);
    let is_point = key.curve == EllipticCurve::P521 && x.len() == COORDINATE && y.len() == COORDINATE;
    is_point.then(|| [&[4], x.as_slice(), y.as_slice()].concat())
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
