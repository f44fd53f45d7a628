//! Verification of the id_token (OpenID Connect Core §3.1.3.7, RFC 7519, RFC 8725); rule 1 of the design.

mod es512;

use super::jwks::KeySet;
use super::verified::{ClaimMap, seconds};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::{CryptoProvider, aws_lc};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode};
use serde_json::Value;
use shared::unique_keys::UniqueKeys;
use std::str::FromStr;

/// How far the provider's clock and ours may be apart, in seconds.
const LEEWAY: u64 = 60;

/// Asymmetric signatures, and nothing else: no `none`, no `HS*`. The crate does not know ES512: see [`es512`].
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// The rule an id_token breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// The token answer holds none.
    #[error("the provider sent none (is openid among the scopes?)")]
    Absent,
    /// No JWS in compact form, or no JSON in it.
    #[error("no signed JSON Web Token")]
    Malformed,
    /// An algorithm that is not allowed: `none`, `HS*`, or an unknown one.
    #[error("its alg is none of RS, PS, ES, EdDSA")]
    Algorithm,
    /// `crit`: it wants extensions understood, and none are (RFC 7515 §4.1.11).
    #[error("it has a crit header")]
    Critical,
    /// `typ` names another kind of token.
    #[error("its typ is not JWT")]
    Kind,
    /// No `kid`.
    #[error("it has no kid")]
    NoKeyId,
    /// A `kid` that is not in the key set, fetched anew.
    #[error("its kid is not in the key set")]
    UnknownKey,
    /// The key named by `kid` is of another kind, another algorithm's, or not for signatures.
    #[error("the key of its kid is not one for its alg and for signatures")]
    UnfitKey,
    /// An RSA key of less than 2048 bits.
    #[error("the key of its kid has fewer than 2048 bits")]
    SmallKey,
    /// The signature is not the key's.
    #[error("the signature is wrong")]
    Signature,
    /// A claim is missing, or of another JSON type.
    #[error("{0} is missing or malformed")]
    Claim(&'static str),
    /// `iss` is not the issuer that is meant.
    #[error("iss is not the configured issuer")]
    Issuer,
    /// The signing key is for the tokens of another issuer.
    #[error("the key of its kid is for another issuer's tokens")]
    KeyIssuer,
    /// `aud` does not hold the client id.
    #[error("aud is not this client")]
    Audience,
    /// `azp` is another client, or missing although there are several audiences.
    #[error("azp is not this client")]
    AuthorizedParty,
    /// `exp` is past.
    #[error("it has expired (is the clock right?)")]
    Expired,
    /// `nbf` is to come.
    #[error("it is not valid yet (is the clock right?)")]
    NotYetValid,
    /// `iat` is before this login's start: a token of another login.
    #[error("it was issued before this login began (is the clock right?)")]
    Stale,
}

/// Whether the issuer is one that is meant; most often [`is_from`].
pub(super) type IssuerRule<'a> = &'a dyn Fn(&Verified) -> Result<(), TokenFault>;

/// What the token of this login must say. Times are seconds since 1970.
#[derive(Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) issuer: IssuerRule<'a>,
    pub(super) client_id: &'a str,
    /// When this login asked for its code.
    pub(super) started: u64,
    /// By how much the provider dates its tokens back.
    pub(super) backdating: u64,
    pub(super) now: u64,
}

/// A token's claims, every rule of this module checked.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) claims: ClaimMap,
    /// Whose tokens the signing key is for, where the key set says it.
    pub(super) key_issuer: Option<String>,
}

/// The claims of `token`, if every rule holds.
///
/// # Errors
/// The rule it breaks. [`TokenFault::UnknownKey`] is worth one more look with a new key set.
pub(super) fn verify(token: &str, keys: &KeySet, expected: &Expected<'_>) -> Result<Verified, TokenFault> {
    let header = Header::of(token)?;
    let verified = match header.algorithm {
        Signature::Es512 => es512::verify(token, &header.kid, keys)?,
        Signature::Known(algorithm) => signed_claims(token, &header.kid, algorithm, keys, expected)?,
    };
    (expected.issuer)(&verified)?;
    check_parties(&verified.claims, expected)?;
    check_times(&verified.claims, expected)?;
    Ok(verified)
}

/// `iss` is this issuer, byte by byte. (The crate's own check is content with an array that holds it among others.)
pub(super) fn is_from(verified: &Verified, issuer: &str) -> Result<(), TokenFault> {
    let iss = verified.claims.get("iss").ok_or(TokenFault::Claim("iss"))?;
    if iss == issuer { Ok(()) } else { Err(TokenFault::Issuer) }
}

/// Which signature a token says it has.
#[derive(Clone, Copy)]
enum Signature {
    /// One that the crate knows.
    Known(Algorithm),
    Es512,
}

/// What a JOSE header decides (RFC 7515 §4.1). Keys that it brings along or points to (`jwk`, `jku`, `x5c`, `x5u`) are not
/// even read.
struct Header {
    algorithm: Signature,
    kid: String,
}

