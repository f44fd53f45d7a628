//! Keys, key sets and tokens for tests, made anew in each run.

use super::test_support::{ISSUER, NOW};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
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

pub(super) static EC521: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P521_SHA512_FIXED_SIGNING).unwrap());

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

/// The public half of [`EC521`], which the crate cannot write.
pub(super) fn jwk_521(kid: &str) -> Value {
    let point = EC521.public_key().as_ref();
    let (x, y) = (&point[1..67], &point[67..]);
    let encode = |coordinate| URL_SAFE_NO_PAD.encode(coordinate);
    json!({"kty": "EC", "crv": "P-521", "kid": kid, "alg": "ES512", "use": "sig", "x": encode(x), "y": encode(y)})
}

/// A token of any header and payload, signed with ES512.
pub(super) fn raw_token_521(header: &str, payload: &str) -> String {
    let message = format!("{}.{}", base64url(header), base64url(payload));
    let signature = EC521.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
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
    URL_SAFE_NO_PAD.encode(text)
}
