//! Key sets: any bytes. A token is believed only where the set holds the key that signed it.
//!
//!     cargo +nightly fuzz run key_set fuzz/corpus/key_set
#![no_main]

use fuzz::Play;
use libfuzzer_sys::fuzz_target;

const HEADERS: [&str; 4] = [
    r#"{"alg":"EdDSA","kid":"k"}"#,
    r#"{"alg":"RS256","kid":"k"}"#,
    r#"{"alg":"ES256","kid":"k"}"#,
    r#"{"alg":"ES512","kid":"k"}"#,
];

fuzz_target!(|bytes: &[u8]| {
    for header in HEADERS {
        let token = fuzz::signed(header.as_bytes(), fuzz::claims().to_string().as_bytes());
        let play = Play::default()
            .answer(fuzz::discovery_document().to_string())
            .answer(fuzz::device_answer().to_string())
            .answer(fuzz::tokens(&token).to_string())
            .answer(bytes)
            .answer(bytes);
        if fuzz::log_in(&fuzz::settings(), &play).is_ok() {
            let text = String::from_utf8_lossy(bytes);
            assert!(header.contains("EdDSA") && text.contains("\"keys\"") && text.contains("OKP"), "{text}");
        }
    }
});
