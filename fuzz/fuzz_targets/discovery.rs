//! Discovery documents: any bytes, for id_token and introspection, and what Entra says of a domain. A document counts only
//! for the configured issuer, and leads nowhere but to https or to this machine (which every request checks).
//!
//!     cargo +nightly fuzz run discovery fuzz/corpus/discovery
#![no_main]

use fuzz::Play;
use libfuzzer_sys::fuzz_target;
use pam_oauth2::oauth::{Settings, Validation};
use serde_json::Value;
use shared::config::Tenant;

fuzz_target!(|bytes: &[u8]| {
    let play = || Play::default().answer(bytes).answer(fuzz::device_answer().to_string());
    for validation in [Validation::IdToken, Validation::Introspection] {
        let settings = Settings { validation, ..fuzz::settings() };
        if fuzz::start(&settings, &play()).is_ok() {
            let document: Value = serde_json::from_slice(bytes).expect("a document that was believed");
            assert_eq!(document["issuer"], fuzz::ISSUER);
        }
    }
    let mut entra = fuzz::entra_settings();
    if let Some(entra) = &mut entra.entra {
        entra.tenant = Tenant::Domain("contoso.com".into());
        entra.allowed_tenants.clear();
    }
    let _ = fuzz::start(&entra, &play());
});
