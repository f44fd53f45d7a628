//! The provider, asked for real: discovery and one device code, which nobody uses.

use super::kind;
use crate::cli::Kind;
use crate::failure::Failure;
use crate::output::{field, progress, say, warn};
use pam_oauth2::login::{self, ask_for_code};
use pam_oauth2::name_service::limit_lookups;
use pam_oauth2::oauth::ProviderErrorKind;
use shared::clock::SystemClock;
use shared::config::Config;

/// Does the provider give this machine a code?
///
/// # Errors
/// What it says instead, and what to mend.
pub(super) fn ask(config: &Config, kind: Option<Kind>) -> Result<(), Failure> {
    if crate::image::is_image() {
        warn("the provider was not asked: this is not the machine that will ask it");
        return Ok(());
    }
    progress("asking the provider for a code …");
    let connect = login::https(&config.provider, limit_lookups);
    match ask_for_code(config, connect.as_ref(), &SystemClock::new()) {
        Ok(grant) => {
            say(&format!("the provider answers; people will be sent to {}", grant.verification_uri));
            field("verification_uri", grant.verification_uri);
            Ok(())
        }
        Err(error) => {
            let text = format!("{error}. {}", kind::remedy(kind, &error));
            Err(match error.kind() {
                ProviderErrorKind::Unreachable | ProviderErrorKind::Certificate => Failure::Unreachable(text),
                _ => Failure::Other(text),
            })
        }
    }
}
