//! What the kinds of provider have of their own: the form of the address, what to ask for, and what to mend where the
//! provider refuses.

use crate::cli::Kind;
use pam_oauth2::oauth::{EndpointName, ProviderError, ProviderErrorKind};
use serde_json::{Map, Value, json};

/// Google has one issuer.
pub(super) const GOOGLE: &str = "https://accounts.google.com";

/// The kind that a configuration was made for.
pub(super) fn of(map: &Map<String, Value>) -> Option<Kind> {
    if map.contains_key("tenant_id") {
        return Some(Kind::Entra);
    }
    let issuer = map.get("issuer")?.as_str()?;
    Some(match issuer {
        GOOGLE => Kind::Google,
        _ if issuer.contains("/realms/") => Kind::Keycloak,
        _ if issuer.contains(".okta.com") || issuer.contains(".oktapreview.com") => Kind::Okta,
        _ => Kind::Oidc,
    })
}

/// The address in the form of the kind.
///
/// # Errors
/// What is wrong with it, and the form.
pub(super) fn place(kind: Kind, text: &str) -> Result<String, String> {
    let text = text.trim();
    if kind == Kind::Entra {
        return tenant(text);
    }
    let host =
        text.strip_prefix("https://").map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    if !host.is_some_and(|host| !host.is_empty() && !host.contains(['@', ' ']))
        || text.contains(['?', '#', ' '])
    {
        return Err(format!("\"{text}\" is no https URL; the form is {}", form(kind)));
    }
    let bare = text.trim_end_matches('/');
    let path =
        bare.strip_prefix("https://").and_then(|rest| rest.split_once('/')).map_or("", |(_, path)| path);
    let fits = match kind {
        Kind::Google => bare == GOOGLE,
        Kind::Keycloak => path.split_once("realms/").is_some_and(|(before, realm)| {
            !realm.is_empty() && !realm.contains('/') && (before.is_empty() || before.ends_with('/'))
        }),
        Kind::Okta => {
            let server = path.strip_prefix("oauth2/");
            !host.is_some_and(|host| host.contains("-admin."))
                && (path.is_empty() || server.is_some_and(|s| !s.is_empty() && !s.contains('/')))
        }
        Kind::Oidc | Kind::Entra => true,
    };
    if !fits {
        return Err(format!("\"{text}\" is no issuer of this kind; the form is {}", form(kind)));
    }
    // An OpenID issuer is compared byte by byte: elsewhere than at these two a final slash may be part of it.
    Ok(if kind == Kind::Oidc { text } else { bare }.to_owned())
}

fn tenant(text: &str) -> Result<String, String> {
    let is_id = text.len() == 36 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    if is_id && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    if matches!(text, "common" | "organizations" | "consumers") {
        return Err(format!("\"{text}\" is everybody's: name one tenant"));
    }
    domain(text).map_err(|_| {
        format!("\"{text}\" is neither a tenant's id nor a domain; the form is {}", form(Kind::Entra))
    })
}

/// What an address looks like.
pub(super) fn form(kind: Kind) -> &'static str {
    match kind {
        Kind::Entra => "11111111-2222-3333-4444-555555555555, or example.onmicrosoft.com",
        Kind::Keycloak => "https://sso.example.com/realms/REALM",
        Kind::Google => GOOGLE,
        Kind::Okta => "https://ORG.okta.com, or https://ORG.okta.com/oauth2/SERVER",
        Kind::Oidc => "https://id.example.com",
    }
}

/// A DNS name with a dot in it.
///
/// # Errors
/// It is none.
pub(super) fn domain(text: &str) -> Result<String, String> {
    let text = text.trim().trim_start_matches('@').to_ascii_lowercase();
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.contains('.') && text.split('.').all(label) {
        Ok(text)
    } else {
        Err(format!("\"{text}\" is no domain such as example.com"))
    }
}

/// The pattern of names that may sign in for the first time, where nobody said another.
pub(super) fn pattern(kind: Option<Kind>, username_map: Option<&str>) -> &'static str {
    // Keycloak's own user names have no domain.
    if username_map == Some("strip_domain") || kind == Some(Kind::Keycloak) { "*" } else { "*@*" }
}

