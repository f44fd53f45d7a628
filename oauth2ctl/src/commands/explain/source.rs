//! Whose login is explained: claims from a file, or from a token.

use crate::cli::Explain;
use crate::failure::Failure;
use crate::output::{progress, warn};
use pam_oauth2::login;
use pam_oauth2::name_service::limit_lookups;
use pam_oauth2::oauth::{self, Presumed, Provider, ProviderError};
use pam_oauth2::outcome::LoginError;
use serde_json::{Map, Value};
use shared::clock::{Clock, SystemClock};
use shared::config::Config;
use shared::identity::claims::Claims;
use shared::types::Secret;
use shared::unique_keys::UniqueKeys;
use std::io::Read;
use std::path::Path;

/// More than any provider sends, in bytes.
const LIMIT: u64 = 256 * 1024;

/// What the provider says, or is said to say.
pub(super) struct Source {
    pub(super) claims: Claims,
    /// A signature, or the provider itself, vouches for it.
    pub(super) verified: bool,
    /// Groups matter, and are not all in here: a login would ask Microsoft Graph.
    pub(super) groups_elsewhere: bool,
}

pub(super) fn read(request: &Explain, config: &Config, clock: &SystemClock) -> Result<Source, Failure> {
    let settings = login::settings(config);
    let fault = |error: ProviderError| Failure::from(LoginError::from(error));
    let map = match &request.claims {
        Some(file) => object(file)?,
        None => {
            let token = Secret::new(standard_input("the token")?.trim().to_owned());
            if !request.unverified {
                progress("verifying the token at the provider …");
                let connect = login::https(&config.provider, limit_lookups);
                let claims =
                    Provider::new(&settings, connect.as_ref(), clock).verify(&token).map_err(fault)?;
                let payload = oauth::payload(&token).map_err(|error| fault(error.into()));
                // An access token that was introspected need not be readable.
                let is_elsewhere = payload.is_ok_and(|map| oauth::groups_are_elsewhere(&map, &settings));
                let groups_elsewhere = is_elsewhere && settings.needs_groups;
                return Ok(Source { claims, verified: true, groups_elsewhere });
            }
            warn("THE TOKEN WAS NOT VERIFIED: anybody can write one like it");
            oauth::payload(&token).map_err(|error| fault(error.into()))?
        }
    };
    let Presumed { claims, groups_elsewhere } =
        oauth::presume(map, &settings, clock.unix_seconds()).map_err(fault)?;
    Ok(Source { claims, verified: false, groups_elsewhere: groups_elsewhere && settings.needs_groups })
}

fn object(file: &Path) -> Result<Map<String, Value>, Failure> {
    let text = if file == Path::new("-") {
        standard_input("the claims")?
    } else {
        let open = std::fs::File::open(file);
        let mut text = String::new();
        open.and_then(|open| open.take(LIMIT).read_to_string(&mut text))
            .map_err(|error| Failure::Other(format!("{}: {error}", file.display())))?;
        text
    };
    let claims: UniqueKeys = serde_json::from_str(&text)
        .map_err(|error| Failure::Other(format!("{}: {error}", file.display())))?;
    Ok(claims.0)
}

fn standard_input(what: &str) -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(LIMIT)
        .read_to_string(&mut text)
        .map_err(|error| Failure::Other(format!("{what} cannot be read from standard input: {error}")))?;
    Ok(text)
}
