//! Keys, key sets and tokens for tests, made anew in each run.

use super::test_support::{ISSUER, NOW};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, crypto, encode};
use serde_json::{Value, json};
use std::sync::LazyLock;

pub(super) static RSA: LazyLock<EncodingKey> = LazyLock::new(rsa);
pub(super) static OTHER_RSA: LazyLock<EncodingKey> = LazyLock::new(rsa);
pub(super) static EC256: LazyLock<EncodingKey> = LazyLock::new(|| {
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    EncodingKey::from_ec_der(key.unwrap().as_ref())
});
pub(super) static EC384: LazyLock<EncodingKey> = LazyLock::new(|| {
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &SystemRandom::new());
    EncodingKey::from_ec_der(key.unwrap().as_ref())
});
pub(super) static ED25519: LazyLock<EncodingKey> = LazyLock::new(|| {
    EncodingKey::from_ed_der(Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).unwrap().as_ref())
});

fn rsa() -> EncodingKey {
    let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let pkcs8: aws_lc_rs::encoding::Pkcs8V1Der<'_> = key.as_der().unwrap();
    // jsonwebtoken wants PKCS #1, which PKCS #8 wraps in 26 bytes of header (RFC 5208 §5).
    EncodingKey::from_rsa_der(&pkcs8.as_ref()[26..])
}

/// The public half of `key` as the provider publishes it, under `kid`.
pub(super) fn jwk(kid: &str, key: &EncodingKey, algorithm: Algorithm) -> Value {
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(key, algorithm).unwrap()).unwrap();
    jwk["kid"] = json!(kid);
    jwk["use"] = json!("sig");
    jwk
}

/// An RSA public key of so many bits. Nobody has its private half.
pub(super) fn rsa_of_bits(kid: &str, bits: usize) -> Value {
    let key = DecodingKey::from_rsa_raw_components(&vec![0xff; bits / 8], &[1, 0, 1]);
    let mut jwk = serde_json::to_value(Jwk::from_decoding_key(&key, None).unwrap()).unwrap();
    jwk["kid"] = json!(kid);
    jwk
}

/// What an id_token of this login says.
pub(super) fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "sub": "248289761001",
        "aud": "client",
        "exp": NOW + 300,
        "iat": NOW,
        "preferred_username": "ann",
        "groups": ["staff"],
    })
}

pub(super) fn header(algorithm: Algorithm, kid: &str) -> Header {
    Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) }
}

/// A token with the claims of [`claims`] changed by `change`, signed with RS256 under the kid `rsa`.
pub(super) fn token(change: impl FnOnce(&mut Value)) -> String {
    let mut claims = claims();
    change(&mut claims);
    encode(&header(Algorithm::RS256, "rsa"), &claims, &RSA).unwrap()
}

/// A token of any header and payload, signed with RS256.
pub(super) fn raw_token(header: &str, payload: &str) -> String {
    let message = format!("{}.{}", base64url(header), base64url(payload));
    let signature = crypto::sign(message.as_bytes(), &RSA, Algorithm::RS256).unwrap();
    format!("{message}.{signature}")
}

pub(super) fn base64url(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits =
            chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            out.push(char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    out
}
