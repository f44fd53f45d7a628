//! id_tokens: any text, and any header and payload under a good signature. What is believed must obey the rules.
//!
//!     cargo +nightly fuzz run token fuzz/corpus/token
#![no_main]

use fuzz::{CLIENT, ENTRA_ISSUER, ENTRA_ISSUER_V1, ISSUER, NOW, Play, TENANT};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let is_entra = choice & 1 == 1;
    if choice & 2 == 2 {
        let token = String::from_utf8_lossy(bytes);
        assert!(log_in(is_entra, &token).is_none(), "nobody signed this: {token}");
        return;
    }
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (header, payload) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let Some(name) = log_in(is_entra, &fuzz::signed(header, payload)) else { return };
    let header: Value = serde_json::from_slice(header).expect("a header that was believed");
    assert!(header["alg"] == "EdDSA" && header["kid"] == "k" && header.get("crit").is_none_or(Value::is_null));
    let claims: Value = serde_json::from_slice(payload).expect("claims that were believed");
    let issuers = if is_entra { vec![ENTRA_ISSUER, ENTRA_ISSUER_V1] } else { vec![ISSUER] };
    assert!(issuers.iter().any(|issuer| claims["iss"] == *issuer));
    let audience = &claims["aud"];
    assert!(audience == CLIENT || audience.as_array().is_some_and(|all| all.contains(&CLIENT.into())));
    assert!(claims["exp"].as_f64().is_some_and(|exp| exp + 60.0 > NOW as f64));
    assert!(claims["sub"].is_string() && claims["preferred_username"] == name.as_str());
    if is_entra {
        assert!(claims["tid"].as_str().is_some_and(|tid| tid.eq_ignore_ascii_case(TENANT)));
        assert!(claims["oid"].is_string() && !name.to_ascii_uppercase().contains("#EXT#"));
    }
});

/// The name of whoever is let in.
fn log_in(is_entra: bool, token: &str) -> Option<String> {
    let settings = if is_entra { fuzz::entra_settings() } else { fuzz::settings() };
    let play = Play::default();
    let play = if is_entra { play } else { play.answer(fuzz::discovery_document().to_string()) };
    let keys = fuzz::key_set().to_string();
    let play = play
        .answer(fuzz::device_answer().to_string())
        .answer(fuzz::tokens(token).to_string())
        .answer(keys.clone())
        .answer(keys);
    fuzz::log_in(&settings, &play).ok().map(|verified| verified.claims().username.clone())
}
