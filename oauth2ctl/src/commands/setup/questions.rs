//! What setup asks: what neither an option nor the configuration of now says, and what nobody could find out.

use super::ask::{Question, ask, secret};
use super::draft::{AGE, Draft};
use super::kind;
use crate::cli::{Kind, Setup};
use crate::failure::Failure;
use clap::ValueEnum;
use serde_json::{Value, json};

/// Asks for everything that is not said by an option; what is configured already is the default.
pub(super) fn ask_everything(draft: &mut Draft, options: &Setup) -> Result<(), Failure> {
    if options.provider.is_none() {
        provider(draft)?;
        // Only now is it known what form they must have.
        for (option, place) in [("tenant", &options.tenant), ("issuer", &options.issuer)] {
            if let (Some(kind), Some(place)) = (draft.kind, place) {
                draft.set_place(kind, place).map_err(|why| Failure::Usage(format!("--{option}: {why}")))?;
            }
        }
    }
    if options.tenant.is_none() && options.issuer.is_none() {
        place(draft)?;
    }
    if options.client_id.is_none() {
        client(draft)?;
    }
    if options.secret_file.is_none() {
        client_secret(draft, draft.kind == Some(Kind::Google))?;
    }
    if options.allow_group.is_empty() {
        groups(draft)?;
    }
    if options.strip_domain.is_none() && options.domain.is_empty() {
        domain(draft)?;
    }
    if options.first_login.is_empty() && options.domain.is_empty() {
        first_login(draft)?;
    }
    if options.max_confirmation_age.is_none() {
        age(draft)?;
    }
    Ok(())
}

/// After a refusal of the provider: where it is, and who we are there.
pub(super) fn ask_provider_again(draft: &mut Draft) -> Result<(), Failure> {
    place(draft)?;
    client(draft)?;
    client_secret(draft, true)
}

/// What cannot be missing.
pub(super) fn require(draft: &Draft) -> Result<(), Failure> {
    let missing = |option: &str, what: &str| Err(Failure::Usage(format!("{what} is missing: give {option}")));
    if draft.kind.is_none() {
        return missing("entra, keycloak, google, okta or oidc", "the kind of provider");
    }
    if draft.kind == Some(Kind::Entra) && draft.text("tenant_id").is_none() {
        return missing("--tenant", "the tenant");
    }
    if draft.kind != Some(Kind::Entra) && draft.text("issuer").is_none() {
        return missing("--issuer", "the issuer");
    }
    if draft.text("client_id").is_none_or(str::is_empty) {
        return missing("--client-id", "the client id");
    }
    Ok(())
}

fn provider(draft: &mut Draft) -> Result<(), Failure> {
    let default = draft.kind.and_then(|kind| Some(kind.to_possible_value()?.get_name().to_owned()));
    let question = Question {
        text: "Provider",
        why: "Who signs people in? entra, keycloak, google, okta, or oidc for any other OpenID Connect provider.",
        default: default.as_deref(),
    };
    let kind = ask(&question, |text| {
        Kind::from_str(text, true)
            .map_err(|_| format!("\"{text}\" is none of entra, keycloak, google, okta, oidc"))
    })?;
    draft.turn_to(kind);
    Ok(())
}

fn place(draft: &mut Draft) -> Result<(), Failure> {
    let Some(kind) = draft.kind.filter(|kind| *kind != Kind::Google) else { return Ok(()) };
    let (key, text) = if kind == Kind::Entra { ("tenant_id", "Tenant") } else { ("issuer", "Issuer") };
    let why = format!(
        "Where is the provider? Everything else about it is found out from there. The form is {}",
        kind::form(kind)
    );
    let default = draft.text(key).map(str::to_owned);
    let place =
        ask(&Question { text, why: &why, default: default.as_deref() }, |text| kind::place(kind, text))?;
    draft.set(key, place);
    Ok(())
}

fn client(draft: &mut Draft) -> Result<(), Failure> {
    let default = draft.text("client_id").map(str::to_owned);
    let question = Question {
        text: "Client id",
        why: "Under which client id is this machine, or your fleet, registered at the provider?",
        default: default.as_deref(),
    };
    let id = ask(&question, |text| {
        let plain = text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_graphic());
        if plain {
            Ok(text.to_owned())
        } else {
            Err("a client id has no blanks, and at most 255 characters".into())
        }
    })?;
    draft.set("client_id", id);
    Ok(())
}