/// Keys that a kind needs.
pub(super) fn defaults(kind: Option<Kind>, groups: bool) -> Vec<(String, Value)> {
    match kind {
        // Google knows no preferred_username, and no groups.
        Some(Kind::Google) => vec![
            ("scope".into(), json!("openid email profile")),
            ("username_claims".into(), json!(["email"])),
        ],
        Some(Kind::Okta) if groups => vec![("scope".into(), json!("openid profile groups"))],
        _ => Vec::new(),
    }
}

/// What to mend where the provider refuses, in a sentence.
pub(super) fn remedy(kind: Option<Kind>, error: &ProviderError) -> &'static str {
    match error {
        ProviderError::Missing(_) => {
            "Does the provider offer the device authorization grant (RFC 8628), and is this the right issuer?"
        }
        ProviderError::Issuer { .. } => "Write the issuer as the document has it, to the last character.",
        ProviderError::Connect(_) => "Is --ca-file a bundle of certificates in PEM?",
        ProviderError::Refused { endpoint: EndpointName::DeviceAuthorization, .. } => registration(kind),
        _ => match error.kind() {
            ProviderErrorKind::Unreachable => "Are the name, the network and a firewall in order?",
            ProviderErrorKind::Certificate => {
                "A provider with a certificate authority of its own needs --ca-file FILE."
            }
            ProviderErrorKind::BadAnswer => "Is this the address of the provider itself?",
            _ => registration(kind),
        },
    }
}

fn registration(kind: Option<Kind>) -> &'static str {
    match kind {
        Some(Kind::Entra) => {
            "In the app registration: Authentication, \"Allow public client flows\": Yes, and the right application (client) id."
        }
        Some(Kind::Keycloak) => {
            "In the client: turn on \"OAuth 2.0 Device Authorization Grant\"; with \"Client authentication\" on, give its secret by \
             --secret-file."
        }
        Some(Kind::Google) => {
            "The client must be of the type \"TVs and Limited Input devices\"; its secret goes into --secret-file."
        }
        Some(Kind::Okta) => {
            "In the native application: turn on the grant type \"Device Authorization\", and assign the people to it."
        }
        _ => {
            "Is the client registered under this id, for the device authorization grant, and for these scopes? A client that is not \
             public needs --secret-file."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_knows_the_form_of_its_address() {
        let good = [
            (Kind::Entra, "Example.onmicrosoft.com", "example.onmicrosoft.com"),
            (Kind::Entra, "AAAAAAAA-2222-3333-4444-555555555555", "aaaaaaaa-2222-3333-4444-555555555555"),
            (Kind::Keycloak, "https://sso.example.com/realms/staff/", "https://sso.example.com/realms/staff"),
            (
                Kind::Keycloak,
                "https://sso.example.com/auth/realms/x",
                "https://sso.example.com/auth/realms/x",
            ),
            (Kind::Google, "https://accounts.google.com/", GOOGLE),
            (Kind::Okta, "https://org.okta.com", "https://org.okta.com"),
            (Kind::Okta, "https://org.okta.com/oauth2/default", "https://org.okta.com/oauth2/default"),
            (Kind::Oidc, " https://id.example.com/ ", "https://id.example.com/"),
        ];
        for (kind, text, expected) in good {
            assert_eq!(place(kind, text).as_deref(), Ok(expected));
        }
        let bad = [
            (Kind::Entra, "common"),
            (Kind::Entra, "not a tenant"),
            (Kind::Entra, ""),
            (Kind::Keycloak, "https://sso.example.com"),
            (Kind::Keycloak, "https://sso.example.com/realms/"),
            (Kind::Keycloak, "https://sso.example.com/realms/a/protocol"),
            (Kind::Google, "https://google.com"),
            (Kind::Okta, "https://org-admin.okta.com"),
            (Kind::Okta, "https://org.okta.com/app/x"),
            (Kind::Oidc, "http://id.example.com"),
            (Kind::Oidc, "id.example.com"),
            (Kind::Oidc, "https://"),
            (Kind::Oidc, "https://u:p@id.example.com"),
        ];
        for (kind, text) in bad {
            assert!(place(kind, text).is_err(), "{kind:?} {text}");
        }
    }

    #[test]
    fn a_domain_has_a_dot_and_no_at() {
        assert_eq!(domain("@Example.COM").as_deref(), Ok("example.com"));
        for text in ["example", "", "a b.c", "-a.b", "a..b", "ann@example.com"] {
            assert!(domain(text).is_err(), "{text}");
        }
    }
}