impl Header {
    fn of(token: &str) -> Result<Self, TokenFault> {
        let header = token.split('.').next().and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
        let UniqueKeys(header) =
            header.and_then(|json| serde_json::from_slice(&json).ok()).ok_or(TokenFault::Malformed)?;
        let text = |name: &str| header.get(name).and_then(Value::as_str);
        let algorithm = text("alg").and_then(signature).ok_or(TokenFault::Algorithm)?;
        if header.contains_key("crit") {
            return Err(TokenFault::Critical);
        }
        // A token of another kind, an access token (RFC 9068) or a logout token, says what it is (RFC 8725 §3.11).
        if header.contains_key("typ") && !text("typ").is_some_and(|typ| typ.eq_ignore_ascii_case("JWT")) {
            return Err(TokenFault::Kind);
        }
        let kid = text("kid").filter(|kid| !kid.is_empty()).ok_or(TokenFault::NoKeyId)?.to_owned();
        Ok(Self { algorithm, kid })
    }
}

fn signature(name: &str) -> Option<Signature> {
    if name == "ES512" {
        return Some(Signature::Es512);
    }
    let known = Algorithm::from_str(name).ok()?;
    ALGORITHMS.contains(&known).then_some(Signature::Known(known))
}

fn signed_claims(
    token: &str,
    kid: &str,
    algorithm: Algorithm,
    keys: &KeySet,
    expected: &Expected<'_>,
) -> Result<Verified, TokenFault> {
    // Explicit, for a second backend that some crate's feature switches on would otherwise make the first use panic.
    // `Err` means that it was installed before.
    let _ = CryptoProvider::install_default(&aws_lc::DEFAULT_PROVIDER);
    let (found, key) = keys.find(kid, algorithm)?;
    let UniqueKeys(claims) = decode(token, &key, &validation(algorithm, expected))
        .map_err(|error| decode_fault(error.kind()))?
        .claims;
    Ok(Verified { claims, key_issuer: found.issuer.clone() })
}

/// Signature and `aud` are the crate's to check, which by default takes a token without one. The issuer is ours, for there
/// may be several, and so are the times ([`check_times`]): the crate reads the system's clock itself, and overflows in
/// 1970.
fn validation(algorithm: Algorithm, expected: &Expected<'_>) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&[expected.client_id]);
    validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation
}

/// Whom the token is about and for. The crate has looked at some of it, but never at an ES512 token.
fn check_parties(claims: &ClaimMap, expected: &Expected<'_>) -> Result<(), TokenFault> {
    claims.get("sub").and_then(Value::as_str).ok_or(TokenFault::Claim("sub"))?;
    let audiences = match claims.get("aud").ok_or(TokenFault::Claim("aud"))? {
        Value::Array(audiences) => audiences.as_slice(),
        audience => std::slice::from_ref(audience),
    };
    if !audiences.iter().any(|audience| audience.as_str() == Some(expected.client_id)) {
        return Err(TokenFault::Audience);
    }
    match claims.get("azp") {
        None if audiences.len() > 1 => Err(TokenFault::AuthorizedParty),
        Some(azp) if azp.as_str() != Some(expected.client_id) => Err(TokenFault::AuthorizedParty),
        _ => Ok(()),
    }
}

fn check_times(claims: &ClaimMap, expected: &Expected<'_>) -> Result<(), TokenFault> {
    let exp = seconds(claims, "exp").ok_or(TokenFault::Claim("exp"))?;
    let iat = seconds(claims, "iat").ok_or(TokenFault::Claim("iat"))?;
    if exp.saturating_add(LEEWAY) <= expected.now {
        return Err(TokenFault::Expired);
    }
    if claims.contains_key("nbf") {
        let nbf = seconds(claims, "nbf").ok_or(TokenFault::Claim("nbf"))?;
        if nbf > expected.now.saturating_add(LEEWAY) {
            return Err(TokenFault::NotYetValid);
        }
    }
    if iat.saturating_add(LEEWAY).saturating_add(expected.backdating) < expected.started {
        return Err(TokenFault::Stale);
    }
    Ok(())
}

/// The crate's own words may quote the token; ours do not.
fn decode_fault(kind: &ErrorKind) -> TokenFault {
    match kind {
        ErrorKind::InvalidAudience => TokenFault::Audience,
        ErrorKind::InvalidAlgorithm | ErrorKind::MissingAlgorithm => TokenFault::Algorithm,
        ErrorKind::InvalidKeyFormat => TokenFault::UnfitKey,
        ErrorKind::InvalidSignature => TokenFault::Signature,
        ErrorKind::MissingRequiredClaim(claim) => match claim.as_str() {
            "aud" => TokenFault::Claim("aud"),
            "iss" => TokenFault::Claim("iss"),
            "sub" => TokenFault::Claim("sub"),
            _ => TokenFault::Claim("exp"),
        },
        _ => TokenFault::Malformed,
    }
}

#[cfg(test)]
mod es512_tests;
#[cfg(test)]
mod tests;