/// Asked where a secret is sure to be needed, or might be after a refusal.
fn client_secret(draft: &mut Draft, might_be_needed: bool) -> Result<(), Failure> {
    if !might_be_needed {
        return Ok(());
    }
    let secret = secret(
        "Client secret (empty: none, or the one that is there)",
        "A client that is not public has a secret. It is not shown, and kept in a file of mode 0600.",
    )?;
    if !secret.is_empty() {
        draft.set_secret(secret);
    }
    Ok(())
}

fn groups(draft: &mut Draft) -> Result<(), Failure> {
    let now = draft.map.get("allowed_groups").and_then(Value::as_array);
    let now = now.map(|ids| ids.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "));
    let question = Question {
        text: "Groups",
        why: "Who may sign in? The provider's ids of groups, with blanks between, or everybody: whom the provider lets in.",
        default: Some(now.as_deref().unwrap_or("everybody")),
    };
    let is_entra = draft.kind == Some(Kind::Entra);
    let groups = ask(&question, |text| {
        let ids: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let is_id = |id: &String| id.len() == 36 && id.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
        match ids.as_slice() {
            [word] if word == "everybody" => Ok(None),
            ids if ids.iter().any(|id| id == "everybody") => {
                Err("everybody, or ids of groups, but not both".into())
            }
            ids if is_entra && !ids.iter().all(is_id) => {
                Err("Entra's groups are given by their object id, not by name".into())
            }
            ids => Ok(Some(ids.to_vec())),
        }
    })?;
    match groups {
        Some(ids) => draft.set("allowed_groups", json!(ids)),
        None => drop(draft.map.remove("allowed_groups")),
    }
    Ok(())
}

fn domain(draft: &mut Draft) -> Result<(), Failure> {
    let now = draft.map.get("domains").and_then(|domains| domains.get(0)?.as_str()).map(str::to_owned);
    // A tenant that is named by its own domain most likely signs in people of that one.
    let tenant = draft.text("tenant_id").filter(|tenant| draft.fresh && kind::domain(tenant).is_ok());
    let default = now.or(tenant.map(str::to_owned)).unwrap_or_else(|| "none".into());
    let question = Question {
        text: "Domain to strip",
        why: "Is everybody of one domain? Then ann@example.com can be ann here: say the domain. none: names stay as they are at the \
              provider.",
        default: Some(&default),
    };
    let domain = ask(&question, |text| match text {
        "none" => Ok(None),
        text => kind::domain(text).map(Some),
    })?;
    match domain {
        Some(domain) => draft.strip(&domain).map_err(Failure::Usage),
        None => {
            draft.keep_whole_names();
            Ok(())
        }
    }
}

fn first_login(draft: &mut Draft) -> Result<(), Failure> {
    let now = draft.map.get("first_login").and_then(Value::as_array);
    let now = now.map(|patterns| patterns.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "));
    let now = now.map(|text| if text.is_empty() { "none".to_owned() } else { text });
    let proposal = draft.proposal().unwrap_or("none");
    let question = Question {
        text: "First logins",
        why: "Which names may come without being announced? Patterns with blanks between; * is every name, *@* every name with a domain. \
              none: only whom oauth2ctl user add has reserved.",
        default: Some(now.as_deref().unwrap_or(proposal)),
    };
    let patterns = ask(&question, |text| {
        let patterns: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.@+-*?".contains(c);
        match patterns.as_slice() {
            [word] if word == "none" => Ok(Vec::new()),
            patterns => match patterns.iter().find(|pattern| !pattern.chars().all(plain)) {
                Some(pattern) => Err(format!("\"{pattern}\" is no pattern of names")),
                None => Ok(patterns.to_vec()),
            },
        }
    })?;
    draft.set("first_login", json!(patterns));
    Ok(())
}

fn age(draft: &mut Draft) -> Result<(), Failure> {
    let now = draft.map.get("max_confirmation_age").and_then(Value::as_u64);
    let default = match now {
        Some(days) => days.to_string(),
        None if draft.fresh => AGE.to_string(),
        None => "none".into(),
    };
    let question = Question {
        text: "Days",
        why: "After how many days must somebody who comes by SSH key sign in at the provider again? Whoever is removed there is locked \
              out here after that time at the latest. none: never.",
        default: Some(&default),
    };
    let age = ask(&question, |text| draft.clone().set_age(text).map(|()| text.to_owned()))?;
    draft.set_age(&age).map_err(Failure::Usage)
}
