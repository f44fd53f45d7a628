//! Entra's own errors: what each means for the administrator of this machine, in one sentence with the remedy.
//! <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>

use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// An error of Microsoft Entra ID by its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aadsts {
    number: u64,
    about: About,
    /// What it means and what helps; of a number that is not known here, Entra's own words.
    text: Cow<'static, str>,
}

/// What an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// This machine's configuration, or the application's registration.
    Application,
    /// The person, who may not sign in.
    Person,
    /// The code, which has expired.
    Code,
}

use About::{Application, Code, Person};

/// (number, what it is about, what it means and what helps).
const KNOWN: [(u64, About, &str); 36] = [
    (
        16000,
        Person,
        "the person has more than one account here and none was chosen: let them sign out of the others",
    ),
    (50020, Person, "the person's account is of another tenant and is no guest of this one"),
    (50034, Person, "the person's account does not exist in this tenant"),
    (50055, Person, "the person's password has expired: they must change it first"),
    (50057, Person, "the person's account is disabled"),
    (50059, Application, "no tenant could be told from the request: write \"tenant_id\""),
    (50076, Person, "the tenant demands multi-factor authentication, which this sign-in did not have"),
    (50079, Person, "the person must register for multi-factor authentication first"),
    (
        50105,
        Person,
        "the person is not assigned to the application: assign them, or switch \"Assignment required\" off",
    ),
    (50128, Application, "the tenant does not exist: check \"tenant_id\""),
    (50158, Person, "an external security challenge of the tenant was not met"),
    (50194, Application, "the application is not a multi-tenant one: write its own \"tenant_id\""),
    (53000, Person, "conditional access demands a compliant device, which the device flow cannot prove"),
    (53001, Person, "conditional access demands a domain-joined device, which the device flow cannot prove"),
    (53002, Person, "conditional access demands an approved application"),
    (
        53003,
        Person,
        "conditional access blocks this sign-in: see the sign-in logs for the policy, and whether it blocks the device code flow",
    ),
    (
        65001,
        Application,
        "nobody has consented to the application: grant admin consent for the permissions in \"scope\"",
    ),
    (65004, Person, "the person declined to consent to the application"),
    (70000, Code, "the code, or the grant, is not valid any more"),
    (70011, Application, "\"scope\" holds a scope that does not exist"),
    (70019, Code, "the code has expired"),
    (70020, Code, "the code has expired"),
    (
        90002,
        Application,
        "the tenant does not exist: check \"tenant_id\" (and \"azure_authority\" for a sovereign cloud)",
    ),
    (
        90094,
        Application,
        "an administrator of the tenant must consent to the application: grant admin consent",
    ),
    (
        500_011,
        Application,
        "\"scope\" names an application that does not exist in the tenant, or that nobody has consented to",
    ),
    (500_014, Application, "\"scope\" names an application that is disabled in the tenant"),
    (530_003, Person, "conditional access demands a managed device, which the device flow cannot prove"),
    (530_035, Person, "the tenant's security defaults block this sign-in"),
    (700_016, Application, "no such application in the tenant: check \"client_id\" and \"tenant_id\""),
    (
        700_025,
        Application,
        "the application is a public client, which must not present a secret: remove \"client_secret\"",
    ),
    (900_023, Application, "\"tenant_id\" is neither a tenant's id nor one of its domains"),
    (7_000_112, Application, "the application is disabled in the tenant"),
    (
        7_000_215,
        Application,
        "the client secret is wrong (the secret's value is meant, not its id): check \"client_secret\"",
    ),
    (
        7_000_218,
        Application,
        "the application does not allow public client flows: in its registration, under Authentication, set \"Allow \
         public client flows\" to Yes, or configure a \"client_secret\"",
    ),
    (
        7_000_222,
        Application,
        "the client secret has expired: make a new one and write it to \"client_secret\"",
    ),
    (9_002_346, Application, "the application is for personal Microsoft accounts only"),
];

impl Aadsts {
    /// What it is about.
    #[must_use]
    pub fn about(&self) -> About {
        self.about
    }

    fn known(number: u64) -> Option<Self> {
        let known = KNOWN.iter().find(|(known, ..)| *known == number);
        known.map(|&(number, about, text)| Self { number, about, text: text.into() })
    }

    /// An error that is best told in Entra's own words. `code` is the OAuth error beside it (RFC 6749 §5.2): what concerns
    /// the grant concerns whoever gave it.
    fn unknown(number: u64, code: &str, words: String) -> Self {
        let person =
            ["invalid_grant", "interaction_required", "consent_required", "login_required", "access_denied"];
        let about = if person.contains(&code) { Person } else { Application };
        Self { number, about, text: words.into() }
    }
}

impl fmt::Display for Aadsts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AADSTS{}: {}", self.number, self.text)
    }
}

/// The error in an answer, by `error_codes`, else by the number that `error_description` begins with; `None` where it is no
/// error of Entra. `words` makes a description fit for a log.
pub(in crate::oauth) fn of(body: &Value, words: impl Fn(&str) -> String) -> Option<Aadsts> {
    let text = |name| body.get(name).and_then(Value::as_str);
    let described = text("error_description")?.strip_prefix("AADSTS")?;
    let listed =
        body.get("error_codes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_u64);
    let (digits, rest) = described.split_once(':')?;
    let number = digits.parse().ok()?;
    let known = listed.chain([number]).find_map(Aadsts::known);
    known.or_else(|| Some(Aadsts::unknown(number, text("error")?, words(rest))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(body: &Value) -> Option<Aadsts> {
        of(body, |text| text.trim().to_owned())
    }

    #[test]
    fn an_error_of_entra_is_told_with_its_remedy() {
        let description = "AADSTS7000218: The request body must contain … Trace ID: 1 Correlation ID: 2";
        for codes in [json!([7_000_218]), json!([50000, 7_000_218]), json!([]), json!("x"), Value::Null] {
            let body =
                json!({"error": "invalid_client", "error_description": description, "error_codes": codes});
            let sentence = read(&body).unwrap().to_string();
            assert!(sentence.starts_with("AADSTS7000218: "), "{sentence}");
            assert!(sentence.contains("Allow public client flows"), "{sentence}");
        }
    }

    #[test]
    fn numbers_mean_nothing_in_the_answer_of_another_provider() {
        for body in [
            json!({"error": "invalid_client", "error_codes": [7_000_218]}),
            json!({"error": "invalid_client", "error_description": "no such client", "error_codes": [7_000_218]}),
            json!({"error": "invalid_client", "error_description": "AADSTS4711 something new"}),
            json!({"error_description": "AADSTS4711: something new"}),
            json!({"error": "invalid_client", "error_description": "AADSTS"}),
            json!([]),
        ] {
            assert_eq!(read(&body), None, "{body}");
        }
    }

    #[test]
    fn an_error_that_is_not_known_is_told_in_entras_own_words() {
        for (code, about) in [
            ("invalid_grant", Person),
            ("interaction_required", Person),
            ("invalid_client", Application),
            ("invalid_request", Application),
        ] {
            let error =
                read(&json!({"error": code, "error_description": "AADSTS4711: something new"})).unwrap();
            assert_eq!((error.about(), error.to_string().as_str()), (about, "AADSTS4711: something new"));
        }
        let expired = json!({"error": "invalid_grant", "error_description": "AADSTS70020: The code …"});
        assert_eq!(read(&expired).unwrap().about(), Code);
    }

    #[test]
    fn the_table_is_sorted_and_every_sentence_fits_into_a_line() {
        assert!(KNOWN.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (number, _, sentence) in KNOWN {
            assert!(sentence.len() <= 180, "{number}");
            assert!(!sentence.ends_with('.') && !sentence.contains('\n'), "{number}");
        }
    }
}
